import type { LockError } from '../port/errors';
import type { LeasedKey } from './LeasedKey';

/** How a lease ends. */
export type LeaseEnd =
    | { readonly kind: 'released' }
    /** The lock was closed, which releases it. */
    | { readonly kind: 'closed' }
    | { readonly kind: 'handed over' }
    | { readonly kind: 'lost'; readonly error: LockError };

/** Looks after one lease: does for it what takes the store. */
export interface LeaseKeeper {
    renew(ttl: number): Promise<void>;
    /** Renews the lease from now on until it ends, or no more. */
    keep(whether: boolean): void;
    /** The key, as it is looked after. */
    adopt(one: LeasedKey): LeasedKey;
    /** Makes the lease a shared one. */
    downgrade(): Promise<void>;
    /** The lease has got another key. @param confirmed the store has it for the whole ttl. */
    extended(confirmed: boolean): void;
    /** The lease has ended. Called once. @returns whether it was still ours then. */
    ended(end: LeaseEnd): Promise<boolean>;
    /** Why the last renewal failed, if it did. */
    readonly failure: LockError | undefined;
    /** A renewal was sent and has no answer: if the event loop was blocked, the answer may be there and not read yet. */
    mayBeRenewed(): boolean;
    /** Settles when the renewal that is under way is answered, or the lease has ended. */
    answered(): Promise<unknown>;
    /** Makes what is thrown of an error of ours. */
    exceptionOf(error: LockError): Error;
}
