import type { GiveUps } from '../followups/GiveUps';
import { isTemporary } from '../port/errors';
import type { LockError } from '../port/errors';
import { nameOf } from '../port/holder';
import type { LockEvent } from '../port/LockObserver';
import type { AcquireAnswer, Busy, Callback, Granted, LockStore } from '../port/LockStore';
import { WAITER_LEASE } from '../port/protocol';
import { grantByMessage } from '../port/validity';
import type { GrantMessage } from '../port/validity';
import type { Clock } from '../time/Clock';
import type { Alarmed, Alarms } from './Alarms';
import type { DifferingLimits } from './DifferingLimits';
import type { Outage } from './Outage';
import { ASLEEP, SETTLED } from './Phase';
import type { Asking } from './Phase';
import { notGivenBack, tooLate, unanswered, unserved } from './waitErrors';
import type { Acquired, Outcome, WaitRequest } from './WaitRequest';
import { isFresh, lastTryOf } from './wakeUp';

/** What waiting for a key takes. */
export interface WaiterParts {
    readonly store: LockStore;
    readonly clock: Clock;
    readonly giveUps: GiveUps;
    readonly alarms: Alarms<Waiter>;
    readonly outage: Outage;
    readonly limits: DifferingLimits;
    readonly tell: (event: LockEvent) => void;
    /** It waits no more. */
    readonly settled: (waiter: Waiter) => void;
}

/** A caller that wants a key, from its first attempt to its outcome. Of few fields: there may be very many. */
export class Waiter implements Alarmed {
    place = -1;
    phase = ASLEEP;
    /** The last answer. */
    busy: Busy | undefined;
    /** Why the last attempt has no answer, and how many in a row have none. */
    failure: LockError | undefined;
    failures = 0;
    stoodInAt = -Infinity;
    giveUpAt: number;
    lastTryAt: number | undefined;
    /** An attempt had no answer and may reach the store yet, by a connection that was lost. */
    private _isAstray = false;

    constructor(
        private readonly _parts: WaiterParts,
        readonly request: WaitRequest,
        private readonly _caller: Callback<Acquired | Busy>,
    ) {
        const since = _parts.clock.now();
        this.giveUpAt = since + request.timeout;
        this.lastTryAt = since + lastTryOf(request.timeout);
    }

    /** Asks the store, if that is possible now; while an attempt is under way, once more after it. */
    attempt(): void {
        const { phase, request } = this;
        if (phase.kind === 'asking') phase.heard ??= 'wake-up';
        if (phase.kind !== 'asleep' || this._isHeldUp()) return;
        const asking: Asking = { kind: 'asking', isSent: false, heard: undefined };
        this.phase = asking;
        const { key, id, share, ttl } = request;
        const ticket = this._isOnce ? undefined : (this.busy?.ticket ?? 0);
        this._parts.store.acquire({ key, id, ttl, ticket, share }, this._answered);
        asking.isSent = true;
    }

    /** The store says that it was granted the key. */
    granted(message: GrantMessage): void {
        if (this.phase.kind === 'asking') this.phase.heard = message;
        else this._trustGrant(message);
    }

    /** The store says that it is the first in line. */
    first(remaining: number): void {
        const { busy, phase, request } = this;
        const { alarms, clock, store } = this._parts;
        const fresh = busy !== undefined && isFresh(clock.now() - busy.sentAt, request.ttl);
        if (phase.kind !== 'asleep' || busy === undefined || (!fresh && store.confirmsGrants !== true)) {
            this.attempt();
            return;
        }
        this.busy = { ...busy, rank: 0 };
        alarms.sleep(this, { ...this.busy, remaining });
    }

    /** Nobody knows what became of the release of its owner, which it waits for. */
    heldUp(cause: LockError): void {
        if (this.phase.kind !== 'asleep') return;
        this.failure = notGivenBack(this.request, cause);
        if (this._isOnce) this.end(this.failure);
    }

    /** Tells its caller of the outcome, but not in this turn of the event loop. */
    end(outcome: Outcome): void {
        this.phase = { kind: 'ending', outcome };
        this._parts.alarms.end(this);
    }

