import { chosenHolder } from '../port/holder';
import type { Busy } from '../port/LockStore';

/*
 * An acquisition is called `host:pid:random:counter`, or `chosen#host:pid:random:counter` where the caller has chosen the holder.
 * Behind that name its nodes see:
 *
 *     name:          the acquisition: its place in line, its tombstone
 *     name#n:        its n-th attempt
 *     name#n:fence   what the key holds, with the fence of this node
 *
 * An attempt that failed is taken back while the next one may have begun, so a node must tell them apart.
 */

/** What the key holds at a node, taken apart. */
export interface StoredHolder {
    /** `name#n:`; `name:` when the node has handed the key to the acquisition, which has not claimed it yet. */
    readonly attempt: string;
    /** Without the number of the attempt. */
    readonly name: string;
    /** The holder that the caller has chosen; undefined: it is an id of our own. */
    readonly chosen: string | undefined;
    readonly fence: number;
}

const STORED = /[^\s#]:\d+:[\w-]{8}:[0-9a-z]+(#\d+)?:\d+$/;

/** Undefined: no acquisition of a quorum has stored it. */
export function readStored(value: string): StoredHolder | undefined {
    const found = STORED.exec(value);
    if (found === null) return undefined;
    const end = value.lastIndexOf(':') + 1;
    const name = value.slice(0, end - 1 - (found[1]?.length ?? 0));
    // In front of the first `#` of a name stands the holder that was chosen.
    const hash = name.indexOf('#');
    if (name.indexOf('#', hash + 1) > hash && hash >= 0) return undefined;
    const chosen = hash < 0 ? undefined : name.slice(0, hash);
    return { attempt: value.slice(0, end), name, chosen, fence: Number(value.slice(end)) };
}

/** The lease that the caller names, whose holder it has chosen for its acquisition: one of ours that was handed over. Undefined: none. */
export function handedOver(id: string): StoredHolder | undefined {
    const stored = readStored(chosenHolder(id) ?? '');
    return stored?.chosen === undefined ? stored : undefined;
}

/** The id of an acquisition at its nodes. */
export function nodeIdOf(id: string): string {
    return id.replace('\r', '#');
}

/** Of an acquisition, by its id at the nodes. */
export function idOf(nodeId: string): string {
    return nodeId.replace('#', '\r');
}

/** The id of its n-th attempt. */
export function attemptIdOf(nodeId: string, number: number): string {
    return `${nodeId.slice(0, -1)}#${number}:`;
}

/** The holder, for those who do not know of attempts. */
export function publicHolder(stored: string): string {
    return readStored(stored)?.chosen ?? stored;
}

/** An answer of a node, for those who do not know of attempts. */
export function publicBusy(busy: Busy): Busy {
    const stored = readStored(busy.holder);
    return stored === undefined
        ? busy
        : { ...busy, holder: publicHolder(busy.holder), foreign: stored.chosen !== undefined };
}

/** A waiter, for those who do not know how nodes name it. */
export function publicName(name: string): string {
    const end = name.indexOf('#');
    return end < 0 ? name : name.slice(0, end);
}
