import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

/** Where this process is, readable in redis-cli: `host:pid:random:`. */
const PROCESS = `${hostname().replace(/\s/g, '_')}:${process.pid}:${randomBytes(6).toString('base64url')}:`;

let counter = 0;

/** An id of one acquisition, unique over all processes and time. */
export function newHolder(): string {
    counter += 1;
    return PROCESS + counter.toString(36);
}

/** Where a holder is; undefined: its id was not made here. */
export function originOf(holder: string): { readonly host: string; readonly pid: number } | undefined {
    const [, host, pid] = /^(\S+):(\d+):[\w-]{8}:[0-9a-z]+$/.exec(holder) ?? [];
    return host === undefined ? undefined : { host, pid: Number(pid) };
}