    /** Its time is over, or that for which its caller had to wait for an outcome. */
    timedOut(): void {
        const { busy, failure, phase, request } = this;
        if (phase.kind === 'ending') this.leave(phase.outcome);
        else if (failure !== undefined) this.leave(unserved(request, failure));
        else this.leave(busy ?? unanswered(request));
    }

    /** Ends the wait before its grant: at once for the caller, and in the background for the store. */
    leave(outcome: Outcome): void {
        const { busy, phase, request } = this;
        if (phase.kind === 'settled') return;
        this._settle(outcome);
        const { clock, giveUps } = this._parts;
        const { key, id, ttl } = request;
        const underWay = phase.kind === 'asking' || this._isAstray;
        const isInLine = busy !== undefined && !this._isOnce;
        if (isInLine || underWay) giveUps.giveUp({ key, id, underWay }, clock.now() + Math.max(ttl, WAITER_LEASE));
    }

    /** It has one attempt, and no place in line. */
    private get _isOnce(): boolean {
        const { once = false, timeout } = this.request;
        return once || timeout === 0;
    }

    private readonly _answered = (answer: AcquireAnswer | LockError): void => {
        const { phase } = this;
        // One that has left has given the acquisition up already.
        if (phase.kind !== 'asking') return;
        this.phase = ASLEEP;
        if (answer instanceof Error) {
            this._failed(answer);
            return;
        }
        if (answer.kind === 'granted' && answer.deadline <= this._parts.clock.now()) {
            this._failed(tooLate(this.request));
            return;
        }
        this.failure = undefined;
        this.failures = 0;
        if (answer.kind === 'granted') this._grant(answer);
        else this._stillBusy(answer, phase);
    };

    private _stillBusy(busy: Busy, { heard, isSent }: Asking): void {
        const { key, id, context, share } = this.request;
        const { alarms, limits, tell } = this._parts;
        const isFirst = this.busy === undefined;
        this.busy = busy;
        // (Readers have no limit: they differ from nobody.)
        if (busy.limit !== undefined && share !== undefined && share.limit < Infinity)
            limits.differ(key, share.limit, busy.limit);
        if (this._isOnce) {
            if (isSent) this._settle(busy);
            else this.end(busy);
            return;
        }
        if (isFirst) tell({ kind: 'waiting', key, holder: nameOf(id), context, rank: busy.rank });
        if (heard === undefined) alarms.sleep(this, busy);
        else if (heard === 'wake-up') this.attempt();
        else this._trustGrant(heard);
    }

    /** Believes a grant without asking, if it can be relied on. */
    private _trustGrant(message: GrantMessage): void {
        const { busy, failure, phase, request } = this;
        const reliable = phase.kind === 'asleep' && failure === undefined && !this._isHeldUp();
        const granted =
            reliable && busy !== undefined
                ? grantByMessage(request, message, busy, this._parts.clock.now())
                : undefined;
        if (granted === undefined) this.attempt();
        else this._grant(granted);
    }

    private _grant({ holder, fence, deadline, confirmed }: Granted): void {
        const buried = this._isAstray ? this.request.id : undefined;
        this._settle({ kind: 'granted', holder, fence, deadline, confirmed, buried });
    }

    private _failed(error: LockError): void {
        const { key, id, context } = this.request;
        const { alarms, clock, outage, tell } = this._parts;
        this.failure = error;
        this.failures += 1;
        this._isAstray ||= error.unknown;
        if (this._isOnce || !isTemporary(error)) {
            this.end(error);
            return;
        }
        outage.failed(error, clock.now());
        if (this.failures === 1) tell({ kind: 'failed', key, holder: nameOf(id), context, error });
        alarms.pause(this);
    }

    /** Its owner gives the key back just now. */
    private _isHeldUp(): boolean {
        return this._parts.giveUps.owners.holdsUp(this.request);
    }

    private _settle(outcome: Outcome): void {
        this.phase = SETTLED;
        this._parts.alarms.delete(this);
        this._parts.settled(this);
        this._caller(outcome);
    }
}
