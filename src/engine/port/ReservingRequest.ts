import type { AcquireRequest, LockStore } from './LockStore';

/** Asks for a key, and reserves fences for those to whom it may be passed on within the process. Only local succession asks so. */
export interface ReservingRequest extends AcquireRequest {
    /** So many fences below that of the grant are reserved with it. */
    readonly spare: number;
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
