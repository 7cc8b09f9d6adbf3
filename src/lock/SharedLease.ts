import { LockError } from '../engine/errors';
import type { Lease } from '../engine/Lease';
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

/** What the component gives out: a lease that throws toolkit exceptions, and whose release counts when it is shared. */
export class SharedLease implements Lease {
    private _released: Promise<boolean> | undefined;
    private _controller: AbortController | undefined;

    constructor(
        private readonly _lease: Lease,
        /** Of the call chain that acquired it. */
        readonly traceId: string | undefined,
        /** Where others of the call chain may have it too. */
        private readonly _share?: LeaseShare,
    ) {
        if (_share !== undefined) _share.count += 1;
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

    get fence(): number {
        return this._lease.fence;
    }

    fenceOf(key: string): number | undefined {
        return this._lease.fenceOf(key);
    }

    get signal(): AbortSignal {
        if (this._controller === undefined) {
            const controller = new AbortController();
            const source = this._lease.signal;
            const abort = (): void => controller.abort(toException(source.reason, this.traceId));
            if (source.aborted) abort();
            else source.addEventListener('abort', abort, { once: true });
            this._controller = controller;
        }
        return this._controller.signal;
    }

    remaining(): number {
        return this.isHeld() ? this._lease.remaining() : 0;
    }

    isHeld(): boolean {
        return this._released === undefined && this._lease.isHeld();
    }

    assertHeld(): void {
        try {
            this._assertOpen();
            this._lease.assertHeld();
        } catch (error) {
            throw toException(error, this.traceId);
        }
    }

    async renew(ttl?: number): Promise<void> {
        try {
            this._assertOpen();
            await this._lease.renew(ttl);
        } catch (error) {
            throw toException(error, this.traceId);
        }
    }

    release(): Promise<boolean> {
        this._released ??= this._release();
        return this._released;
    }

    handOver(): string {
        try {
            this._assertOpen();
            const holder = this._lease.handOver();
            this._released = Promise.resolve(true);
            this._share?.ended();
            return holder;
        } catch (error) {
            throw toException(error, this.traceId);
        }
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await this.release().catch(() => false);
    }

    /** Others of the call chain may hold on to what this one has released. */
    private _assertOpen(): void {
        if (this._released === undefined) return;
        const { key, holder } = this;
        throw new LockError('LOCK_LOST', `The lease was released: ${this.keys.join(', ')}.`, { key, holder });
    }

    private async _release(): Promise<boolean> {
        if (this._share !== undefined) {
            this._share.count -= 1;
            if (this._share.count > 0) return this._lease.isHeld();
            this._share.ended();
        }
        try {
            return await this._lease.release();
        } catch (error) {
            throw toException(error, this.traceId);
        }
    }
}
