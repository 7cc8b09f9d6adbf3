import { checkTtl } from '../port/checks';
import type { Clock } from '../time/Clock';
import type { Due } from '../time/TimerHeap';
import { LockError } from '../port/errors';

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
    /**
     * Aborts when the lease is lost, at its deadline at the latest, with a LOCK_LOST error as the reason; or with CLOSED, when
     * the lock is closed and releases it.
     */
    readonly signal: AbortSignal;
    /** ms of validity left on our clock; 0 when the lease was lost or released. */
    remaining(): number;
    /** Whether the lease is still ours. Synchronous, for use right before a guarded write. */
    isHeld(): boolean;
    /** @throws LOCK_LOST when the lease is not ours any more, also because it was released. */
    assertHeld(): void;
    /**
     * Lengthens the lease to `ttl` from now (ms; default: as acquired). Never shortens it.
     *
     * @throws BAD_TTL; LOCK_LOST when it is not ours any more; CONNECTION_FAILED when that is unknown: the lease stays ours until its
     * deadline then.
     */
    renew(ttl?: number): Promise<void>;
    /**
     * Gives the lease back; the first waiter gets it. A second call gives the answer of the first.
     *
     * @returns whether it was still ours.
     * @throws CONNECTION_FAILED when that is unknown; the release is tried on in the background until the ttl has passed.
     */
    release(): Promise<boolean>;
    /**
     * Stops looking after the lease without releasing it: it is no longer ours, but that of whoever renews and releases it
     * by its holder, in another process say. It runs out when nobody does.
     *
     * @returns the holder.
     * @throws LOCK_LOST when the lease is not ours any more.
     */
    handOver(): string;
}

/** What is done for a lease by somebody who can speak to the store. */
export interface LeaseKeeper {
    renew(lease: HeldLease, ttl: number): Promise<void>;
    release(lease: HeldLease): Promise<boolean>;
    /** Looks after the lease no longer: somebody else does. */
    handedOver(lease: HeldLease): void;
    /** The lease has just ended without our wish. */
    lost(lease: HeldLease, error: LockError): void;
    /** What is thrown for an error of ours. */
    exceptionOf(error: LockError, context: unknown): Error;
}

/** One key of a lease. */
export interface LeasedKey {
    readonly key: string;
    /** The value that the key holds in Redis. */
    readonly holder: string;
    readonly fence: number;
    deadline: number;
    /** @see ReleaseRequest.buried */
    readonly buried?: string | undefined;
}

/** Of nearly every lease, so they share them. */
const HELD: State = { kind: 'held' };
const NO_MORE: readonly LeasedKey[] = [];

/** A renewal that is under way. */
export interface Renewing {
    /** Settles with what failed, if anything, when it has been answered for every key. */
    answer(): Promise<LockError | undefined>;
}

type State =
    | { readonly kind: 'held' }
    | { readonly kind: 'released'; readonly answer: Promise<boolean> }
    | { readonly kind: 'lost'; readonly error: LockError };

/**
 * held → released, by `release` or `handOver`; held → lost, when the deadline passes or the store says that a key is not ours any more. A
 * lease that is not held never becomes held again.
 */
export class HeldLease implements Lease, Due {
    // The first belongs to the queue of the keep-alive, the next two to the keep-alive itself.
    place = -1;
    renewing: Renewing | undefined;
    /** `confirm`: renew once; `keep`: renew until it ends. */
    upkeep: 'none' | 'confirm' | 'keep' = 'none';
    private _rest = NO_MORE;
    private _state: State = HELD;
    private _controller: AbortController | undefined;

    constructor(
        private readonly _keeper: LeaseKeeper,
        private readonly _clock: Clock,
        /** As requested, by the last renewal if any. */
        public ttl: number,
        private readonly _first: LeasedKey,
        /** When it was granted. */
        readonly since: number,
        /** For the observer. */
        readonly context: unknown,
    ) {}

    /** In sorted order of the keys. */
    get leased(): readonly [LeasedKey, ...LeasedKey[]] {
        return [this._first, ...this._rest];
    }

    /** Its key, when it has no other. */
    get only(): LeasedKey | undefined {
        return this._rest.length === 0 ? this._first : undefined;
    }

    /** Takes a further key, which is behind the others in sorted order. */
    add(one: LeasedKey): void {
        this._rest = [...this._rest, one];
    }

    get key(): string {
        return this._first.key;
    }

    get keys(): readonly string[] {
        return this.leased.map(({ key }) => key);
    }

    get holder(): string {
        return this._first.holder;
    }

    holderOf(key: string): string | undefined {
        return this._leased(key)?.holder;
    }

    get fence(): number {
        return this._first.fence;
    }

    fenceOf(key: string): number | undefined {
        return this._leased(key)?.fence;
    }

    /** The first instant at which one of the keys is not ours. */
    get deadline(): number {
        let { deadline } = this._first;
        for (const one of this._rest) deadline = Math.min(deadline, one.deadline);
        return deadline;
    }

    get signal(): AbortSignal {
        // Made on demand: a controller takes more memory than all the rest.
        const controller = (this._controller ??= new AbortController());
        if (!this.isHeld() && this._state.kind === 'lost' && !controller.signal.aborted)
            controller.abort(this._thrown(this._state.error));
        return controller.signal;
    }

    remaining(): number {
        return this.isHeld() ? this.deadline - this._clock.now() : 0;
    }

    isHeld(): boolean {
        if (this._state.kind !== 'held') return false;
        if (this._clock.now() < this.deadline) return true;
        this.lose('ran out');
        return false;
    }

    assertHeld(): void {
        if (this.isHeld()) return;
        throw this._thrown(this._state.kind === 'lost' ? this._state.error : this._ended('was released'));
    }

    async renew(ttl: number = this.ttl): Promise<void> {
        try {
            checkTtl(ttl, this.key);
            this.assertHeld();
            await this._keeper.renew(this, ttl);
        } catch (error) {
            throw error instanceof LockError ? this._thrown(error) : error;
        }
    }

    release(): Promise<boolean> {
        if (this._state.kind === 'released') return this._state.answer;
        if (!this.isHeld()) return Promise.resolve(false);
        const answer = this._keeper.release(this);
        this._state = { kind: 'released', answer };
        return answer;
    }

    handOver(): string {
        this.assertHeld();
        this._keeper.handedOver(this);
        this._state = { kind: 'released', answer: Promise.resolve(true) };
        return this.holder;
    }

    async [Symbol.asyncDispose](): Promise<void> {
        // It must not replace an error of the block; the observer was told, and the release is tried on.
        await this.release().catch(() => false);
    }

    /** Ends the lease without our wish. */
    lose(how: string): void {
        if (this._state.kind !== 'held') return;
        const error = this._ended(how);
        this._state = { kind: 'lost', error };
        this._keeper.lost(this, error);
        this._controller?.abort(this._thrown(error));
    }

    /** Releases the lease because the locker is closed: whoever works under it is told first. */
    close(): Promise<boolean> {
        const { key, holder } = this;
        if (this._controller !== undefined) {
            const error = new LockError('CLOSED', `The lock was closed while ${key} was held.`, { key, holder });
            this._controller.abort(this._thrown(error));
        }
        return this.release();
    }

    private _leased(key: string): LeasedKey | undefined {
        return this.leased.find((one) => one.key === key);
    }

    private _thrown(error: LockError): Error {
        return this._keeper.exceptionOf(error, this.context);
    }

    private _ended(how: string): LockError {
        const { key, holder } = this;
        return new LockError('LOCK_LOST', `The lease ${how}: ${this.keys.join(', ')}.`, { key, holder });
    }
}
