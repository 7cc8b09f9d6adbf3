import { Script, isList, isNumber } from './Script';

/** Answers of release.lua and release_shared.lua; `queued`: somebody waits or has given up, and nothing was changed. */
export type ReleaseReply = 'released' | 'gone' | 'queued';

/** Answers of release_queued.lua. */
export interface ReleaseQueuedReply {
    readonly released: boolean;
    /** How long the waiters that were granted the key may take to claim it, or how long it is left free, ms; 0: neither. */
    readonly window: number;
    /** How many wait for a key that is taken all the same, without a window; else 0. */
    readonly waiting: number;
}

const REPLIES: ReadonlyMap<unknown, ReleaseReply> = new Map([
    [1, 'released'],
    [0, 'gone'],
    [-1, 'queued'],
]);

export const releaseScript = new Script('release', false, (answer) => REPLIES.get(answer));
export const releaseNodeScript = new Script('release_node', false, (answer) => REPLIES.get(answer));
export const releaseSharedScript = new Script('release_shared', false, (answer) => REPLIES.get(answer));
export const releaseSharedNodeScript = new Script('release_shared_node', false, (answer) => REPLIES.get(answer));
export const releaseQueuedScript = new Script('release_queued', true, read);
export const releaseQueuedNodeScript = new Script('release_queued_node', true, read);

function read(answer: unknown): ReleaseQueuedReply | undefined {
    if (!isList(answer)) return undefined;
    const [released, window, waiting] = answer;
    if (!isNumber(released) || !isNumber(window) || !isNumber(waiting)) return undefined;
    return { released: released === 1, window, waiting };
}
