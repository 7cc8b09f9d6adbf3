import type { Lease } from '../engine/lease/Lease';
import { SharedLease } from './SharedLease';
import type { LeaseShare } from './SharedLease';

/** From so many on, leases that were lost and never released are forgotten. */
const MANY = 1000;

/** What call chains hold, so that each may acquire again what it has. A call chain is known by its trace id. */
export class CallChains {
    private readonly _shares = new Map<string, LeaseShare>();
    private _many = MANY;

    /**
     * Shares what the call chain has of these keys already, unless another holder is wanted. Asks Redis only when a longer
     * ttl is.
     *
     * @throws what the renewal to that ttl throws.
     */
    async enter(
        traceId: string,
        key: string | readonly string[],
        wanted: { readonly ttl?: number | undefined; readonly holder?: string | undefined },
    ): Promise<SharedLease | undefined> {
        const share = this._shares.get(nameOf(traceId, [...new Set([key].flat())].sort()));
        if (share?.lease.isHeld() !== true) return undefined;
        if (wanted.holder !== undefined && wanted.holder !== share.lease.holder) return undefined;
        const lease = new SharedLease(share.lease, traceId, share);
        if (wanted.ttl === undefined || wanted.ttl <= share.ttl) return lease;
        try {
            await lease.renew(wanted.ttl);
            share.ttl = wanted.ttl;
            return lease;
        } catch (error) {
            await lease.release().catch(() => false);
            throw error;
        }
    }

    /** Gives out a new lease, and remembers it for the call chain. */
    begin(traceId: string, lease: Lease, ttl: number): SharedLease {
        return new SharedLease(lease, traceId, this._share(nameOf(traceId, lease.keys), lease, ttl));
    }

    clear(): void {
        this._shares.clear();
    }

    private _share(name: string, lease: Lease, ttl: number): LeaseShare {
        const ended = (): void => {
            if (this._shares.get(name) === share) this._shares.delete(name);
        };
        const share: LeaseShare = { lease, ttl, count: 0, ended };
        this._shares.set(name, share);
        if (this._shares.size > this._many) this._forget();
        return share;
    }

    /** Drops what was lost and never released. */
    private _forget(): void {
        for (const [name, { lease }] of this._shares) if (!lease.isHeld()) this._shares.delete(name);
        this._many = Math.max(MANY, 2 * this._shares.size);
    }
}

function nameOf(traceId: string, keys: readonly string[]): string {
    return JSON.stringify([traceId, ...keys]);
}
