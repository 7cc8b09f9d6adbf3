import type { Lease } from '../engine/lease/Lease';
import type { Clock } from '../engine/time/Clock';
import { shareOf } from '../engine/locker/LeaseOptions';
import type { LeaseOptions } from '../engine/locker/LeaseOptions';
import type { Locker } from '../engine/locker/Locker';
import { LockError } from '../engine/port/errors';
import type { AbortSignals } from '../engine/waiting/AbortSignals';
import { toException } from './exceptions';
import { LeaseShare } from './LeaseShare';
import type { Member } from './LeaseShare';
import { SharedLease } from './SharedLease';

/** How a call chain wants a lease; nothing is left to the locker's defaults. */
export interface ChainRequest extends LeaseOptions {
    /** In sorted order, without repetition. */
    readonly keys: readonly [string, ...string[]];
    readonly ttl: number;
    readonly timeout: number;
    readonly how: 'wait' | 'try';
}

/** An acquisition that the engine was asked for. */
interface Asking {
    readonly keys: readonly string[];
    readonly holder: string | undefined;
    /** Aborts it when another acquisition of the call chain has got one of its keys. */
    readonly cut: AbortController;
}

/** `busy`: somebody else has a key. `again`: another acquisition of the call chain has got one meanwhile. */
type Asked =
    { readonly kind: 'granted'; readonly share: LeaseShare } | { readonly kind: 'busy' } | { readonly kind: 'again' };

/**
 * What the calls with one trace id hold and acquire, so that each may acquire again what another of them has: one key, some
 * of several keys, or several keys of which it has some.
 *
 * What the call chain does not have, each of its calls asks the engine for. The first one to be granted a key makes the others
 * stop waiting for it; they join its lease.
 */
export class CallChain {
    private readonly _shares = new Map<string, LeaseShare>();
    private readonly _asking = new Set<Asking>();
    private _calls = 0;

    constructor(
        private readonly _traceId: string,
        private readonly _locker: Locker,
        private readonly _clock: Clock,
        /** Of the callers of all call chains: they abort what is asked for. */
        private readonly _signals: AbortSignals<AbortController>,
        /** Called when it holds and acquires nothing. */
        private readonly _idle: () => void,
    ) {}

    /** @throws what Locker.acquire throws. */
    async acquire(request: ChainRequest): Promise<SharedLease | null> {
        this._calls += 1;
        try {
            return await this._acquire(request, this._clock.now() + request.timeout);
        } finally {
            this._calls -= 1;
            this._check();
        }
    }

    /** Forgets a lease that was lost. */
    lost(holder: string): void {
        for (const share of this._shares.values()) if (share.lease.holder === holder) this._ended(share);
    }

    private async _acquire(request: ChainRequest, deadline: number): Promise<SharedLease | null> {
        const { atLeast = 0, keys, holder, ttl, keepAlive = true } = request;
        const share = shareOf(request);
        const member: Member = { ttl, keepAlive, share, atLeast };
        for (;;) {
            const shares = this._held({ keys, holder });
            const unfit = shares.find((one) => !one.fits(member));
            if (unfit !== undefined) {
                // One that turns out to be lost is in nobody's way.
                if (await unfit.isHeld()) throw this._waitsForItself(unfit, member);
                continue;
            }
            const missing = keys.filter((key) => !shares.some(({ lease }) => lease.keys.includes(key)));
            // Until all are there, none may run out.
            const waiting: Member = { ttl, keepAlive: true, share, atLeast: 0 };
            if (missing.length > 0) for (const one of shares) one.add(waiting);
            try {
                const asked = missing.length > 0 ? await this._ask(missing, request, member, deadline) : undefined;
                if (asked?.kind === 'busy') return null;
                if (asked?.kind === 'again') continue;
                const fresh = asked === undefined ? [] : [asked.share];
                const lease = await this._join(keys, shares, fresh, member);
                if (lease !== undefined) return lease;
            } finally {
                if (missing.length > 0) await leaveAll(shares, waiting);
            }
        }
    }

