import { RecycledMap } from '../collections/RecycledMap';
import type { GiveUps } from '../followups/GiveUps';
import { LockError, isTemporary } from '../port/errors';
import { chosenHolder, nameOf } from '../port/holder';
import type { LockEvent } from '../port/LockObserver';
import type { AcquireAnswer, Busy, Callback, Granted, LockStore } from '../port/LockStore';
import { WAITER_LEASE } from '../port/protocol';
import { grantByMessage } from '../port/validity';
import type { GrantMessage } from '../port/validity';
import type { Clock } from '../time/Clock';
import { TimerHeap } from '../time/TimerHeap';
import { AbortSignals } from './AbortSignals';
import { DifferingLimits } from './DifferingLimits';
import { Outage } from './Outage';
import { foreignWakeUp, graceAfter, isFresh, isOnTime, retryPause, wakeUp } from './wakeUp';
import { ASLEEP, SETTLED, Waiter } from './Waiter';
import type { Acquired, Outcome, WaitRequest } from './Waiter';
import { aborted, closed, tooLate, unanswered, unserved } from './waitErrors';

export interface WaitersOptions {
    /** Pause between attempts where the store does not wake us, ms. */
    readonly retryTimeout: number;
    readonly maxWaiting: number;
}

/**
 * Those who want a key, from their first attempt to their grant. They stand in line in the store and sleep until they are
 * woken; every timer here is there for the case that a wake-up was lost or somebody died.
 *
 * What is temporary is retried until the timeout. A refusal that took no time is told in the next turn of the event loop: a
 * caller that asks in a loop must not keep that from running which would end the refusal.
 */
