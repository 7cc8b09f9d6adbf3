import type { Lease } from '../engine/lease/Lease';
import type { Locker } from '../engine/locker/Locker';
import { READER } from '../engine/port/LockStore';
import type { Share } from '../engine/port/LockStore';

/** What one acquisition of a call chain asked for. */
export interface Member {
    /** ms */
    readonly ttl: number;
    readonly keepAlive: boolean;
    /** Undefined: it is to be held alone. */
    share: Share | undefined;
    /** From its grant on, ms. */
    readonly atLeast: number;
}

/** A lease that is kept alive is renewed when a third of its ttl has passed. */
const KEPT = 2 / 3;

/**
 * One lease of the engine, and the acquisitions of a call chain that have it. Each of them gets at least what it asked for. The
 * last one that leaves releases the lease.
 */
export class LeaseShare {
    private readonly _members = new Set<Member>();
    private _isKept: boolean;
    /** A member has asked for a downgrade. */
    private _isToBeShared = false;
    /** To which the lease was renewed last, ms. */
    private _ttl: number;

    /**
     * @param lease  as its first member asked for it.
     * @param _ended called when nobody has the lease any more.
     */
    constructor(
        readonly lease: Lease,
        first: Member,
        private readonly _locker: Pick<Locker, 'handOver' | 'hold' | 'isHeld' | 'keepAlive'>,
        private readonly _ended: (share: LeaseShare) => void,
    ) {
        this._members.add(first);
        this._isKept = first.keepAlive;
        this._ttl = first.ttl;
    }

    /** Whether a member may have it, too: as a share of what others of the call chain hold. */
    fits(member: Pick<Member, 'share'>): boolean {
        return this.lease.mode === 'exclusive' || this._fitsShared(member);
    }

    /** Whether the lease is held, as soon as that is known. */
    isHeld(): Promise<boolean> {
        return this._locker.isHeld(this.lease);
    }

    /** Whether its lease has ended. Else it is held, or that is not known yet: then `join` and `leave` wait until it is. */
    get isOver(): boolean {
        return !this.lease.isHeld() && this.lease.signal.aborted;
    }

    /** Adds a member, that need not have all of its ttl yet. */
    add(member: Member): void {
        this._members.add(member);
        this._keep();
    }

    /** Adds a member, and renews the lease when less is left than the member asked for. @throws what the renewal throws. */
    async join(member: Member): Promise<void> {
        this.add(member);
        if (member.atLeast > 0) this._locker.hold(this.lease, member.atLeast);
        const wanted = member.keepAlive ? member.ttl * KEPT : member.ttl;
        if (member.ttl > this._ttl || this.lease.remaining() < wanted) await this.renew(member.ttl);
    }

    /** Renews the lease to `ttl`, ms, but to no less than those need for which it is kept alive. */
    async renew(ttl: number): Promise<void> {
        const kept = [...this._members].filter((one) => one.keepAlive).map((one) => one.ttl);
        const longest = Math.max(ttl, ...kept);
        await this.lease.renew(longest);
        this._ttl = longest;
    }

    /** Shares the lease with others as soon as every member has its share of one permit. */
    async downgrade(member: Member): Promise<void> {
        member.share ??= READER;
        this._isToBeShared = true;
        if (this._mayBeShared()) await this.lease.downgrade();
    }

    /** @returns whether the lease was still ours. */
    async leave(member: Member): Promise<boolean> {
        this._members.delete(member);
        if (this._members.size === 0) {
            this._ended(this);
            return this.lease.release();
        }
        this._keep();
        // It never fails for the one that leaves: the others may ask again.
        if (this._isToBeShared && this._mayBeShared()) this.lease.downgrade().catch(() => undefined);
        return this.isHeld();
    }

    /** Hands the lease over, which was held a moment ago. */
    handOver(): void {
        this._locker.handOver(this.lease);
        this._ended(this);
    }

    private _fitsShared({ share }: Pick<Member, 'share'>): boolean {
        return share !== undefined && share.permits <= this.lease.permits;
    }

    private _mayBeShared(): boolean {
        return [...this._members].every((member) => this._fitsShared(member));
    }

    private _keep(): void {
        const isKept = [...this._members].some((one) => one.keepAlive);
        if (isKept === this._isKept) return;
        this._isKept = isKept;
        this._locker.keepAlive(this.lease, isKept);
    }
}
