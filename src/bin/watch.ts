import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisLock } from '../lock/RedisLock';
import { Inquiry } from './Inquiry';
import { COLUMNS, reportOf, rowOf } from './LockReport';
import type { LockReport } from './LockReport';
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
    const lines = table([COLUMNS, ...reports.map((one) => rowOf(one).map(printable))], columns);
    const all = reports.length > 0 ? lines : [...lines, '(no lock is held)'];
    const shown = all.length < rows ? all : [...all.slice(0, rows - 2), `… ${all.length - rows + 2} more`];
    return `\u001b[H\u001b[2J${shown.join('\n')}\n`;
}

interface Change {
    readonly at: string;
    readonly change: 'held' | 'free';
    readonly lock: LockReport;
}

function changes(before: readonly LockReport[], now: readonly LockReport[]): Change[] {
    const at = new Date().toISOString();
    const known = new Set(before.map(nameOf));
    const keys = new Set(now.map(({ key }) => key));
    const freed = before.filter(({ key }) => !keys.has(key));
    const held = now.filter((report) => !known.has(nameOf(report)));
    return [
        ...freed.map((lock) => ({ at, change: 'free', lock }) as const),
        ...held.map((lock) => ({ at, change: 'held', lock }) as const),
    ];
}

function told({ at, change, lock }: Change): string {
    const { fence, holder, key, waiters } = lock;
    const rest = change === 'free' ? '' : `, fence ${fence ?? '-'}, waiters ${waiters.length}`;
    return printable(`${at} ${key} ${change === 'free' ? 'free, was held by' : 'held by'} ${holder}${rest}`);
}

function nameOf({ fence, holder, key }: LockReport): string {
    return JSON.stringify([key, holder, fence]);
}
