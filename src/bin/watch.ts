import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisLock } from '../lock/RedisLock';
import { Inquiry } from './Inquiry';
import { COLUMNS, reportOf, rowsOf } from './LockReport';
import type { HolderReport, LockReport } from './LockReport';
import { say } from './output';
import { jsonOf, printable, table } from './text';

/** Of a terminal, in letters. */
export interface Size {
    readonly rows: number;
    readonly columns: number;
}

export interface WatchOptions {
    readonly interval: number;
    readonly json: boolean;
    /** Undefined: what is written is no terminal. */
    readonly size: (() => Size) | undefined;
}

/** Shows the locks that are held until it is stopped: a table on a terminal, else a line for each change. */
export async function watch(
    lock: RedisLock,
    pattern: string,
    { interval, json, size }: WatchOptions,
    write: (text: string) => void,
    stop: AbortSignal,
): Promise<void> {
    const inquiry = new Inquiry(say);
    let before: readonly LockReport[] = [];
    while (!stop.aborted) {
        const reports = await inquiry.ask(() => reportsOf(lock, pattern));
        if (reports !== undefined) {
            if (size !== undefined && !json) write(frame(reports, size()));
            else for (const change of changes(before, reports)) write(`${json ? jsonOf(change) : told(change)}\n`);
            before = reports;
        }
        await sleep(interval, undefined, { signal: stop }).catch(() => undefined);
    }
}

export async function reportsOf(lock: RedisLock, pattern: string): Promise<LockReport[]> {
    const reports: LockReport[] = [];
    for await (const info of lock.list(null, pattern)) reports.push(reportOf(info));
    return reports.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Clears the terminal, and fills it. */
export function frame(reports: readonly LockReport[], { columns, rows }: Size): string {
    const lines = table([COLUMNS, ...reports.flatMap(rowsOf).map((row) => row.map(printable))], columns);
    const all = reports.length > 0 ? lines : [...lines, '(no lock is held)'];
    const shown = all.length < rows ? all : [...all.slice(0, rows - 2), `… ${all.length - rows + 2} more`];
    return `\u001b[H\u001b[2J${shown.join('\n')}\n`;
}

interface Change {
    readonly at: string;
    /** `left`: one of several. */
    readonly change: 'held' | 'free' | 'left';
    /** Who has it now, or had it. */
    readonly holder: string;
    readonly lock: LockReport;
}

function changes(before: readonly LockReport[], now: readonly LockReport[]): Change[] {
    const at = new Date().toISOString();
    const present = new Map(now.map((lock) => [lock.key, lock]));
    const [known, held] = [namesOf(before), namesOf(now)];
    const ended = before.flatMap((was) => {
        const lock = present.get(was.key);
        if (lock !== undefined && lock.mode !== 'shared') return [];
        const gone = was.holders.filter((one) => !held.has(nameOf(was, one)));
        const change = lock === undefined ? 'free' : 'left';
        return gone.map(({ holder }) => ({ at, change, holder, lock: lock ?? was }) as const);
    });
    const begun = now.flatMap((lock) => {
        const come = lock.holders.filter((one) => !known.has(nameOf(lock, one)));
        return come.map(({ holder }) => ({ at, change: 'held', holder, lock }) as const);
    });
    return [...ended, ...begun];
}

function told({ at, change, holder, lock }: Change): string {
    const { holders, key, mode, waiters } = lock;
    const fence = holders.find((one) => one.holder === holder)?.fence ?? '-';
    const shared = mode === 'shared' ? `, holders ${holders.length}` : '';
    const now = {
        held: `${mode === 'shared' ? 'shared' : 'held'} by ${holder}, fence ${fence}${shared}, waiters ${waiters.length}`,
        left: `left by ${holder}${shared}, waiters ${waiters.length}`,
        free: `free, was held by ${holder}`,
    }[change];
    return printable(`${at} ${key} ${now}`);
}

function namesOf(reports: readonly LockReport[]): Set<string> {
    return new Set(reports.flatMap((report) => report.holders.map((one) => nameOf(report, one))));
}

function nameOf({ key }: LockReport, { fence, holder }: HolderReport): string {
    return JSON.stringify([key, holder, fence]);
}
