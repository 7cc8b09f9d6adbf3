import { RecycledMap } from '../collections/RecycledMap';
import type { GiveUps } from '../followups/GiveUps';
import { chosenHolder } from '../port/holder';
import type { LockEvent } from '../port/LockObserver';
import type { Busy, Callback, LockStore } from '../port/LockStore';
import type { Clock } from '../time/Clock';
import { AbortSignals } from './AbortSignals';
import { Alarms } from './Alarms';
import { DifferingLimits } from './DifferingLimits';
import { Outage } from './Outage';
import { Waiter } from './Waiter';
import type { WaiterParts } from './Waiter';
import { aborted, closed, tooMany } from './waitErrors';
import type { Acquired, WaitRequest } from './WaitRequest';

export interface WaitersOptions {
    /** Pause between attempts where the store does not wake us, ms. */
    readonly retryTimeout: number;
    readonly maxWaiting: number;
}

/**
 * Those who want a key, from their first attempt to their grant. They stand in line in the store and sleep until they are
 * woken.
 *
 * What is temporary is retried until the timeout. A refusal that took no time is told in the next turn of the event loop:
 * a caller that asks in a loop must not block what would end the refusal.
 */
export class Waiters {
    private readonly _byId = new RecycledMap<Waiter>();
    private readonly _alarms: Alarms<Waiter>;
    private readonly _signals = new AbortSignals<Waiter>((waiter, signal) =>
        waiter.leave(aborted(waiter.request, signal)),
    );
    private readonly _outage: Outage;
    private readonly _parts: WaiterParts;
    private _closed = false;

    constructor(
        store: LockStore,
        private readonly _clock: Clock,
        giveUps: GiveUps,
        private readonly _options: WaitersOptions,
        tell: (event: LockEvent) => void,
    ) {
        const clock = _clock;
        const alarms = (this._alarms = new Alarms<Waiter>(store, clock, _options.retryTimeout));
        const outage = (this._outage = new Outage(tell));
        const limits = new DifferingLimits(tell);
        const settled = (waiter: Waiter): void => this._settled(waiter);
        this._parts = { store, clock, giveUps, alarms, outage, limits, tell, settled };
        giveUps.owners.listen({
            over: (key, owner) => {
                for (const waiter of this._ofOwner(key, owner)) waiter.attempt();
            },
            failed: (key, owner, error) => {
                for (const waiter of this._ofOwner(key, owner)) waiter.heldUp(error);
            },
        });
    }

    get size(): number {
        return this._byId.size;
    }

    /**
     * Waits for a key. Busy to the end is an answer. Every attempt takes a place in line, so that nobody overtakes; but that of a waiter
     * that has only one attempt does not. The caller is told of a LockError LOCK_ABORTED, CLOSED, TOO_MANY, what the store failed with for
     * good, or what it failed with last when the time was over.
     */
    acquire(request: WaitRequest, caller: Callback<Acquired | Busy>): void {
        const { id, signal } = request;
        if (this._closed) caller(closed(request));
        else if (signal?.aborted === true) caller(aborted(request, signal));
        else {
            const waiter = new Waiter(this._parts, request, caller);
            if (this._byId.size >= this._options.maxWaiting) {
                waiter.end(tooMany(request, this._byId.size));
                return;
            }
            if (signal !== undefined) this._signals.add(signal, waiter);
            this._byId.set(id, waiter);
            if (request.timeout > 0) this._alarms.begin(waiter);
            waiter.attempt();
        }
    }

    /** The store says that a waiter was granted its key. */
    granted(key: string, id: string, fence: number, ttl: number): void {
        this._waiting(key, id)?.granted({ fence, ttl });
    }

    /** The store says that a waiter may get its key if it asks now. */
    woken(key: string, id: string): void {
        this._waiting(key, id)?.attempt();
    }

    /** The store says that a waiter is the first in line. */
    first(key: string, id: string, remaining: number): void {
        this._waiting(key, id)?.first(remaining);
    }

    /** A foreign holder's key changed: the first in line looks. */
    changed(key: string): void {
        for (const waiter of this._byId.items()) {
            if (waiter.request.key === key && waiter.busy?.rank === 0) waiter.attempt();
        }
    }

    /** Messages may have been lost, and what failed may succeed: everybody looks. */
    recheck(): void {
        for (const waiter of this._byId.items()) {
            if (waiter.busy !== undefined || waiter.failure !== undefined) waiter.attempt();
        }
    }

    /** The store cannot be reached, which was told to the observer. */
    disconnected(): void {
        this._outage.known(this._clock.now());
    }

    /** Sends every waiter away. */
    close(): void {
        this._closed = true;
        for (const waiter of [...this._byId.items(), ...this._alarms.items()]) waiter.leave(closed(waiter.request));
        this._alarms.clear();
    }

    private _waiting(key: string, id: string): Waiter | undefined {
        const waiter = this._closed ? undefined : this._byId.get(id);
        return waiter?.request.key === key ? waiter : undefined;
    }

    private _settled(waiter: Waiter): void {
        const { id, signal } = waiter.request;
        if (signal !== undefined) this._signals.delete(signal, waiter);
        if (this._byId.get(id) === waiter) this._byId.delete(id);
    }

    private _ofOwner(key: string, owner: string): readonly Waiter[] {
        return this._byId.items().filter(({ request }) => request.key === key && chosenHolder(request.id) === owner);
    }
}
