import type { LockError } from '../port/errors';
import type { Due } from '../time/TimerHeap';
import type { Clock } from '../time/Clock';
import { HeldLease } from './HeldLease';
import type { LeasedKey } from './LeasedKey';
import type { LeaseEnd, LeaseKeeper } from './LeaseKeeper';
import type { LeaseRenewal } from './LeaseRenewal';

/** On what terms a lease is held. */
export interface LeaseTerms {
    /** ms */
    readonly ttl: number;
    /** Renew it until it ends. */
    readonly keepAlive: boolean;
    /** For the observer. */
    readonly context: unknown;
}

/** Those who do for a lease what takes the store. */
export interface UpkeepOwner {
    adopt(one: LeasedKey): LeasedKey;
    renew(upkeep: Upkeep, ttl: number): Promise<void>;
    downgrade(upkeep: Upkeep): Promise<void>;
    keep(upkeep: Upkeep, whether: boolean): void;
    /** The lease has begun, or has got another key. */
    extended(upkeep: Upkeep, confirmed: boolean): void;
    ended(upkeep: Upkeep, end: LeaseEnd): Promise<boolean>;
    exceptionOf(error: LockError, context: unknown): Error;
}

/** A lease, and how it is looked after. */
export class Upkeep implements Due, LeaseKeeper {
    place = -1;
    readonly lease: HeldLease;
    readonly context: unknown;
    /** It is renewed until it ends. */
    isKept: boolean;
    /** The store has it for the whole ttl. */
    isConfirmed = true;
    /** The last renewal that was sent, until it is answered. */
    renewing: LeaseRenewal | undefined;
    /** Why the last renewal that was answered failed, if it did. */
    failure: LockError | undefined;
    /** The event loop was blocked past the deadline: until then the answer to a renewal is waited for. */
    readUntil: number | undefined;
    /** A renewal had no answer and may reach the store yet. */
    isAstray = false;
    /** The longest ttl that the store was asked for. */
    longest: number;

    constructor(
        private readonly _owner: UpkeepOwner,
        clock: Clock,
        one: LeasedKey,
        { ttl, keepAlive, context }: LeaseTerms,
        /** When it was granted. */
        readonly since: number,
    ) {
        this.lease = new HeldLease(this, clock, _owner.adopt(one), ttl);
        this.isKept = keepAlive;
        this.context = context;
        this.longest = ttl;
    }

    renew(ttl: number): Promise<void> {
        return this._owner.renew(this, ttl);
    }

    keep(whether: boolean): void {
        this._owner.keep(this, whether);
    }

    adopt(one: LeasedKey): LeasedKey {
        return this._owner.adopt(one);
    }

    downgrade(): Promise<void> {
        return this._owner.downgrade(this);
    }

    extended(confirmed: boolean): void {
        this._owner.extended(this, confirmed);
    }

    ended(end: LeaseEnd): Promise<boolean> {
        return this._owner.ended(this, end);
    }

    mayBeRenewed(): boolean {
        return this.renewing !== undefined;
    }

    answered(): Promise<unknown> {
        return this.renewing === undefined ? Promise.resolve() : this.renewing.answer();
    }

    exceptionOf(error: LockError): Error {
        return this._owner.exceptionOf(error, this.context);
    }

    /**
     * When to renew next, from now: at a third of the ttl, or of what is left where that is more; in time in any case.
     *
     * @param gone how long ago the last renewal was sent. A slow answer must not put off the next one.
     */
    rhythm(gone = 0): number {
        if (!this.isKept) return this.isConfirmed ? Infinity : 0;
        const left = this.lease.remaining();
        return Math.max(Math.min(Math.max(this.lease.ttl, left) / 3 - gone, left / 2), 0);
    }

    /** When to try again after a renewal that failed, from now: several times before the deadline, the nearer the faster. */
    retryPause(): number {
        if (!this.isKept && this.isConfirmed) return Infinity;
        const left = this.lease.remaining();
        return Math.min(left / 4, Math.max(this.lease.ttl, left) / 10, 1000);
    }
}
