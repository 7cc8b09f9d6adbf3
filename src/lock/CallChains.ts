import type { Locker } from '../engine/locker/Locker';
import type { Clock } from '../engine/time/Clock';
import { AbortSignals } from '../engine/waiting/AbortSignals';
import { CallChain } from './CallChain';
import type { ChainRequest } from './CallChain';
import type { SharedLease } from './SharedLease';

/** The call chains that hold or acquire something. A call chain is known by its trace id. */
export class CallChains {
    private readonly _chains = new Map<string, CallChain>();
    private readonly _signals = new AbortSignals<AbortController>((asking, { reason }) => asking.abort(reason));

    constructor(
        private readonly _locker: Locker,
        private readonly _clock: Clock,
    ) {}

    get size(): number {
        return this._chains.size;
    }

    /** @see CallChain.acquire */
    acquire(traceId: string, request: ChainRequest): Promise<SharedLease | null> {
        return this._chain(traceId).acquire(request);
    }

    /** Forgets a lease that was lost. */
    lost(traceId: string, holder: string): void {
        this._chains.get(traceId)?.lost(holder);
    }

    private _chain(traceId: string): CallChain {
        const known = this._chains.get(traceId);
        if (known !== undefined) return known;
        const idle = (): void => void this._chains.delete(traceId);
        const chain = new CallChain(traceId, this._locker, this._clock, this._signals, idle);
        this._chains.set(traceId, chain);
        return chain;
    }
}
