import { isTemporary } from '../port/errors';
import type { LockError } from '../port/errors';
import type { LockEvent } from '../port/LockObserver';
import type { LockStore } from '../port/LockStore';
import type { Clock } from '../time/Clock';
import type { Due, TimerHeap } from '../time/TimerHeap';
import type { Deputy } from './Deputy';
import { HeldLease } from './HeldLease';
import type { LeasedKey } from './LeasedKey';
import type { EndedLease, LeaseEndings } from './LeaseEndings';
import type { LeaseEnd, LeaseKeeper } from './LeaseKeeper';
import { LeaseRenewal } from './LeaseRenewal';
import type { LeaseTerms } from './LeaseTerms';
import type { RenewalList } from './RenewalList';
import { nextRenewal, nextTry, onGrid } from './renewalTimes';

/** A timer that is later than this shows that the event loop was blocked, ms. */
const LATE = 5;

/** How long an answer that came meanwhile may take to be read, ms. */
const READING = 50;

/** How long until a renewal of the deputy, which takes a moment, is looked at again, ms. */
const LOOK = 5;

/** What the upkeep of every lease takes. */
export interface UpkeepParts {
    readonly store: LockStore;
    readonly clock: Clock;
    /** All of them: each lease has a deadline. */
    readonly queue: TimerHeap<Upkeep>;
    readonly renewals: RenewalList;
    readonly endings: LeaseEndings;
    readonly deputy: Deputy;
    readonly tell: (event: LockEvent) => void;
    readonly exceptionOf: (error: LockError, context: unknown) => Error;
}

/** Looks after one lease: confirms it, renews it, ends it at its deadline whether or not the store answers. */
export class Upkeep implements Due, LeaseKeeper, EndedLease {
    place = -1;
    readonly lease: HeldLease;
    readonly context: unknown;
    readonly since: number;
    isKept: boolean;
    longest: number;
    /** Why the last renewal that was answered failed, if it did. */
    failure: LockError | undefined;
    /** The store has it for the whole ttl. */
    private _isConfirmed = true;
    /** The last renewal that was sent, until it is answered. */
    private _renewing: LeaseRenewal | undefined;
    /** The event loop was blocked past the deadline: until then the answer to a renewal is waited for. */
    private _readUntil: number | undefined;
    /** A renewal had no answer, or was the deputy's, and may reach the store yet. */
    private _isAstray = false;

    constructor(
        private readonly _parts: UpkeepParts,
        one: LeasedKey,
        { ttl, keepAlive, context }: LeaseTerms,
    ) {
        const { clock, deputy } = _parts;
        this.lease = new HeldLease(this, clock, deputy.adopt(one), ttl);
        this.isKept = keepAlive;
        this.context = context;
        this.longest = ttl;
        this.since = clock.now();
    }

    get mayArrive(): boolean {
        return this._isAstray || this._renewing !== undefined;
    }

    adopt(one: LeasedKey): LeasedKey {
        return this._parts.deputy.adopt(one);
    }

    /** The lease has begun, or has got another key. */
    extended(confirmed: boolean): void {
        if (this.isKept) this._parts.deputy.keep(this.lease, true);
        this._plan(this._rhythm());
        if (!confirmed) this._confirm();
    }

    keep(whether: boolean): void {
        if (!this._isUnderWay()) return;
        this.isKept = whether;
        this._parts.deputy.keep(this.lease, whether);
        if (this._renewing === undefined) this._plan(this._rhythm());
    }

    async renew(ttl: number): Promise<void> {
        const { lease } = this;
        while (this._mustWait()) await this._other();
        lease.assertHeld();
        const before = lease.ttl;
        this._setTtl(ttl);
        this.longest = Math.max(this.longest, ttl);
        const answer = this._renew().answer();
        this._parts.renewals.send();
        const failure = await answer;
        // What the store will never do is not retried.
        if (failure !== undefined && !isTemporary(failure)) this._setTtl(before);
        if (failure !== undefined) throw failure;
        lease.assertHeld();
    }

    async downgrade(): Promise<void> {
        const { lease } = this;
        const { deputy, store } = this._parts;
        // A renewal of the exclusive lease that arrived later would find it gone.
        while (this._mustWait()) await this._other();
        lease.assertHeld();
        if (lease.leased.every(({ shared }) => shared === true)) {
            deputy.done(lease);
            return;
        }
        const downgrading = this._begin();
        for (const part of downgrading.parts) part.downgrade(store);
        const failure = await downgrading.answer();
        if (failure !== undefined) throw failure;
        lease.assertHeld();
    }

