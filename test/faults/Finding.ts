import type { Invariant } from './HistoryEvent';

/** A promise that a history breaks. */
export interface Finding {
    readonly invariant: Invariant;
    readonly key: string;
    /** The span in which it shows. */
    readonly from: number;
    readonly until: number;
    readonly text: string;
}

/** What an honest machine under load may add to a timer, beyond the time that a process can prove it did not run, ms. */
export const LATE = 50;

export function ms(duration: number): string {
    return `${duration.toFixed(1)} ms`;
}