export class Waiters {
    private readonly _byId = new RecycledMap<Waiter>();
    private readonly _queue: TimerHeap<Waiter>;
    private readonly _signals = new AbortSignals<Waiter>((waiter, signal) =>
        this._leave(waiter, aborted(waiter.request, signal)),
    );
    private readonly _outage: Outage;
    private readonly _limits: DifferingLimits;
    /** Its attempt is being handed to the store. */
    private _sending: Waiter | undefined;
    private _closed = false;

    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        private readonly _giveUps: GiveUps,
        private readonly _options: WaitersOptions,
        private readonly _tell: (event: LockEvent) => void,
    ) {
        this._queue = new TimerHeap(_clock, (waiter) => this._due(waiter));
        this._outage = new Outage(_tell);
        this._limits = new DifferingLimits(_tell);
        _giveUps.owners.listen({
            over: (key, owner) => {
                for (const waiter of this._ofOwner(key, owner)) this._attempt(waiter);
            },
            failed: (key, owner, error) => {
                for (const waiter of this._ofOwner(key, owner)) this._heldUp(waiter, error);
            },
        });
    }

    get size(): number {
        return this._byId.size;
    }

    /**
     * Waits for a key. Busy to the end is an answer; so that nobody overtakes, every attempt takes a
     * place in line, but that of a waiter that has only one. The caller is told of a LockError LOCK_ABORTED, CLOSED, TOO_MANY, what the store failed with for good, or
     * what it failed with last when the time was over.
     */
    acquire(request: WaitRequest, caller: Callback<Acquired | Busy>): void {
        const { key, id, signal } = request;
        if (this._closed) caller(closed(request));
        else if (signal?.aborted === true) caller(aborted(request, signal));
        else {
            const waiter = new Waiter(request, caller, this._clock.now(), this._answered);
            if (this._byId.size >= this._options.maxWaiting) {
                const text = `${this._byId.size} callers wait already, as many as options.max_waiting allows.`;
                this._end(waiter, new LockError('TOO_MANY', text, { key, holder: nameOf(id) }));
                return;
            }
            if (signal !== undefined) this._signals.add(signal, waiter);
            this._byId.set(id, waiter);
            if (request.timeout > 0) this._queue.set(waiter, waiter.giveUpAt);
            this._attempt(waiter);
        }
    }

    /** The store says that a waiter was granted its key. */
    granted(key: string, id: string, fence: number, ttl: number): void {
        const waiter = this._waiting(key, id);
        if (waiter?.phase.kind === 'asking') waiter.phase.heard = { fence, ttl };
        else if (waiter !== undefined) this._trustGrant(waiter, { fence, ttl });
    }

    /** The store says that a waiter may get its key if it asks now. */
    woken(key: string, id: string): void {
        const waiter = this._waiting(key, id);
        if (waiter !== undefined) this._attempt(waiter);
    }

    /** The store says that a waiter is the first in line. */
    first(key: string, id: string, remaining: number): void {
        const waiter = this._waiting(key, id);
        if (waiter === undefined) return;
        const { busy, phase, request } = waiter;
        const fresh = busy !== undefined && isFresh(this._clock.now() - busy.sentAt, request.ttl);
        if (phase.kind !== 'asleep' || busy === undefined || (!fresh && this._store.confirmsGrants !== true)) {
            this._attempt(waiter);
            return;
        }
        waiter.busy = { ...busy, rank: 0 };
        this._sleep(waiter, { ...waiter.busy, remaining });
    }

    /** A foreign holder's key changed: the first in line looks. */
    changed(key: string): void {
        for (const waiter of this._byId.items()) {
            if (waiter.request.key === key && waiter.busy?.rank === 0) this._attempt(waiter);
        }
    }

    /** Messages may have been lost, and what failed may succeed: everybody looks. */
    recheck(): void {
        for (const waiter of this._byId.items()) {
            if (waiter.busy !== undefined || waiter.failure !== undefined) this._attempt(waiter);
        }
    }

    /** The store cannot be reached, which was told to the observer. */
    disconnected(): void {
        this._outage.known(this._clock.now());
    }

    /** Sends every waiter away. */
    close(): void {
        this._closed = true;
        for (const waiter of [...this._byId.items(), ...this._queue.items()])
            this._leave(waiter, closed(waiter.request));
        this._queue.clear();
    }

    private _waiting(key: string, id: string): Waiter | undefined {
        const waiter = this._closed ? undefined : this._byId.get(id);
        return waiter?.request.key === key ? waiter : undefined;
    }

    private _due(waiter: Waiter): void {
        if (waiter.phase.kind === 'ending') {
            this._leave(waiter, waiter.phase.outcome);
            return;
        }
        const now = this._clock.now();
        const late = now - waiter.giveUpAt;
        if (late >= 0) {
            if (waiter.lastTryAt === undefined || (waiter.phase.kind === 'asking' && isOnTime(late))) {
                this._giveUp(waiter);
                return;
            }
            // The event loop was late: the answer may be there and only not read yet, or the last try is still owed.
            waiter.giveUpAt = now + graceAfter(late);
        }
        if (waiter.lastTryAt !== undefined && now >= waiter.lastTryAt) waiter.lastTryAt = undefined;
        // Whatever becomes of the attempt, the time to give up is kept.
        this._wake(waiter, Infinity);
        this._attempt(waiter);
    }

    private _wake(waiter: Waiter, delay: number): void {
        const { giveUpAt, lastTryAt = Infinity } = waiter;
        this._queue.set(waiter, Math.min(this._clock.now() + delay, lastTryAt, giveUpAt));
    }

    private _attempt(waiter: Waiter): void {
        switch (waiter.phase.kind) {
            case 'asking':
                waiter.phase.heard ??= 'wake-up';
                return;
            case 'asleep':
                if (this._isHeldUp(waiter)) return;
                waiter.phase = { kind: 'asking', heard: undefined };
                this._send(waiter);
                return;
            case 'ending':
            case 'settled':
        }
    }

    private _send(waiter: Waiter): void {
        const { busy, request } = waiter;
        const { key, id, share, ttl } = request;
        const ticket = waiter.isOnce ? undefined : (busy?.ticket ?? 0);
        this._sending = waiter;
        this._store.acquire({ key, id, ttl, ticket, share }, waiter.answered);
        this._sending = undefined;
    }

    private readonly _answered = (waiter: Waiter, answer: AcquireAnswer | LockError): void => {
        const { phase } = waiter;
        // Whoever left has given the acquisition up already.
        if (phase.kind !== 'asking') return;
        waiter.phase = ASLEEP;
        if (answer instanceof Error) {
            this._failed(waiter, answer);
            return;
        }
        if (answer.kind === 'granted' && answer.deadline <= this._clock.now()) {
            this._failed(waiter, tooLate(waiter.request));
            return;
        }
        waiter.failure = undefined;
        waiter.failures = 0;
        if (answer.kind === 'granted') this._grant(waiter, answer);
        else this._stillBusy(waiter, answer, phase.heard);
    };

    private _stillBusy(waiter: Waiter, busy: Busy, heard: GrantMessage | 'wake-up' | undefined): void {
        const { key, id, context, share } = waiter.request;
        const isFirst = waiter.busy === undefined;
        waiter.busy = busy;
        // (Readers have no limit: they differ from nobody.)
        if (busy.limit !== undefined && share !== undefined && share.limit < Infinity)
            this._limits.differ(key, share.limit, busy.limit);
        if (waiter.isOnce) {
            if (this._sending === waiter) this._end(waiter, busy);
            else this._settle(waiter, busy);
            return;
        }
        if (isFirst) this._tell({ kind: 'waiting', key, holder: nameOf(id), context, rank: busy.rank });
        if (heard === undefined) this._sleep(waiter, busy);
        else if (heard === 'wake-up') this._attempt(waiter);
        else this._trustGrant(waiter, heard);
    }

    private _grant(waiter: Waiter, { holder, fence, deadline, confirmed }: Granted): void {
        const buried = waiter.isAstray ? waiter.request.id : undefined;
        this._settle(waiter, { kind: 'granted', holder, fence, deadline, confirmed, buried });
    }

    /** Tells a caller of its outcome, but not in this turn of the event loop. */
    private _end(waiter: Waiter, outcome: Outcome): void {
        waiter.phase = { kind: 'ending', outcome };
        this._queue.set(waiter, this._clock.now());
    }

    private _settle(waiter: Waiter, outcome: Outcome): void {
        const { id, signal } = waiter.request;
        waiter.phase = SETTLED;
        if (signal !== undefined) this._signals.delete(signal, waiter);
        if (this._byId.get(id) === waiter) this._byId.delete(id);
        this._queue.delete(waiter);
        waiter.caller(outcome);
    }

    /** Until when nothing needs to be done, if nobody wakes us before. */
    private _sleep(waiter: Waiter, busy: Busy): void {
        const now = this._clock.now();
        const { retryTimeout } = this._options;
        const { delay, standsIn } = wakeUp(busy, {
            wakes: this._store.wakes,
            retryTimeout,
            sinceStandIn: now - waiter.stoodInAt,
            random: Math.random(),
        });
        if (standsIn) waiter.stoodInAt = now + delay;
        this._wake(waiter, delay);
        if (busy.foreign && busy.rank === 0 && this._store.wakes) void this._watch(waiter, busy);
    }

    /** A foreign holder passes nothing on: the first in line looks out for it, or asks where it cannot. */
    private async _watch(waiter: Waiter, busy: Busy): Promise<void> {
        const seen = waiter.busy;
        if (await this._store.watch(waiter.request.key, busy.holder)) return;
        if (waiter.phase.kind !== 'asleep' || waiter.busy !== seen) return;
        this._wake(waiter, foreignWakeUp(busy, this._options.retryTimeout, Math.random()));
    }

    /** Believes a grant without asking, if it can be relied on. */
    private _trustGrant(waiter: Waiter, message: GrantMessage): void {
        const { busy, failure, phase, request } = waiter;
        const reliable = phase.kind === 'asleep' && failure === undefined && !this._isHeldUp(waiter);
        const granted =
            reliable && busy !== undefined ? grantByMessage(request, message, busy, this._clock.now()) : undefined;
        if (granted === undefined) this._attempt(waiter);
        else this._grant(waiter, granted);
    }

    private _failed(waiter: Waiter, error: LockError): void {
        const { key, id, context } = waiter.request;
        waiter.failure = error;
        waiter.failures += 1;
        waiter.isAstray ||= error.unknown;
        if (waiter.isOnce || !isTemporary(error)) {
            this._end(waiter, error);
            return;
        }
        this._outage.failed(error, this._clock.now());
        if (waiter.failures === 1) this._tell({ kind: 'failed', key, holder: nameOf(id), context, error });
        this._wake(waiter, retryPause(waiter.failures, Math.random()));
    }

    /** Its owner gives the key back just now: Redis would not tell that release from one of this acquisition. */
    private _isHeldUp({ request: { id, key } }: Waiter): boolean {
        const { owners } = this._giveUps;
        if (owners.size === 0) return false;
        const owner = chosenHolder(id);
        return owner !== undefined && owners.has(key, owner);
    }

    /** Nobody knows what became of the release that it waits for. */
    private _heldUp(waiter: Waiter, cause: LockError): void {
        const { key, id } = waiter.request;
        if (waiter.phase.kind !== 'asleep') return;
        const text = `It is unknown whether ${key} was given back: ${cause.message}`;
        waiter.failure = new LockError(cause.code, text, { key, holder: nameOf(id), cause });
        if (waiter.isOnce) this._end(waiter, waiter.failure);
    }

    private _ofOwner(key: string, owner: string): readonly Waiter[] {
        return this._byId.items().filter(({ request }) => request.key === key && chosenHolder(request.id) === owner);
    }

    private _giveUp(waiter: Waiter): void {
        const { busy, failure, request } = waiter;
        if (failure !== undefined) this._leave(waiter, unserved(request, failure));
        else this._leave(waiter, busy ?? unanswered(request));
    }

    /** Ends a wait before its grant: at once for the caller, and in the background for the store. */
    private _leave(waiter: Waiter, outcome: Outcome): void {
        const { busy, isAstray, phase, request } = waiter;
        if (phase.kind === 'settled') return;
        this._settle(waiter, outcome);
        const underWay = phase.kind === 'asking' || isAstray;
        const { key, id, ttl } = request;
        const isInLine = busy !== undefined && !waiter.isOnce;
        if (isInLine || underWay)
            this._giveUps.giveUp({ key, id, underWay }, this._clock.now() + Math.max(ttl, WAITER_LEASE));
    }
}
