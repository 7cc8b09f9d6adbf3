/** From the first attempt to the grant. */
export interface Waiting {
    readonly kind: 'waiting';
    readonly id: string;
    readonly plain: boolean;
    readonly attempting: boolean;
    /** The last answer. */
    readonly busy: { readonly sentAt: number; readonly fence: number; readonly ticket: number } | undefined;
    readonly failed: boolean;
    readonly again: boolean;
    readonly message: { readonly fence: number; readonly ttl: number } | undefined;
    readonly wakeAt: number;
}

export interface Held {
    readonly kind: 'held';
    readonly id: string;
    readonly fence: number;
    readonly deadline: number;
    readonly confirmed: boolean;
    readonly renewing: boolean;
    /** How often it may still be passed on. */
    readonly passes: number;
}

/** A crashed client does nothing more; what it sent may still arrive. */
export type Phase = { readonly kind: 'idle' } | { readonly kind: 'crashed' } | Waiting | Held;
