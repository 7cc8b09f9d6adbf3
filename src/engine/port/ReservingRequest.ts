import type { AcquireRequest, Granted, LockStore, StoreListener } from './LockStore';

/** What the stores of this library say to each other, beyond the port. */
export interface ReservingRequest extends AcquireRequest {
    /** Local succession: this number of fences behind that of the grant are to be nobody else's. */
    readonly spare?: number | undefined;
    /**
     * Local succession: others of the process want the key, so the fences are to be reserved also where the key may be free. Else they are
     * where that costs nothing.
     */
    readonly contended?: boolean | undefined;
    /**
     * Quorum: the last that was seen of the nodes' clocks, moved on to now, µs. A node gives no smaller fence, unless the hint
     * is far from its time.
     */
    readonly hint?: number | undefined;
}

export interface ReservedGrant extends Granted {
    /** How many fences behind that of the grant are nobody else's; undefined: none. */
    readonly reserved?: number | undefined;
}

/** Hears more of a store that is a node of a quorum. */
export interface NodeListener extends StoreListener {
    /** The connection is lost, perhaps for a moment only. */
    departed?(): void;
    /** The node was started a moment ago, and votes after this time, ms. */
    settling?(left: number): void;
}

/** A store that passes keys on within the process. */
export interface PassingStore extends LockStore {
    /** Somebody else than its lease uses this holder from now on: the key is not passed on any more. */
    shared(key: string, holder: string): void;
}

/** Tells a store that passes keys on that a holder is used by somebody else than its lease. */
export function shareHolder(store: LockStore | PassingStore, key: string, holder: string): void {
    if ('shared' in store) store.shared(key, holder);
}
