import type { GiveUps } from '../followups/GiveUps';
import type { Clock } from '../time/Clock';
import { inMicrotask } from '../time/hostTime';
import { TimerHeap } from '../time/TimerHeap';
import { isTemporary } from '../port/errors';
import type { LockError } from '../port/errors';
import type { HeldLease, LeasedKey, LeaseKeeper } from './Lease';
import type { LockEvent } from '../port/LockObserver';
import { KeyRenewal, LeaseRenewal } from './LeaseRenewal';
import type { LockStore, Renewal } from '../port/LockStore';
import { CLAIM_WINDOW } from '../port/protocol';
import { shareHolder } from '../port/ReservingRequest';

/** Renewals that are due within so many ms of each other go out together. */
const TOGETHER = 10;

/** So many renewals are sent at a time: longer lists would cost no less for each. */
const LIST_LENGTH = 100;

/**
 * Looks after every held lease: renews those that are to be kept alive at a third of their ttl, and ends each at its deadline
 * whether or not the store answers. One timer for all of them.
 */
export class KeepAlive implements LeaseKeeper {
    /** All of them: each has a deadline. */
    private readonly _queue: TimerHeap<HeldLease>;
    /** To be sent in this turn of the event loop. */
    private _renewals: Renewal[] = [];
    /** Releases that have no answer yet; `_idle` is called when the last of them has one. */
    private _releasing = 0;
    private _idle: (() => void) | undefined;

    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        private readonly _giveUps: GiveUps,
        private readonly _tell: (event: LockEvent) => void,
        readonly exceptionOf: LeaseKeeper['exceptionOf'],
    ) {
        this._queue = new TimerHeap(_clock, (lease) => this._due(lease));
    }

    get size(): number {
        return this._queue.size;
    }

    /** Looks after a lease from now on. */
    add(lease: HeldLease, keepAlive: boolean): void {
        lease.upkeep = keepAlive ? 'keep' : 'none';
        this._plan(lease, this._rhythm(lease));
    }

    /**
     * Asks for the whole ttl of a key that the store has for less so far. The request is on its way when this returns: whoever is
     * told of the lease next may keep the event loop busy for longer than the claim window.
     */
    confirm(lease: HeldLease, one: LeasedKey): void {
        // Within the claim window there is nothing left to ask for.
        if (lease.ttl <= CLAIM_WINDOW) return;
        if (lease.upkeep === 'none') lease.upkeep = 'confirm';
        this._renew(lease, [one]);
        this._send();
    }

    /** Renews a lease from now on until it ends, or no more. */
    keep(lease: HeldLease, whether: boolean): void {
        if (!lease.isHeld()) return;
        lease.upkeep = whether ? 'keep' : 'none';
        // What is left may be less than a third of the ttl.
        this._plan(lease, whether ? Math.min(this._rhythm(lease), lease.remaining() / 2) : Infinity);
    }

    async renew(lease: HeldLease, ttl: number): Promise<void> {
        while (lease.renewing !== undefined) await lease.renewing.answer();
        lease.assertHeld();
        const before = lease.ttl;
        lease.ttl = ttl;
        const answer = this._renew(lease).answer();
        this._send();
        const failure = await answer;
        // What the store will never do is not tried on.
        if (failure !== undefined && !isTemporary(failure)) lease.ttl = before;
        if (failure !== undefined) throw failure;
        lease.assertHeld();
    }

    /** A renewal that is under way is not waited for: it never re-creates what was released before it. */
    async release(lease: HeldLease): Promise<boolean> {
        this.drop(lease);
        const { only } = lease;
        if (only !== undefined) return this._release(lease, only);
        const released = await Promise.all(lease.leased.map((one) => this._release(lease, one)));
        return released.every(Boolean);
    }

    drop(lease: HeldLease): void {
        this._queue.delete(lease);
    }

    handedOver(lease: HeldLease): void {
        this.drop(lease);
        for (const { key, holder } of lease.leased) shareHolder(this._store, key, holder);
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

    /** Releases every lease; settles when all of them have been answered, and those that were being released already. */
    async close(): Promise<void> {
        for (const lease of this._queue.items()) lease.close().catch(() => false);
        this._queue.clear();
        if (this._releasing > 0) await new Promise<void>((resolve) => (this._idle = resolve));
    }

    private _due(lease: HeldLease): void {
        // Asking ends it at its deadline.
        if (!lease.isHeld()) return;
        if (lease.upkeep !== 'none' && lease.renewing === undefined) this._renew(lease);
        else this._queue.set(lease, lease.deadline);
    }

    /** Renews a lease, or some of its keys, together with what is due in the same turn. */
    private _renew(lease: HeldLease, keys: readonly LeasedKey[] = lease.leased): LeaseRenewal {
        const renewal = new LeaseRenewal(lease, keys, this._answered);
        lease.renewing ??= renewal;
        this._queue.set(lease, lease.deadline);
        for (const one of keys) this._renewals.push(new KeyRenewal(renewal, one));
        if (this._renewals.length >= LIST_LENGTH) this._send();
        else if (this._renewals.length === keys.length) inMicrotask(() => this._send());
        return renewal;
    }

    private _send(): void {
        const renewals = this._renewals;
        this._renewals = [];
        if (renewals.length > 0) this._store.renewAll(renewals);
    }

    private readonly _answered = (renewal: LeaseRenewal): void => {
        const { lease, failure } = renewal;
        const { key, holder, ttl, context } = lease;
        if (lease.renewing === renewal) lease.renewing = undefined;
        if (!this._queue.has(lease) || !lease.isHeld()) return;
        if (failure === undefined) {
            if (lease.upkeep === 'confirm') lease.upkeep = 'none';
            this._tell({ kind: 'renewed', key, holder, context });
            this._plan(lease, this._rhythm(lease));
        } else {
            this._tell({ kind: 'failed', key, holder, context, error: failure });
            // Several more tries before the deadline, the nearer the faster.
            this._plan(lease, lease.upkeep === 'none' ? Infinity : Math.min(lease.remaining() / 4, ttl / 10, 1000));
        }
    };

    private _release(lease: HeldLease, one: LeasedKey): Promise<boolean> {
        const { key, holder, buried } = one;
        const { context, since } = lease;
        this._releasing += 1;
        return new Promise((resolve, reject) => {
            this._store.release({ key, holder, buried }, (answer) => {
                this._ended();
                if (answer instanceof Error) {
                    this._giveUp(lease, one);
                    this._tell({ kind: 'failed', key, holder, context, error: answer });
                    reject(this.exceptionOf(answer, context));
                    return;
                }
                // We ask once: if it was released already, somebody else did it, who knows our holder.
                const ours = answer === 'released';
                if (ours) this._tell({ kind: 'released', key, holder, context, held: this._clock.now() - since });
                resolve(ours);
            });
        });
    }

    private _ended(): void {
        this._releasing -= 1;
        if (this._releasing === 0) this._idle?.();
    }

    /** When to renew next, from now. */
    private _rhythm(lease: HeldLease): number {
        return lease.upkeep === 'keep' ? lease.ttl / 3 : Infinity;
    }

    private _plan(lease: HeldLease, delay: number): void {
        const now = this._clock.now();
        const together = Math.floor((now + delay) / TOGETHER) * TOGETHER;
        this._queue.set(lease, Math.min(together > now ? together : now + delay, lease.deadline));
    }

    /** Releases in the background, until the server has let go of it by itself; never what was acquired after it. */
    private _giveUp({ ttl }: HeldLease, { key, holder, buried }: LeasedKey): void {
        this._giveUps.release({ key, holder, buried }, this._clock.now() + ttl);
    }
}
