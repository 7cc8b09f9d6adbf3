import type { Lease } from '../lease/Lease';
import { checkSignal, checkType } from '../port/checks';
import type { LockEvent } from '../port/LockObserver';
import type { Clock } from '../time/Clock';
import { AbortSignals } from '../waiting/AbortSignals';
import { Leader } from './Leader';
import type { LeadRequest } from './Leader';

/** The calls of lead that are under way. */
export class Leaders {
    private readonly _leaders = new Set<Leader>();
    private readonly _signals = new AbortSignals<Leader>((leader, signal) => leader.abort(signal));

    constructor(
        private readonly _clock: Clock,
        private readonly _tell: (event: LockEvent) => void,
    ) {}

    /** @param signal ends the call, when its work has settled. @see Locker.lead */
    async lead<T>(
        request: LeadRequest,
        signal: AbortSignal | undefined,
        work: (lease: Lease) => Promise<T>,
    ): Promise<T> {
        checkType(work, 'function', 'work');
        checkSignal(signal, request.key);
        const leader = new Leader(request, this._clock, this._tell);
        this._leaders.add(leader);
        try {
            if (signal?.aborted === true) leader.abort(signal);
            else if (signal !== undefined) this._signals.add(signal, leader);
            return await leader.lead(work);
        } finally {
            this._leaders.delete(leader);
            if (signal !== undefined) this._signals.delete(signal, leader);
        }
    }

    /** Ends every call: CLOSED, when its work has settled. */
    close(): void {
        for (const leader of this._leaders) leader.close();
    }
}
