import type { Share } from '../engine/port/LockStore';

/* What the scripts are asked, and what they answer. */

export interface QueuedAcquire {
    readonly id: string;
    readonly ttl: number;
    readonly spare: number;
    /** Undefined: a plain try; 0: a new place in line. */
    readonly ticket: number | undefined;
    readonly channel: string;
    /** Undefined: all of the key. */
    readonly share?: Share | undefined;
}

export interface SharedAcquire {
    readonly id: string;
    readonly ttl: number;
    readonly share: Share;
}

export interface QueuedRelease {
    /** Empty: see `id`. */
    readonly holder: string;
    /** Of an acquisition that is given up, or released. Both empty: only to hand on what nobody has. */
    readonly id: string;
    /** Attempts of that acquisition may still arrive, and its release, too: they are refused. */
    readonly underWay: boolean;
    /** How long the key is left free if there are waiters, ms; 0: it is handed on. */
    readonly pause: number;
    /** How long the key stays taken after its release, ms; 0 or undefined: it does not. */
    readonly keep?: number | undefined;
}

interface Granted {
    readonly kind: 'granted';
    readonly fence: number;
    /** Whether the spare fences are reserved: not when the acquisition had the key already. */
    readonly reserved: boolean;
}

interface Taken {
    readonly kind: 'taken';
    /** Empty: nobody, but the queue exists. The id of the acquisition itself: it shares the key already. */
    readonly holder: string;
    /** -1: the key never expires; -2: it is absent. */
    readonly remaining: number;
}

export interface BusyReply {
    readonly kind: 'busy';
    readonly remaining: number;
    /** Every later grant has a greater fence. */
    readonly clock: number;
    readonly ticket: number;
    readonly rank: number;
    /** How long the one that the key was handed to in this step may take to claim it, ms; 0: it was not handed on. */
    readonly window: number;
    readonly holder: string;
    /** Another limit that was named last for the permits that are out; 0: none. */
    readonly limit: number;
}

export type AcquireReply = Granted | Taken;
export type QueuedAcquireReply = Granted | BusyReply | { readonly kind: 'refused' };
export type ReleaseReply = 'released' | 'gone' | 'queued';

export interface QueuedReleaseReply {
    readonly released: boolean;
    /** How long waiters may take to claim the key, or how long it is left free, ms; 0: neither. */
    readonly window: number;
    /** How many wait for a key that is taken all the same, without a window; else 0. */
    readonly waiting: number;
}

export type RenewReply = 'renewed' | 'gone';

export interface DowngradeReply {
    readonly done: boolean;
    /** How long waiters may take to claim the key, ms; 0: none was granted it. */
    readonly window: number;
}

export interface InspectReply {
    readonly holder: string;
    readonly remaining: number;
    /** Of the server, µs. */
    readonly now: number;
    readonly waiters: readonly {
        readonly id: string;
        /** ms */
        readonly waited: number;
        readonly share: Share | undefined;
    }[];
    /** Those who share the key. */
    readonly holders: readonly {
        readonly holder: string;
        /** ms */
        readonly remaining: number;
        readonly permits: number;
        /** 0: not known. */
        readonly fence: number;
    }[];
}
