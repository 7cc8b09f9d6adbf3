import { readHolder } from '../engine/port/holder';
import type { LockInfo } from '../engine/port/LockStore';
import { clockTime, spoken } from './text';

/** What is told of a lock as JSON, by the names of `LockInfo`. Durations in ms; null: unknown, or never. */
export interface LockReport {
    readonly key: string;
    /** Null: free. */
    readonly holder: string | null;
    readonly host: string | null;
    readonly pid: number | null;
    /** How long ago it was granted. */
    readonly held: number | null;
    readonly remaining: number | null;
    readonly fence: number | null;
    readonly waiters: readonly { readonly holder: string; readonly waited: number }[];
}

export function reportOf({ fence, held, holder, key, remaining, waiters }: LockInfo): LockReport {
    const origin = holder === undefined ? undefined : readHolder(holder);
    return {
        key,
        holder: holder ?? null,
        host: origin?.host ?? null,
        pid: origin?.pid ?? null,
        held: held ?? null,
        remaining: holder === undefined || remaining === Infinity ? null : remaining,
        fence: fence ?? null,
        waiters,
    };
}

export const COLUMNS = ['KEY', 'HOST', 'PID', 'HELD', 'TTL', 'FENCE', 'WAITERS'] as const;

/** One line of a table. A holder that is no user of this library is shown as it is. */
export function rowOf({ fence, held, holder, host, key, pid, remaining, waiters }: LockReport): string[] {
    return [
        key,
        holder === null ? '(free)' : (host ?? holder),
        String(pid ?? '-'),
        held === null ? '-' : spoken(held),
        holder === null ? '-' : spoken(remaining ?? Infinity),
        String(fence ?? '-'),
        String(waiters.length),
    ];
}

/** All there is to say. */
export function linesOf(report: LockReport): string[] {
    const { fence, held, holder, host, key, pid, remaining, waiters } = report;
    const waiting = waiters.map((one) => `             ${one.holder}, for ${spoken(one.waited)}`);
    const line = waiters.length === 0 ? [] : ['  waiters    in order', ...waiting];
    if (holder === null) return [`${key} is free`, ...line];
    const since = held === null ? [] : [`  held       for ${spoken(held)}, since ${clockTime(ago(held))}`];
    return [
        `${key} is held`,
        `  holder     ${holder}`,
        ...(host === null ? [] : [`  host       ${host}, pid ${pid}`]),
        ...since,
        remaining === null ? '  runs out   never' : `  runs out   in ${spoken(remaining)}, unless it is renewed`,
        `  fence      ${fence ?? 'none: the holder is no user of this library'}`,
        ...line,
    ];
}

/** By this host's clock. */
function ago(duration: number): Date {
    return new Date(new Date().getTime() - duration);
}
