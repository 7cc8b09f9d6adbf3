import { LockError } from '../engine/port/errors';
import type { Lease } from '../engine/lease/Lease';
import { toException } from './exceptions';

/** A lease of the engine, and how many of the call chain's leases stand for it. */
export interface LeaseShare {
    readonly lease: Lease;
    /** ms */
    ttl: number;
    count: number;
    /** Called when the last one releases it. */
    readonly ended: () => void;
}

/** A lease of the engine that others of the call chain may have too: its release counts. */
export class SharedLease implements Lease {
    private _released: Promise<boolean> | undefined;

    constructor(
        private readonly _lease: Lease,
        /** Of the call chain. */
        private readonly _traceId: string,
        private readonly _share: LeaseShare,
    ) {
        _share.count += 1;
    }

    get key(): string {
        return this._lease.key;
    }

    get keys(): readonly string[] {
        return this._lease.keys;
    }

    get holder(): string {
        return this._lease.holder;
    }

    holderOf(key: string): string | undefined {
        return this._lease.holderOf(key);
    }

    get fence(): number {
        return this._lease.fence;
    }

    fenceOf(key: string): number | undefined {
        return this._lease.fenceOf(key);
    }

    get signal(): AbortSignal {
        return this._lease.signal;
    }

    remaining(): number {
        return this.isHeld() ? this._lease.remaining() : 0;
    }

    isHeld(): boolean {
        return this._released === undefined && this._lease.isHeld();
    }

    assertHeld(): void {
        this._assertOpen();
        this._lease.assertHeld();
    }

    async renew(ttl?: number): Promise<void> {
        this._assertOpen();
        await this._lease.renew(ttl);
    }

    release(): Promise<boolean> {
        this._released ??= this._release();
        return this._released;
    }

    handOver(): string {
        this._assertOpen();
        const holder = this._lease.handOver();
        this._released = Promise.resolve(true);
        this._share.ended();
        return holder;
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await this.release().catch(() => false);
    }

    /** Others of the call chain may hold on to what this one has released. */
    private _assertOpen(): void {
        if (this._released === undefined) return;
        const { key, holder } = this;
        const error = new LockError('LOCK_LOST', `The lease was released: ${this.keys.join(', ')}.`, { key, holder });
        throw toException(error, this._traceId);
    }

    private async _release(): Promise<boolean> {
        this._share.count -= 1;
        if (this._share.count > 0) return this._lease.isHeld();
        this._share.ended();
        return this._lease.release();
    }
}
