import { Script, isList, isNumber } from './Script';

/** Instead of the remaining ttl of a key, as PTTL has it: there is no key. */
export const FREE = -2;

/** Answers of acquire.lua and acquire_shared.lua. */
export type AcquireReply =
    | { readonly kind: 'granted'; readonly fence: number }
    | {
          readonly kind: 'taken';
          /**
           * Empty: nobody has the key, but somebody waits for it or has given it up. The id of the acquisition itself: it shares the
           * key already.
           */
          readonly holder: string;
          /** Until there may be room, ms; -1: the key never expires; -2: nobody has it. */
          readonly remaining: number;
      };

/** Answers of acquire_queued.lua. */
export type AcquireQueuedReply =
    | {
          readonly kind: 'granted';
          readonly fence: number;
          /** Whether the spare fences behind it are reserved. Not when the acquisition had the key already. */
          readonly reserved: boolean;
      }
    | {
          readonly kind: 'busy';
          /** Until there may be room, ms; -1: the key never expires. */
          readonly remaining: number;
          /** Every later grant has a greater fence. */
          readonly clock: number;
          /** Place in line; 0: none. */
          readonly ticket: number;
          /** How many are before this one. */
          readonly rank: number;
          /** How long others that were granted the key in this step may take to claim it, ms; 0: none was granted it. */
          readonly window: number;
          /** Empty: the key is left free for others. */
          readonly holder: string;
          /** Another limit that was named last for the permits that are out; 0: none. */
          readonly limit: number;
      }
    /** The acquisition was given up before this attempt arrived, or has gone on. */
    | { readonly kind: 'refused' };

export const acquireScript = new Script('acquire', true, readAcquire);
export const acquireNodeScript = new Script('acquire_node', true, readAcquire);
export const acquireSharedScript = new Script('acquire_shared', true, readAcquire);
export const acquireSharedNodeScript = new Script('acquire_shared_node', true, readAcquire);
export const acquireQueuedScript = new Script('acquire_queued', true, readQueued);
export const acquireQueuedNodeScript = new Script('acquire_queued_node', true, readQueued);

function readAcquire(answer: unknown): AcquireReply | undefined {
    if (isNumber(answer) && answer > 0) return { kind: 'granted', fence: answer };
    if (!isList(answer)) return undefined;
    const [holder, remaining] = answer;
    return typeof holder === 'string' && isNumber(remaining) ? { kind: 'taken', holder, remaining } : undefined;
}

function readQueued(answer: unknown): AcquireQueuedReply | undefined {
    if (answer === -1) return { kind: 'refused' };
    if (isNumber(answer) && answer > 0) return { kind: 'granted', fence: answer, reserved: true };
    if (!isList(answer)) return undefined;
    if (answer.length === 1) {
        const [fence] = answer;
        return isNumber(fence) ? { kind: 'granted', fence, reserved: false } : undefined;
    }
    const [remaining, clock, ticket, rank, window, holder, limit] = answer;
    if (!isNumber(remaining) || !isNumber(clock) || !isNumber(ticket) || !isNumber(rank)) return undefined;
    if (!isNumber(window) || typeof holder !== 'string' || !isNumber(limit)) return undefined;
    return { kind: 'busy', remaining, clock, ticket, rank, window, holder, limit };
}