    /** Which leases have some of the keys, unless another holder is wanted. Whether one is held may not be known yet. */
    private _held({ keys, holder }: Pick<Asking, 'keys' | 'holder'>): readonly LeaseShare[] {
        const shares = new Set<LeaseShare>();
        for (const key of keys) {
            const share = this._shares.get(key);
            if (share === undefined || share.isOver) continue;
            if (holder === undefined || holder === share.lease.holder) shares.add(share);
        }
        return [...shares];
    }

    /** Joins all of them. @returns undefined when one of them has just been lost. */
    private async _join(
        keys: readonly [string, ...string[]],
        shares: readonly LeaseShare[],
        fresh: readonly LeaseShare[],
        member: Member,
    ): Promise<SharedLease | undefined> {
        const joined = await Promise.allSettled(shares.map((share) => share.join(member)));
        const failed = joined.find((one) => one.status === 'rejected');
        const isLost = shares.some(({ lease }) => !lease.isHeld());
        if (failed === undefined && !isLost) {
            return new SharedLease(keys, [...shares, ...fresh], member, this._traceId);
        }
        await leaveAll([...shares, ...fresh], member);
        if (!isLost && failed !== undefined) throw failed.reason;
        return undefined;
    }

    private async _ask(
        keys: readonly string[],
        request: ChainRequest,
        member: Member,
        deadline: number,
    ): Promise<Asked> {
        const { signal, how, keys: _all, ...options } = request;
        const asking: Asking = { keys, holder: request.holder, cut: new AbortController() };
        if (signal?.aborted === true) asking.cut.abort(signal.reason);
        else if (signal !== undefined) this._signals.add(signal, asking.cut);
        this._asking.add(asking);
        try {
            const timeout = Math.max(deadline - this._clock.now(), 0);
            const wanted = { ...options, timeout, signal: asking.cut.signal };
            const lease = await (how === 'wait'
                ? this._locker.acquire(keys, wanted)
                : this._locker.tryAcquire(keys, wanted));
            this._asking.delete(asking);
            // At once, so that one that is told in the same turn that the key is busy finds it.
            if (lease !== null) return { kind: 'granted', share: this._begin(lease, member) };
            return this._held(asking).length > 0 ? { kind: 'again' } : { kind: 'busy' };
        } catch (error) {
            const isCut = asking.cut.signal.aborted && signal?.aborted !== true;
            if (isCut || (isTimeout(error) && this._held(asking).length > 0)) return { kind: 'again' };
            throw error;
        } finally {
            this._asking.delete(asking);
            if (signal !== undefined) this._signals.delete(signal, asking.cut);
        }
    }

    private _begin(lease: Lease, member: Member): LeaseShare {
        const share = new LeaseShare(lease, member, this._locker, (ended) => this._ended(ended));
        for (const key of lease.keys) this._shares.set(key, share);
        for (const asking of this._asking) if (this._held(asking).includes(share)) asking.cut.abort();
        return share;
    }

    private _waitsForItself({ lease }: LeaseShare, { share }: Member): Error {
        const { holder, key, permits } = lease;
        const has = permits === 1 ? 'a share' : `${permits} permits`;
        const wants = share === undefined ? 'to have it alone' : `${share.permits} permits`;
        const text =
            `The call chain has ${has} of ${lease.keys.join(', ')} and asks ${wants}: it would wait for itself. Release the lease ` +
            'first, or ask for what is needed from the start.';
        return toException(new LockError('BAD_PARAMETER', text, { key, holder }), this._traceId);
    }

    private _ended(share: LeaseShare): void {
        for (const key of share.lease.keys) if (this._shares.get(key) === share) this._shares.delete(key);
        this._check();
    }

    private _check(): void {
        if (this._calls === 0 && this._shares.size === 0) this._idle();
    }
}

async function leaveAll(shares: readonly LeaseShare[], member: Member): Promise<void> {
    await Promise.allSettled(shares.map((share) => share.leave(member)));
}

function isTimeout(error: unknown): boolean {
    return typeof error === 'object' && error !== null && 'code' in error && error.code === 'LOCK_TIMEOUT';
}
