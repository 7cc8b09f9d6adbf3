import type { Share } from '../../port/LockStore';
import { shareOf } from './request';
import { Script, isList, isNumber } from './Script';

export interface InspectReply {
    /** What the key holds; empty: it is free. */
    readonly holder: string;
    /** ms; -1: the key never expires; -2: it is free. */
    readonly remaining: number;
    /** Time of the server, µs. */
    readonly now: number;
    readonly waiters: readonly Waiting[];
    /** Those who share the key. */
    readonly holders: readonly Sharing[];
}

interface Waiting {
    readonly id: string;
    /** ms */
    readonly waited: number;
    /** Undefined: it waits for all of the key. */
    readonly share: Share | undefined;
}

interface Sharing {
    readonly holder: string;
    /** ms */
    readonly remaining: number;
    readonly permits: number;
    /** 0: not known. */
    readonly fence: number;
}

export const inspectScript = new Script<InspectReply>('inspect', false, (answer) => {
    if (!isList(answer)) return undefined;
    const [holder, remaining, now, line, sharers] = answer;
    if (typeof holder !== 'string' || !isNumber(remaining) || !isNumber(now)) return undefined;
    if (!isList(line) || !isList(sharers)) return undefined;
    return { holder, remaining, now, waiters: waitersOf(line), holders: holdersOf(sharers) };
});

function waitersOf(line: readonly unknown[]): Waiting[] {
    const waiters: Waiting[] = [];
    for (let at = 0; at < line.length; at += 3) {
        waiters.push({ id: String(line[at]), waited: Number(line[at + 1]), share: shareOf(String(line[at + 2])) });
    }
    return waiters;
}

function holdersOf(sharers: readonly unknown[]): Sharing[] {
    const holders: Sharing[] = [];
    for (let at = 0; at < sharers.length; at += 4) {
        const [remaining, permits, fence] = [sharers[at + 1], sharers[at + 2], sharers[at + 3]].map(Number);
        holders.push({
            holder: String(sharers[at]),
            remaining: remaining ?? 0,
            permits: permits ?? 0,
            fence: fence ?? 0,
        });
    }
    return holders;
}
