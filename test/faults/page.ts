import type { Verdict } from './Checker';

/** A page with a timeline. */
export function timelinePage(verdicts: readonly Verdict[], command: string): string {
    return `${command} ${verdicts.length}`;
}
