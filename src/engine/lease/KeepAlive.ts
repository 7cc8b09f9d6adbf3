import type { GiveUps } from '../followups/GiveUps';
import type { LockError } from '../port/errors';
import type { LockEvent } from '../port/LockObserver';
import type { LockStore } from '../port/LockStore';
import type { Clock } from '../time/Clock';
import { TimerHeap } from '../time/TimerHeap';
import { NO_DEPUTY } from './Deputy';
import type { Deputy } from './Deputy';
import type { HeldLease } from './HeldLease';
import type { LeasedKey } from './LeasedKey';
import { LeaseEndings } from './LeaseEndings';
import type { LeaseTerms } from './LeaseTerms';
import { RenewalList } from './RenewalList';
import { Upkeep } from './Upkeep';
import type { UpkeepParts } from './Upkeep';

/**
 * Every lease that is held, and its upkeep: those that are to be kept alive are renewed at a third of their ttl. There is one timer for
 * all of them.
 */
export class KeepAlive {
    private readonly _queue: TimerHeap<Upkeep>;
    private readonly _endings: LeaseEndings;
    private readonly _parts: UpkeepParts;

    constructor(
        store: LockStore,
        clock: Clock,
        giveUps: GiveUps,
        tell: (event: LockEvent) => void,
        exceptionOf: (error: LockError, context: unknown) => Error,
        deputy: Deputy = NO_DEPUTY,
    ) {
        const queue = (this._queue = new TimerHeap<Upkeep>(clock, (upkeep) => upkeep.due()));
        const endings = (this._endings = new LeaseEndings(store, clock, giveUps, tell, exceptionOf));
        const renewals = new RenewalList(store);
        this._parts = { store, clock, queue, renewals, endings, deputy, tell, exceptionOf };
    }

    /** How many leases are held. */
    get size(): number {
        return this._queue.size;
    }

    /** Looks after a lease from now on. @param confirmed the store has the key for the whole ttl. */
    begin(one: LeasedKey, terms: LeaseTerms, confirmed: boolean): HeldLease {
        const upkeep = new Upkeep(this._parts, one, terms);
        upkeep.extended(confirmed);
        return upkeep.lease;
    }

    /** Releases every lease; settles when all of them have been answered, and those that were being released already. */
    async close(): Promise<void> {
        for (const { lease } of this._queue.items()) lease.close().catch(() => false);
        this._queue.clear();
        await this._endings.idle();
    }
}
