import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { HistoryEvent, Occurrence } from './HistoryEvent';

/** The instant on the clock of a history, ms. */
export function instant(): number {
    return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * One client's pen for a history that many processes write. An event is one line, written by one system call to a file that
 * is open for appending: it is whole or not there, and there even when the writer is killed right after.
 */
export class History implements Disposable {
    private readonly _file: number;

    constructor(
        path: string,
        private readonly _client: string,
    ) {
        this._file = openSync(path, 'a');
    }

    /** @param at when it happened; what is measured after that instant belongs to the event. */
    note(occurrence: Occurrence, at = instant()): void {
        writeSync(this._file, `${JSON.stringify({ at, process: process.pid, client: this._client, ...occurrence })}\n`);
    }

    [Symbol.dispose](): void {
        closeSync(this._file);
    }
}

/** The events of a history in the order of their instants; of equal ones, in the order in which they were written. */
export function readHistory(path: string): HistoryEvent[] {
    const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
    const events = lines.map((line, at) => {
        try {
            return JSON.parse(line) as HistoryEvent;
        } catch (error) {
            throw new Error(`Line ${at + 1} of the history is not an event: ${line}`, { cause: error });
        }
    });
    return events.sort((one, other) => one.at - other.at);
}
