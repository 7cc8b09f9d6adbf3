import { readHolder } from '../engine/port/holder';
import type { LockHolder, LockInfo, LockMode } from '../engine/port/LockStore';
import { clockTime, spoken } from './text';

/** What is told of one holder as JSON. Durations in ms; null: unknown, or never. */
export interface HolderReport {
    readonly holder: string;
    readonly host: string | null;
    readonly pid: number | null;
    /** How long ago it was granted. */
    readonly held: number | null;
    readonly remaining: number | null;
    readonly fence: number | null;
    readonly permits: number;
}

/** What is told of one that waits as JSON. */
export interface WaiterReport {
    readonly holder: string;
    /** How long it has been waiting. */
    readonly waited: number;
    readonly mode: LockMode;
    readonly permits: number;
    /** Null: it named none. */
    readonly limit: number | null;
}

/** What is told of a lock as JSON, by the names of `LockInfo`: of the first holder, and of all. */
export interface LockReport {
    readonly key: string;
    /** Null: free. */
    readonly mode: LockMode | null;
    readonly holder: string | null;
    readonly host: string | null;
    readonly pid: number | null;
    readonly held: number | null;
    readonly remaining: number | null;
    readonly fence: number | null;
    readonly holders: readonly HolderReport[];
    readonly waiters: readonly WaiterReport[];
}

export function reportOf({ fence, held, holder, holders, key, mode, remaining, waiters }: LockInfo): LockReport {
    const all = holders.map(holderReportOf);
    // Of a key that is shared it may be lost who has it.
    const first =
        holder === undefined
            ? { holder: null, host: null, pid: null, held: null, remaining: null, fence: null }
            : (all[0] ?? holderReportOf({ holder, held, remaining, fence, permits: 1 }));
    return {
        key,
        mode: mode ?? null,
        holder: first.holder,
        host: first.host,
        pid: first.pid,
        held: first.held,
        remaining: first.remaining,
        fence: first.fence,
        holders: all,
        waiters: waiters.map((one) => ({ ...one, limit: one.limit ?? null })),
    };
}

function holderReportOf({ fence, held, holder, permits, remaining }: LockHolder): HolderReport {
    const origin = readHolder(holder);
    return {
        holder,
        host: origin?.host ?? null,
        pid: origin?.pid ?? null,
        held: held ?? null,
        remaining: remaining === Infinity ? null : remaining,
        fence: fence ?? null,
        permits,
    };
}

export const COLUMNS = ['KEY', 'MODE', 'HOST', 'PID', 'HELD', 'TTL', 'FENCE', 'WAITERS'] as const;

/** The lines of a table, one for each holder. One that is no user of this library is shown as it is. */
export function rowsOf(report: LockReport): string[][] {
    const { holders, key, mode, waiters } = report;
    const shown = holders.length > 0 ? holders : [report];
    return shown.map(({ fence, held, holder, host, pid, remaining, ...rest }) => [
        key,
        modeOf(mode, 'permits' in rest ? rest.permits : 1),
        holder === null ? '(free)' : (host ?? holder),
        String(pid ?? '-'),
        held === null ? '-' : spoken(held),
        holder === null ? '-' : spoken(remaining ?? Infinity),
        String(fence ?? '-'),
        String(waiters.length),
    ]);
}

function modeOf(mode: LockMode | null, permits: number): string {
    return permits > 1 ? `${permits} permits` : (mode ?? '-');
}

/** All there is to say. */
export function linesOf({ holder, holders, key, mode, remaining, waiters }: LockReport): string[] {
    const waiting = waiters.map(lineOfWaiter);
    const line = waiters.length === 0 ? [] : ['  waiters    in order', ...waiting];
    if (holder === null) return [`${key} is free`, ...line];
    if (mode !== 'shared') return [`${key} is held`, ...holders.flatMap(linesOfHolder), ...line];
    const lost = ['  holders    are not known any more', lastOf(remaining)];
    const told = holders.length === 0 ? lost : holders.flatMap(linesOfHolder);
    return [`${key} is shared by ${holders.length}`, ...told, ...line];
}

function linesOfHolder({ fence, held, holder, host, permits, pid, remaining }: HolderReport): string[] {
    return [
        `  holder     ${holder}`,
        ...(host === null ? [] : [`  host       ${host}, pid ${pid}`]),
        ...(permits === 1 ? [] : [`  permits    ${permits}`]),
        ...(held === null ? [] : [`  held       for ${spoken(held)}, since ${clockTime(ago(held))}`]),
        lastOf(remaining),
        `  fence      ${fence ?? 'none: the holder is no user of this library'}`,
    ];
}

function lineOfWaiter({ holder, limit, mode, permits, waited }: WaiterReport): string {
    const wanted = limit === null ? mode : `${permits} of ${limit} permits`;
    return `             ${holder}, ${wanted}, for ${spoken(waited)}`;
}

function lastOf(remaining: number | null): string {
    return remaining === null ? '  runs out   never' : `  runs out   in ${spoken(remaining)}, unless it is renewed`;
}

/** By this host's clock. */
function ago(duration: number): Date {
    return new Date(new Date().getTime() - duration);
}
