import type { LockMode } from '../port/LockStore';

/** The right to a key, or to several, until a deadline. */
export interface Lease extends AsyncDisposable {
    /** The key; of several, the first in sorted order. */
    readonly key: string;
    /** Every key, in sorted order. */
    readonly keys: readonly string[];
    /** Who has it: the value that `key` holds in Redis. Give it to another process to hand the lease over. */
    readonly holder: string;
    /** The value that one of several keys holds in Redis; undefined when the lease does not have that key. */
    holderOf(key: string): string | undefined;
    /**
     * The fencing token of `key`: it grows with every grant of that key. Send it with each guarded write, and let the
     * resource refuse a smaller one than it has seen (Kleppmann, "How to do distributed locking").
     */
    readonly fence: number;
    /** The fencing token of one of several keys; undefined when the lease does not have that key. */
    fenceOf(key: string): number | undefined;
    /** Whether others may hold the keys at the same time. */
    readonly mode: LockMode;
    /** How many permits it has of each key; 1 where no limit was given. */
    readonly permits: number;
    /**
     * Aborts when the lease is lost, at its deadline at the latest, with a LOCK_LOST error as the reason; or with CLOSED, when
     * the lock is closed and releases it. One that is read after that has aborted, too. It does not abort when the lease is released
     * or handed over.
     */
    readonly signal: AbortSignal;
    /** ms of validity left on our clock; 0 when the lease has ended. */
    remaining(): number;
    /** Whether the lease is still ours. Synchronous, for use right before a guarded write. */
    isHeld(): boolean;
    /** @throws LOCK_LOST when the lease is not ours any more, also because it was released; CLOSED when the lock was closed. */
    assertHeld(): void;
    /**
     * Lengthens the lease to `ttl` from now (ms; default: as renewed last, else as acquired). Never shortens it. The keep-alive
     * asks for this ttl from then on.
     *
     * @throws BAD_TTL; LOCK_LOST when it is not ours any more; CLOSED; CONNECTION_FAILED when that is unknown: the lease stays ours
     * until its deadline then.
     */
    renew(ttl?: number): Promise<void>;
    /**
     * Lets readers in: the lease becomes shared, in one step and with its fence. Those who wait in front of the line and fit get the key
     * at once. There is no way back: two readers that both wait to be alone would wait for ever. A lease that is shared stays as it is.
     *
     * @throws LOCK_LOST when the lease is not ours any more; CLOSED; CONNECTION_FAILED when the answer was lost: the lease counts as
     * shared then, and readers may not be let in before it ends.
     */
    downgrade(): Promise<void>;
    /**
     * Gives the lease back; the first waiter gets it. A second call gives the answer of the first.
     *
     * @returns whether it was still ours.
     * @throws CONNECTION_FAILED when that is unknown. The release is retried in the background until the key has run out by itself.
     */
    release(): Promise<boolean>;
    /**
     * Stops looking after the lease without releasing it. It is no longer ours: another process, say, renews and releases it by its
     * holder. It runs out when nobody does.
     *
     * @returns the holder.
     * @throws LOCK_LOST when the lease is not ours any more, CLOSED.
     */
    handOver(): string;
}
