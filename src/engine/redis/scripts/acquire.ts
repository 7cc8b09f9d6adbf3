import { Script, isList, isNumber } from './Script';

/** Answers of acquire.lua. */
export type AcquireReply =
    | { readonly kind: 'granted'; readonly fence: number }
    | {
          readonly kind: 'taken';
          /** Empty: nobody has the key, but somebody waits for it or has given it up. */
          readonly holder: string;
          /** Of the holder, ms; -1: its key never expires. */
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
          /** Of the present holder, ms; -1: its key never expires. */
          readonly remaining: number;
          /** Every later grant has a greater fence. */
          readonly clock: number;
          /** Place in line; 0: none. */
          readonly ticket: number;
          /** How many are before this one. */
          readonly rank: number;
          /** The holder was granted the key in this step, and has so many ms to claim it; 0: it was not. */
          readonly window: number;
          /** Empty: the key is left free for others. */
          readonly holder: string;
      }
    /** The acquisition was given up before this attempt arrived. */
    | { readonly kind: 'refused' };

export const acquireScript = new Script('acquire', true, readAcquire);
export const acquireNodeScript = new Script('acquire_node', true, readAcquire);
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
    const [remaining, clock, ticket, rank, window, holder] = answer;
    if (!isNumber(remaining) || !isNumber(clock) || !isNumber(ticket) || !isNumber(rank)) return undefined;
    if (!isNumber(window) || typeof holder !== 'string') return undefined;
    return { kind: 'busy', remaining, clock, ticket, rank, window, holder };
}
