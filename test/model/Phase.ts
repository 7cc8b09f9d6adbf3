import type { Share } from '../../src/engine/port/LockStore';

/** From the first attempt to the grant. */
export interface Waiting {
    readonly kind: 'waiting';
    readonly id: string;
    /** Undefined: all of the key. */
    readonly share: Share | undefined;
    readonly plain: boolean;
    readonly attempting: boolean;
    /** The last answer. */
    readonly busy: { readonly sentAt: number; readonly fence: number; readonly ticket: number } | undefined;
    /** The last attempt has no answer. */
    readonly failed: boolean;
    /** One of the attempts has none: it may still reach the server. */
    readonly astray: boolean;
    readonly again: boolean;
    readonly message: Told | undefined;
    readonly wakeAt: number;
}

/** What a message says of a grant. */
export interface Told {
    readonly fence: number;
    readonly ttl: number;
    readonly spare: number;
}

export interface Held {
    readonly kind: 'held';
    readonly id: string;
    /** What the key holds. */
    readonly holder: string;
    readonly fence: number;
    readonly deadline: number;
    /** Until then a caller relies on it that was told of a lease for all of the ttl, and does not look. */
    readonly promised: number;
    readonly confirmed: boolean;
    /** Undefined: it has the key alone. */
    readonly share: Share | undefined;
    /** Whether the server shares it: a downgrade has no answer. */
    readonly unsure: boolean;
    /** The downgrade is under way. */
    readonly downgrading: boolean;
    readonly renewing: boolean;
    /** How often it may still be passed on. */
    readonly passes: number;
    readonly astray: boolean;
    /** The key was another's before: it is released as one that others may wait for. */
    readonly contended: boolean;
    /** The process does nothing: it is frozen, or works without a pause. */
    readonly stopped: boolean;
}

/** A crashed client does nothing more; what it sent may still arrive. */
export type Phase = { readonly kind: 'idle' } | { readonly kind: 'crashed' } | Waiting | Held;
