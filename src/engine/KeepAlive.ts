import type { Cleanup } from './Cleanup';
import type { Clock } from './Clock';
import { DueQueue } from './DueQueue';
import { asLockError, isTemporary } from './errors';
import type { LockError } from './errors';
import type { HeldLease, LeasedKey, LeaseKeeper } from './Lease';
import type { LockEvent } from './LockObserver';
import type { LockStore } from './LockStore';

/** Renewals that are due within so many ms of each other go out together. */
const TOGETHER = 10;

/** How soon a lease that was begun on the word of a message is confirmed, ms. A shorter critical section saves the command. */
const CONFIRM_AFTER = 20;

/**
 * Looks after every held lease: renews those that are to be kept alive at a third of their ttl, and ends each at its deadline
 * whether or not the store answers. One timer for all of them.
 */
export class KeepAlive implements LeaseKeeper {
    private readonly _leases = new Set<HeldLease>();
    private readonly _queue: DueQueue<HeldLease>;

    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        private readonly _cleanup: Cleanup,
        private readonly _tell: (event: LockEvent) => void,
    ) {
        this._queue = new DueQueue(_clock, (lease) => this._due(lease));
    }

    get size(): number {
        return this._leases.size;
    }

    /**
     * Looks after a lease from now on.
     *
     * @param confirm the store has granted less than the ttl so far: ask for the rest soon.
     */
    add(lease: HeldLease, keepAlive: boolean, confirm: boolean): void {
        this._leases.add(lease);
        lease.upkeep = keepAlive ? 'keep' : confirm ? 'confirm' : 'none';
        this._plan(lease, confirm ? CONFIRM_AFTER : this._rhythm(lease));
    }

    async renew(lease: HeldLease, ttl: number): Promise<void> {
        while (lease.renewing !== undefined) await lease.renewing;
        lease.assertHeld();
        const before = lease.ttl;
        lease.ttl = ttl;
        const failure = await this._renew(lease);
        // What the store will never do is not tried on.
        if (failure !== undefined && !isTemporary(failure)) lease.ttl = before;
        if (failure !== undefined) throw failure;
        lease.assertHeld();
    }

    async release(lease: HeldLease): Promise<boolean> {
        this.drop(lease);
        // Never two steps of one lease at a time. Where the store did not answer the first, it is not asked again.
        const failure = await lease.renewing;
        if (failure !== undefined) {
            for (const one of lease.leased) this._giveUp(lease, one);
            this._tell({
                kind: 'failed',
                key: lease.key,
                holder: lease.holder,
                context: lease.context,
                error: failure,
            });
            throw failure;
        }
        const [first, ...rest] = lease.leased;
        if (rest.length === 0) return this._release(lease, first);
        const released = await Promise.all(lease.leased.map((one) => this._release(lease, one)));
        return released.every(Boolean);
    }

    drop(lease: HeldLease): void {
        this._leases.delete(lease);
        this._queue.delete(lease);
    }

    handedOver(lease: HeldLease): void {
        this.drop(lease);
        for (const { key } of lease.leased) this._store.handedOver?.(key, lease.holder);
    }

    lost(lease: HeldLease, error: LockError): void {
        this.drop(lease);
        const { key, holder, context } = lease;
        // Renewals without an answer may have arrived, and of several keys the others may be ours still. One key that was not
        // renewed by us is left alone: whoever was told the holder may have renewed it.
        if (lease.upkeep === 'keep' || lease.leased.length > 1) {
            for (const one of lease.leased) this._giveUp(lease, one);
        }
        this._tell({ kind: 'lost', key, holder, context, held: this._clock.now() - lease.since, error });
    }

    /** Releases every lease; settles when all of them have been answered. */
    async close(): Promise<void> {
        await Promise.allSettled([...this._leases].map((lease) => lease.close()));
        this._queue.clear();
    }

    private _due(lease: HeldLease): void {
        // Asking ends it at its deadline.
        if (!lease.isHeld()) return;
        if (this._clock.now() >= lease.renewAt && lease.renewing === undefined) void this._renew(lease);
        else this._queue.set(lease, Math.min(lease.renewAt, lease.deadline));
    }

    /** Settles with what failed, if anything; never rejects. */
    private _renew(lease: HeldLease): Promise<LockError | undefined> {
        lease.renewAt = Infinity;
        this._queue.set(lease, lease.deadline);
        const renewing = this._renewKeys(lease).finally(() => {
            lease.renewing = undefined;
        });
        lease.renewing = renewing;
        return renewing;
    }

    private async _renewKeys(lease: HeldLease): Promise<LockError | undefined> {
        const { key, holder, ttl, context } = lease;
        const answers = await Promise.allSettled(lease.leased.map((one) => this._store.renew(one.key, holder, ttl)));
        let error: LockError | undefined;
        for (const [at, one] of lease.leased.entries()) {
            const answer = answers[at];
            if (answer?.status === 'rejected') error = asLockError(answer.reason, one.key, holder);
            else if (answer?.value.kind === 'gone') lease.lose(`was taken or deleted (${one.key})`);
            else if (answer !== undefined) one.deadline = Math.max(one.deadline, answer.value.deadline);
        }
        if (!this._leases.has(lease) || !lease.isHeld()) return error;
        if (error === undefined) {
            if (lease.upkeep === 'confirm') lease.upkeep = 'none';
            this._tell({ kind: 'renewed', key, holder, context });
            this._plan(lease, this._rhythm(lease));
        } else {
            this._tell({ kind: 'failed', key, holder, context, error });
            // Several more tries before the deadline, the nearer the faster.
            this._plan(lease, lease.upkeep === 'none' ? Infinity : Math.min(lease.remaining() / 4, ttl / 10, 1000));
        }
        return error;
    }

    private async _release(lease: HeldLease, one: LeasedKey): Promise<boolean> {
        const { holder, context } = lease;
        try {
            const answer = await this._store.release(one.key, holder, one.id);
            const held = this._clock.now() - lease.since;
            // We ask once: if it was released already, somebody else did it, who knows our holder.
            if (answer !== 'released') return false;
            this._tell({ kind: 'released', key: one.key, holder, context, held });
            return true;
        } catch (error) {
            this._giveUp(lease, one);
            const told = asLockError(error, one.key, holder);
            this._tell({ kind: 'failed', key: one.key, holder, context, error: told });
            throw told;
        }
    }

    /** When to renew next, from now. */
    private _rhythm(lease: HeldLease): number {
        return lease.upkeep === 'keep' ? lease.ttl / 3 : Infinity;
    }

    private _plan(lease: HeldLease, delay: number): void {
        const now = this._clock.now();
        const together = Math.floor((now + delay) / TOGETHER) * TOGETHER;
        lease.renewAt = together > now ? together : now + delay;
        this._queue.set(lease, Math.min(lease.renewAt, lease.deadline));
    }

    /** Releases in the background, until the server has let go of it by itself; never what was acquired after it. */
    private _giveUp({ holder, ttl }: HeldLease, { key, id }: LeasedKey): void {
        this._cleanup.giveUp(key, holder, id, false, this._clock.now() + ttl);
    }
}
