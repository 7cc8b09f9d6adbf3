import { checkTtl } from '../engine/port/checks';
import { LockError } from '../engine/port/errors';
import type { LockMode } from '../engine/port/LockStore';
import { INSPECT, describe } from '../engine/lease/describe';
import { AbortSignals } from '../engine/waiting/AbortSignals';
import type { Lease } from '../engine/lease/Lease';
import { toException } from './exceptions';
import type { LeaseShare, Member } from './LeaseShare';

/** Of the leases of the engine: each may be shared by very many. */
const FOLLOWERS = new AbortSignals<() => void>((lost) => lost());

/**
 * What one acquisition of a call chain has: leases of the engine, that others of the call chain may have too.
 *
 * held → released, by `release` or `handOver`; held → lost, when one of those leases ends.
 */
export class SharedLease implements Lease {
    readonly key: string;
    private _isReleased = false;
    private _left: Promise<boolean> | undefined;
    private _controller: AbortController | undefined;

    /**
     * @param keys    in sorted order.
     * @param _shares that have these keys, among others.
     * @param _member ours, in each of them.
     */
    constructor(
        readonly keys: readonly [string, ...string[]],
        private readonly _shares: readonly LeaseShare[],
        private readonly _member: Member,
        private readonly _traceId: string,
    ) {
        this.key = keys[0];
    }

    get holder(): string {
        return this.holderOf(this.key) ?? '';
    }

    holderOf(key: string): string | undefined {
        return this.keys.includes(key) ? this._leaseOf(key)?.holderOf(key) : undefined;
    }

    get fence(): number {
        return this.fenceOf(this.key) ?? 0;
    }

    fenceOf(key: string): number | undefined {
        return this.keys.includes(key) ? this._leaseOf(key)?.fenceOf(key) : undefined;
    }

    get mode(): LockMode {
        return this._member.share === undefined ? 'exclusive' : 'shared';
    }

    get permits(): number {
        return this._member.share?.permits ?? 1;
    }

    get signal(): AbortSignal {
        return (this._controller ??= this._follow()).signal;
    }

    remaining(): number {
        return this.isHeld() ? Math.min(...this._shares.map(({ lease }) => lease.remaining())) : 0;
    }

    isHeld(): boolean {
        return !this._isReleased && this._shares.every(({ lease }) => lease.isHeld());
    }

    assertHeld(): void {
        // Others of the call chain may hold on to what this one has released.
        if (this._isReleased) throw this._released();
        for (const { lease } of this._shares) lease.assertHeld();
    }

    async renew(ttl: number = this._member.ttl): Promise<void> {
        // Where it is not known whether it is held, the renewal waits until it is.
        if (this._isReleased || (!this.isHeld() && this._ended() !== undefined)) this.assertHeld();
        this._check(ttl);
        await Promise.all(this._shares.map((share) => share.renew(ttl)));
    }

    async downgrade(): Promise<void> {
        this.assertHeld();
        await Promise.all(this._shares.map((share) => share.downgrade(this._member)));
    }

    release(): Promise<boolean> {
        this._left ??= this._leave();
        return this._left;
    }

    handOver(): string {
        this.assertHeld();
        const { holder } = this;
        this._end();
        this._left = Promise.resolve(true);
        // All of them, though the deadline of one may pass just now.
        for (const share of this._shares) share.handOver();
        return holder;
    }

    async [Symbol.asyncDispose](): Promise<void> {
        // It must not replace an error of the block; the observer was told, and the release is retried.
        await this.release().catch(() => false);
    }

    [INSPECT](): string {
        return describe(this);
    }

    private async _leave(): Promise<boolean> {
        // What was lost stays lost: a caller that asks for the signal later is to be told why. A lease that is not held may not be lost: the answer
        // to its renewal may not have been read yet.
        if (this._ended() === undefined) this._end();
        const left = await Promise.allSettled(this._shares.map((share) => share.leave(this._member)));
        for (const one of left) if (one.status === 'rejected') throw one.reason;
        return left.every((one) => one.status === 'fulfilled' && one.value);
    }

    /** Ends it by our wish: its signal will not abort. */
    private _end(): void {
        this._isReleased = true;
        this._unfollow();
    }

    private _follow(): AbortController {
        const controller = new AbortController();
        if (this._isReleased) return controller;
        const ended = this._ended();
        if (ended !== undefined) controller.abort(ended.signal.reason);
        else for (const { lease } of this._shares) FOLLOWERS.add(lease.signal, this._lost);
        return controller;
    }

    private readonly _lost = (): void => {
        this._unfollow();
        this._controller?.abort(this._ended()?.signal.reason);
    };

    private _unfollow(): void {
        if (this._controller === undefined) return;
        for (const { lease } of this._shares) FOLLOWERS.delete(lease.signal, this._lost);
    }

    private _ended(): Lease | undefined {
        return this._shares.find(({ lease }) => lease.signal.aborted)?.lease;
    }

    private _leaseOf(key: string): Lease | undefined {
        return this._shares.find(({ lease }) => lease.keys.includes(key))?.lease;
    }

    private _check(ttl: number): void {
        try {
            checkTtl(ttl, this.key);
        } catch (error) {
            throw toException(error, this._traceId);
        }
    }

    private _released(): Error {
        const { key, holder } = this;
        const text = `The lease was released: ${this.keys.join(', ')}.`;
        return toException(new LockError('LOCK_LOST', text, { key, holder }), this._traceId);
    }
}
