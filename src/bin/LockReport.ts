import { readHolder } from '../engine/port/holder';
import type { LockInfo } from '../engine/port/LockStore';
import { printable, spoken } from './text';

/** What is told of a lock, as JSON. Durations in ms; null: unknown, or never. */
export interface LockReport {
    readonly key: string;
    readonly held: boolean;
    readonly holder: string | null;
    readonly host: string | null;
    readonly pid: number | null;
    readonly age: number | null;
    readonly remaining: number | null;
    readonly fence: number | null;
    readonly waiters: readonly { readonly holder: string; readonly waited: number }[];
}

export function reportOf({ fence, held, holder, key, remaining, waiters }: LockInfo): LockReport {
    const origin = holder === undefined ? undefined : readHolder(holder);
    return {
        key,
        held: holder !== undefined,
        holder: holder ?? null,
        host: origin?.host ?? null,
        pid: origin?.pid ?? null,
        age: held ?? null,
        remaining: holder === undefined || remaining === Infinity ? null : remaining,
        fence: fence ?? null,
        waiters,
    };
}

export const COLUMNS = ['KEY', 'HOST', 'PID', 'AGE', 'TTL', 'FENCE', 'WAITERS'] as const;

/** One line of a table. A holder that is no user of this library is shown as it is. */
export function rowOf({ age, fence, held, holder, host, key, pid, remaining, waiters }: LockReport): string[] {
    const cells = [
        key,
        held ? (host ?? holder ?? '') : '(free)',
        String(pid ?? '-'),
        age === null ? '-' : spoken(age),
        held ? spoken(remaining ?? Infinity) : '-',
        String(fence ?? '-'),
        String(waiters.length),
    ];
    return cells.map(printable);
}

/** All there is to say. */
export function linesOf(report: LockReport): string[] {
    const { age, fence, held, holder, host, key, pid, remaining, waiters } = report;
    const waiting = waiters.map((one) => `             ${one.holder}, for ${spoken(one.waited)}`);
    const line = waiters.length === 0 ? [] : ['  waiters    in order', ...waiting];
    if (!held) return [`${key} is free`, ...line].map(printable);
    const since = age === null ? [] : [`  since      ${spoken(age)}`];
    return [
        `${key} is held`,
        `  holder     ${holder}`,
        ...(host === null ? [] : [`  host       ${host}, pid ${pid}`]),
        ...since,
        remaining === null ? '  runs out   never' : `  runs out   in ${spoken(remaining)}, unless it is renewed`,
        `  fence      ${fence ?? 'none: the holder is no user of this library'}`,
        ...line,
    ].map(printable);
}
