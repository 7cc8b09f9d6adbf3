import type { GiveUps } from '../followups/GiveUps';
import type { Clock } from '../time/Clock';
import { inMicrotask } from '../time/hostTime';
import { TimerHeap } from '../time/TimerHeap';
import { isTemporary } from '../port/errors';
import type { LockError } from '../port/errors';
import type { HeldLease, LeasedKey, LeaseKeeper } from './Lease';
import type { LockEvent } from '../port/LockObserver';
import { KeyRenewal, LeaseRenewal } from './LeaseRenewal';
import type { Asker, LockStore, ReleaseAnswer, ReleaseRequest, Renewal } from '../port/LockStore';

/** Renewals that are due within so many ms of each other go out together. */
const TOGETHER = 10;

/** So many renewals are sent at a time: longer lists would cost no less for each. */
const LIST_LENGTH = 100;

/** How soon a lease that was begun on the word of a message is confirmed, ms. A shorter critical section saves the command. */
const CONFIRM_AFTER = 20;

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

    /**
     * Looks after a lease from now on.
     *
     * @param confirm the store has granted less than the ttl so far: ask for the rest soon.
     */
    add(lease: HeldLease, keepAlive: boolean, confirm: boolean): void {
        lease.upkeep = keepAlive ? 'keep' : confirm ? 'confirm' : 'none';
        this._plan(lease, confirm ? CONFIRM_AFTER : this._rhythm(lease));
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

    release(lease: HeldLease): Promise<boolean> {
        this.drop(lease);
        const { only } = lease;
        return lease.renewing === undefined && only !== undefined
            ? this._release(lease, only)
            : this._releaseAll(lease);
    }

    drop(lease: HeldLease): void {
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

    /** Renews a lease together with those that are due in the same turn. */
    private _renew(lease: HeldLease): LeaseRenewal {
        const { leased } = lease;
        const renewal = new LeaseRenewal(lease, this._answered);
        lease.renewing = renewal;
        this._queue.set(lease, lease.deadline);
        for (const one of leased) this._renewals.push(new KeyRenewal(renewal, one));
        if (this._renewals.length >= LIST_LENGTH) this._send();
        else if (this._renewals.length === leased.length) inMicrotask(() => this._send());
        return renewal;
    }

    private _send(): void {
        const renewals = this._renewals;
        this._renewals = [];
        if (renewals.length > 0) this._store.renewAll(renewals);
    }

    private readonly _answered = ({ lease, failure }: LeaseRenewal): void => {
        const { key, holder, ttl, context } = lease;
        lease.renewing = undefined;
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

    private async _releaseAll(lease: HeldLease): Promise<boolean> {
        this._releasing += 1;
        try {
            // Never two steps of one lease at a time. Where the store did not answer the first, it is not asked again.
            const error = await lease.renewing?.answer();
            if (error !== undefined) {
                for (const one of lease.leased) this._giveUp(lease, one);
                const { key, holder, context } = lease;
                this._tell({ kind: 'failed', key, holder, context, error });
                throw this.exceptionOf(error, context);
            }
            const released = await Promise.all(lease.leased.map((one) => this._release(lease, one)));
            return released.every(Boolean);
        } finally {
            this._ended();
        }
    }

    private _release(lease: HeldLease, one: LeasedKey): Promise<boolean> {
        this._releasing += 1;
        return new Promise((resolve, reject) => {
            const release = new KeyRelease(lease, one, resolve, reject, this._released);
            this._store.release(release, release);
        });
    }

    private readonly _released = (release: KeyRelease, answer: ReleaseAnswer | LockError): void => {
        const { key, holder, lease, one, resolve, reject } = release;
        const { context, since } = lease;
        this._ended();
        if (answer instanceof Error) {
            this._giveUp(lease, one);
            this._tell({ kind: 'failed', key, holder, context, error: answer });
            reject(this.exceptionOf(answer, context));
            return;
        }
        const held = this._clock.now() - since;
        // We ask once: if it was released already, somebody else did it, who knows our holder.
        const ours = answer === 'released';
        if (ours) this._tell({ kind: 'released', key, holder, context, held });
        resolve(ours);
    };

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
    private _giveUp({ holder, ttl }: HeldLease, { key, id }: LeasedKey): void {
        this._giveUps.giveUp(key, holder, id, false, this._clock.now() + ttl);
    }
}

/** One key of a lease that is given back. */
class KeyRelease implements ReleaseRequest, Asker<ReleaseAnswer> {
    readonly key: string;
    readonly holder: string;
    readonly id: string;

    constructor(
        readonly lease: HeldLease,
        readonly one: LeasedKey,
        readonly resolve: (released: boolean) => void,
        readonly reject: (error: Error) => void,
        private readonly _answered: (release: KeyRelease, answer: ReleaseAnswer | LockError) => void,
    ) {
        this.key = one.key;
        this.holder = lease.holder;
        this.id = one.id;
    }

    answered(answer: ReleaseAnswer | LockError): void {
        this._answered(this, answer);
    }
}
