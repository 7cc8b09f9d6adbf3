import { Script, isList, isNumber } from './Script';

/** Answers of downgrade.lua. */
export interface DowngradeReply {
    /** False: the holder does not have the key. */
    readonly done: boolean;
    /** How long the waiters that were granted the key may take to claim it, ms; 0: none was granted it. */
    readonly window: number;
}

export const downgradeScript = new Script('downgrade', true, read);
export const downgradeNodeScript = new Script('downgrade_node', true, read);

function read(answer: unknown): DowngradeReply | undefined {
    if (!isList(answer)) return undefined;
    const [done, window] = answer;
    return isNumber(done) && isNumber(window) ? { done: done === 1, window } : undefined;
}
