import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { hostname } from 'node:os';
import { monotonicNow, wallNow } from '../time/hostTime';

/*
 * The id of an acquisition is `host:pid:random:counter:`. When the acquisition is granted, the key holds its id and the fence:
 * `host:pid:random:counter:fence`. So `redis-cli GET` tells who holds a key, and since when: a fence is the time of the server, in µs.
 *
 * A holder that the caller has chosen is stored as it is. The id of such an acquisition is `holder\rnonce`.
 */

/** Where this process is: `host:pid:random:`. */
let origin: { readonly pid: number; readonly text: string } | undefined;
let counter = 0;

/** The id of a new acquisition, unique over all processes and time; of one whose holder is chosen, if `holder` is given. */
export function newId(holder?: string): string {
    counter += 1;
    const id = `${here()}${counter.toString(36)}:`;
    return holder === undefined ? id : `${holder}\r${id}`;
}

/** What the key holds when the acquisition was granted with this fence. */
export function holderOf(id: string, fence: number): string {
    return chosenHolder(id) ?? id + String(fence);
}

/** The holder that the caller has chosen; undefined: the id is our own. */
export function chosenHolder(id: string): string | undefined {
    const end = id.indexOf('\r');
    return end < 0 ? undefined : id.slice(0, end);
}

/** The holder as far as it is known before the grant, for events and errors. */
export function nameOf(id: string): string {
    return chosenHolder(id) ?? id.slice(0, -1);
}

const SHAPE = /^(\S+):(\d+):[\w-]{8}:[0-9a-z]+(?:#\d+)?:(\d+)$/;

/** What a holder tells of its acquisition; undefined: its id was not made here. */
export function readHolder(
    holder: string,
): { readonly host: string; readonly pid: number; readonly fence: number } | undefined {
    const [, host, pid, fence] = SHAPE.exec(holder) ?? [];
    return host === undefined ? undefined : { host, pid: Number(pid), fence: Number(fence) };
}

/** Whether the id of an acquisition, or a holder, was made by this process. */
export function isOfThisProcess(id: string): boolean {
    return id.startsWith(here());
}

/**
 * From now on new ids have another random part. A process that goes on from a snapshot cannot see that: process id, boot id and clock are copied,
 * and it shares its ids with every other copy. So each opening of a lock draws a new one.
 */
export function drawAnew(): void {
    origin = undefined;
}

function here(): string {
    // Drawn at the first use, and again after a fork: another process is somebody else.
    if (origin?.pid !== process.pid) {
        origin = { pid: process.pid, text: `${hostname().replace(/[\s#]/g, '_')}:${process.pid}:${randomPart()}:` };
    }
    return origin.text;
}

/** The random generator of Node.js is copied with the process: copies would draw the same. The kernel's is not, nor does time go on alike. */
function randomPart(): string {
    const hash = createHash('sha256').update(randomBytes(16)).update(kernelRandom());
    return hash.update(`${monotonicNow()} ${wallNow()}`).digest('base64url').slice(0, 8);
}

/** Empty where there is no such file, as on Windows. */
function kernelRandom(): Buffer {
    const bytes = Buffer.alloc(16);
    try {
        const file = openSync('/dev/urandom', 'r');
        readSync(file, bytes);
        closeSync(file);
        return bytes;
    } catch {
        return bytes;
    }
}