    mayBeRenewed(): boolean {
        return this._renewing !== undefined;
    }

    answered(): Promise<unknown> {
        return this._renewing === undefined ? Promise.resolve() : this._renewing.answer();
    }

    ended(end: LeaseEnd): Promise<boolean> {
        const { deputy, endings, queue } = this._parts;
        queue.delete(this);
        const over = deputy.end(this.lease);
        if (over !== undefined) this._isAstray = true;
        this._renewing?.settle();
        switch (end.kind) {
            case 'released':
            case 'closed':
                return endings.release(this, over);
            case 'handed over':
                return endings.handOver(this);
            case 'lost':
                return endings.lost(this, end.error);
        }
    }

    exceptionOf(error: LockError): Error {
        return this._parts.exceptionOf(error, this.context);
    }

    /** Its time has come: its deadline, or that of a renewal. */
    due(): void {
        const { clock, deputy, queue } = this._parts;
        const now = clock.now();
        const late = now - this.lease.deadline;
        if (late >= 0) {
            const isRead = late <= LATE || this._renewing === undefined || this._readUntil !== undefined;
            if (isRead) this.lease.lose('ran out');
            else queue.set(this, (this._readUntil = now + READING));
            return;
        }
        const renews = (this.isKept || !this._isConfirmed) && this._renewing === undefined;
        if (!renews) this._plan(Infinity);
        else if (deputy.begin(this.lease, false)) this._renew();
        else this._plan(LOOK);
    }

    private _isUnderWay(): boolean {
        return this._parts.queue.has(this);
    }

    /**
     * Asks for the whole ttl of keys that the store has for less so far. The request is on its way when this returns: the caller
     * that is told of the lease next may keep the event loop busy for longer than the claim window.
     */
    private _confirm(): void {
        const { deputy, renewals } = this._parts;
        this._isConfirmed = false;
        deputy.begin(this.lease, true);
        this._renew();
        renewals.send();
    }

    /** Whether a renewal of the lease is under way. If not, one of ours begins. */
    private _mustWait(): boolean {
        return this._isUnderWay() && (this._renewing !== undefined || !this._parts.deputy.begin(this.lease, false));
    }

    /** Settles when the renewal that is under way may be over. */
    private _other(): Promise<unknown> {
        return this._renewing?.answer() ?? new Promise<void>((resolve) => this._parts.clock.timer(LOOK, resolve));
    }

    private _setTtl(ttl: number): void {
        this.lease.ttl = ttl;
        if (this.isKept) this._parts.deputy.keep(this.lease, true);
    }

    /** Renews every key of the lease, together with what is due in the same turn. */
    private _renew(): LeaseRenewal {
        const renewal = this._begin();
        this._parts.renewals.add(renewal.parts);
        return renewal;
    }

    private _begin(): LeaseRenewal {
        this._renewing = new LeaseRenewal(this.lease, this._parts.clock.now(), (answered) => this._answered(answered));
        this._plan(Infinity);
        return this._renewing;
    }

    private _answered(renewal: LeaseRenewal): void {
        const { context, lease, since } = this;
        const { clock, deputy, tell } = this._parts;
        const { failure } = renewal;
        // One that was overtaken has not asked for the keys that were added since.
        const isLast = this._renewing === renewal;
        if (isLast) this._renewing = this._readUntil = undefined;
        this._isAstray ||= failure?.unknown === true;
        this.failure = failure;
        if (!lease.isHeld()) return;
        if (isLast) deputy.done(lease);
        const { key, holder } = lease;
        if (failure === undefined) tell({ kind: 'renewed', key, holder, context, held: clock.now() - since });
        else tell({ kind: 'failed', key, holder, context, error: failure });
        // The observer may have ended it.
        if (!isLast || !this._isUnderWay()) return;
        if (failure === undefined) this._isConfirmed = true;
        this._plan(failure === undefined ? this._rhythm(clock.now() - renewal.sentAt) : this._retryPause());
    }

    /** When to renew next, from now. @param gone how long ago the last renewal was sent. */
    private _rhythm(gone = 0): number {
        if (!this.isKept) return this._isConfirmed ? Infinity : 0;
        return nextRenewal(this.lease.ttl, this.lease.remaining(), gone);
    }

    private _retryPause(): number {
        if (!this.isKept && this._isConfirmed) return Infinity;
        return nextTry(this.lease.ttl, this.lease.remaining());
    }

    /** Sets when it is due next, from now: at its deadline at the latest. */
    private _plan(delay: number): void {
        const { clock, queue } = this._parts;
        queue.set(this, Math.min(onGrid(clock.now(), delay), this.lease.deadline));
    }
}
