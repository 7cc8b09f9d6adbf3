import type { LockError } from '../port/errors';
import type { Busy, Granted, Share } from '../port/LockStore';

/** A key that is wanted, and for how long. */
export interface WaitRequest {
    readonly key: string;
    /** Names the acquisition, see holder.ts. */
    readonly id: string;
    readonly ttl: number;
    /** Undefined: exclusive. */
    readonly share?: Share | undefined;
    /** From its grant on the key stays taken for so long, also when it is released, ms. */
    readonly atLeast?: number;
    /** How long to wait; 0: one attempt. */
    readonly timeout: number;
    /** One attempt, without a place in line: the timeout is how long its answer may take. One of timeout 0 always is. */
    readonly once?: boolean;
    /** What the caller gave as its timeout, for messages; without it, `timeout`. */
    readonly whole?: number;
    readonly signal: AbortSignal | undefined;
    /** For the observer. */
    readonly context: unknown;
}

/** A key that became ours. */
export interface Acquired extends Granted {
    /** @see ReleaseRequest.buried */
    readonly buried: string | undefined;
}

/** What becomes of a request. */
export type Outcome = Acquired | Busy | LockError;
