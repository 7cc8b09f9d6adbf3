import type { LockError } from './errors';

/** Which acquisition an event is about. */
export interface LockSubject {
    readonly key: string;
    readonly holder: string;
    /** What the caller gave with its request, untouched. */
    readonly context: unknown;
}

/** Something that happened. Durations in ms. */
export type LockEvent =
    | (LockSubject & { readonly kind: 'waiting'; /** Live waiters before this one. */ readonly rank: number })
    | (LockSubject & { readonly kind: 'acquired'; readonly fence: number; readonly waited: number })
    | (LockSubject & { readonly kind: 'busy' })
    | (LockSubject & { readonly kind: 'timeout'; readonly waited: number })
    | (LockSubject & { readonly kind: 'renewed'; readonly held: number })
    | (LockSubject & { readonly kind: 'released'; readonly held: number })
    | (LockSubject & { readonly kind: 'lost'; readonly held: number; readonly error: LockError })
    /** An operator took the key from this holder, who learns of it at its next step. */
    | (LockSubject & { readonly kind: 'forced'; readonly by: string; readonly reason: string })
    /** A step failed or its outcome is unknown; it is tried again where that makes sense. */
    | (LockSubject & { readonly kind: 'failed'; readonly error: LockError })
    /** The store cannot be reached, or refuses to work: once for each outage. */
    | { readonly kind: 'unreachable'; readonly error: Error }
    /** The outage is over. */
    | { readonly kind: 'reachable'; readonly message: string }
    /** Something about the server that the people who run it should know. */
    | { readonly kind: 'warning'; readonly message: string };

/** Is told what happened; cannot change it. What it throws is dropped. */
export interface LockObserver {
    observe(event: LockEvent): void;
}
