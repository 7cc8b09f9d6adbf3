import type { GiveUps } from '../followups/GiveUps';
import type { Clock } from '../time/Clock';
import { TimerHeap } from '../time/TimerHeap';
import type { Due } from '../time/TimerHeap';
import { LockError, isTemporary } from '../port/errors';
import type { LockEvent } from '../port/LockObserver';
import type { AcquireAnswer, AcquireRequest, Busy, Callback, Granted, LockStore } from '../port/LockStore';
import { holderOf, nameOf } from '../port/holder';
import { HEARTBEAT, WAITER_LEASE } from '../port/protocol';
import { RecycledMap } from '../collections/RecycledMap';
import { deadlineByMessage } from '../port/validity';
import type { GrantMessage } from '../port/validity';

export interface WaitRequest extends AcquireRequest {
    /** How long to wait; 0: one attempt. */
    readonly timeout: number;
    readonly signal: AbortSignal | undefined;
    /** For the observer. */
    readonly context: unknown;
    /** Set before each attempt. */
    ticket: number | undefined;
}

export interface WaitersOptions {
    /** Pause between attempts where the store does not wake us, ms. */
    readonly retryTimeout: number;
    readonly maxWaiting: number;
}

/** A key that became ours. */
export interface Acquired extends Granted {
    /** @see ReleaseRequest.buried */
    readonly buried: string | undefined;
}

/** After the key must have expired: the first in line claims it, the others stand in for those before them. */
const AFTER_EXPIRY = 2;
const STAND_IN = 50;

/** The last attempt is sent a twentieth of the timeout before its end, within these bounds, ms. */
const LAST_TRY = 5;
const EARLIEST_LAST_TRY = 50;

/** One that polls must look so often, ms, or it may miss the time that the store gives it to claim its turn. */
const CLAIM_TIME = 1000;

/**
 * Whoever becomes the first in line asks again when its last answer is older than that, ms: the message of its grant will be
 * relied on for less than half a claim window after it. So it is asked while the key is held, and not when it was granted.
 */
const FRESH = 500;

/** After a failed attempt. */
const PAUSE = 100;

/** A caller that wants a key. Of few fields: there may be very many. */
class Waiter implements Due {
    place = -1;
    settled = false;
    /** The last answer. */
    busy: Busy | undefined;
    /** Why the last attempt has no answer. */
    failure: LockError | undefined;
    attempting = false;
    /** An attempt had no answer: it may still reach the store, by a connection that we have lost. */
    astray = false;
    /** What came while an attempt was under way, to be looked at after it. */
    again = false;
    message: GrantMessage | undefined;
    stoodInAt = -Infinity;
    giveUpAt: number;
    lastTryAt: number;
    onAbort: (() => void) | undefined;

    constructor(
        readonly request: WaitRequest,
        readonly caller: Callback<Acquired | Busy>,
        since: number,
    ) {
        this.giveUpAt = since + request.timeout;
        const { timeout } = request;
        const early = Math.min(Math.max(timeout / 20, LAST_TRY), EARLIEST_LAST_TRY);
        this.lastTryAt = since + Math.max(timeout - early, timeout / 2);
    }
}

/**
 * Those who want a key, from their first attempt to their grant. They stand in line in the store and sleep until they are
 * woken; every timer here is there for the case that a wake-up was lost or somebody died.
 */
export class Waiters {
    private readonly _byId = new RecycledMap<Waiter>();
    private readonly _queue: TimerHeap<Waiter>;
    private _closed = false;

    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        private readonly _giveUps: GiveUps,
        private readonly _options: WaitersOptions,
        private readonly _tell: (event: LockEvent) => void,
    ) {
        this._queue = new TimerHeap(_clock, (waiter) => this._due(waiter));
    }

    get size(): number {
        return this._byId.size;
    }

    /**
     * Waits for a key. Busy to the end is an answer; so that nobody overtakes, every attempt but that of timeout 0 takes a
     * place in line. The caller is told of a LockError LOCK_ABORTED, CLOSED, TOO_MANY, or what the first attempt failed with.
     */
    acquire(request: WaitRequest, caller: Callback<Acquired | Busy>): void {
        const { key, id, signal } = request;
        if (this._closed) caller(closed(request));
        else if (signal?.aborted === true) caller(aborted(request, signal));
        else if (this._byId.size >= this._options.maxWaiting) {
            const text = `${this._byId.size} callers wait already, as many as options.max_waiting allows.`;
            caller(new LockError('TOO_MANY', text, { key, holder: nameOf(id) }));
        } else {
            const waiter = new Waiter(request, caller, this._clock.now());
            if (signal !== undefined) {
                waiter.onAbort = () => this._leave(waiter, aborted(request, signal));
                signal.addEventListener('abort', waiter.onAbort);
            }
            this._byId.set(id, waiter);
            if (request.timeout > 0) this._queue.set(waiter, waiter.giveUpAt);
            this._attempt(waiter);
        }
    }

    /** The store says that a waiter was granted its key. */
    granted(key: string, id: string, fence: number, ttl: number): void {
        if (this._closed) return;
        const waiter = this._byId.get(id);
        if (waiter === undefined || waiter.request.key !== key) return;
        waiter.message = { fence, ttl };
        if (!waiter.attempting) this._trustGrant(waiter);
    }

    /** The store says that a waiter may get its key if it asks now. */
    woken(key: string, id: string): void {
        if (this._closed) return;
        const waiter = this._byId.get(id);
        if (waiter?.request.key === key) this._attempt(waiter);
    }

    /** The store says that a waiter is the first in line. */
    first(key: string, id: string, remaining: number): void {
        if (this._closed) return;
        const waiter = this._byId.get(id);
        if (waiter === undefined || waiter.request.key !== key) return;
        if (waiter.attempting || waiter.busy === undefined) {
            waiter.again = true;
            return;
        }
        const { busy, request } = waiter;
        const old = this._clock.now() - busy.sentAt > Math.min(request.ttl / 4, FRESH);
        if (old && this._store.confirmsGrants !== true) {
            this._attempt(waiter);
            return;
        }
        waiter.busy = { ...busy, rank: 0 };
        this._wake(waiter, Math.min(remaining + AFTER_EXPIRY, HEARTBEAT));
        if (busy.foreign) void this._watch(waiter, waiter.busy);
    }

    /** A foreign holder's key changed: the first in line looks. */
    changed(key: string): void {
        for (const waiter of this._byId.items()) {
            if (waiter.request.key === key && waiter.busy?.rank === 0) this._attempt(waiter);
        }
    }

    /** Messages may have been lost: everybody looks. */
    recheck(): void {
        for (const waiter of this._byId.items()) {
            if (waiter.busy !== undefined) this._attempt(waiter);
        }
    }

    /** Sends every waiter away. */
    close(): void {
        this._closed = true;
        for (const waiter of this._byId.items()) this._leave(waiter, closed(waiter.request));
        this._queue.clear();
    }

    private _due(waiter: Waiter): void {
        const now = this._clock.now();
        const late = now - waiter.giveUpAt;
        if (late >= 0) {
            if (waiter.lastTryAt === Infinity || (waiter.attempting && late < LAST_TRY)) {
                this._giveUp(waiter);
                return;
            }
            // The event loop was late: the answer may be there and only not read yet, or the last try is still owed. For as
            // long as the delay was.
            waiter.giveUpAt = now + Math.max(LAST_TRY, late);
        }
        if (now >= waiter.lastTryAt) waiter.lastTryAt = Infinity;
        // Whatever becomes of the attempt, the time to give up is kept.
        this._wake(waiter, Infinity);
        this._attempt(waiter);
    }

    private _wake(waiter: Waiter, delay: number): void {
        this._queue.set(waiter, Math.min(this._clock.now() + delay, waiter.lastTryAt, waiter.giveUpAt));
    }

    private _attempt(waiter: Waiter): void {
        // An observer may have sent it away.
        if (waiter.settled) return;
        if (waiter.attempting) {
            waiter.again = true;
            return;
        }
        waiter.attempting = true;
        const { request } = waiter;
        request.ticket = request.timeout > 0 ? (waiter.busy?.ticket ?? 0) : undefined;
        this._store.acquire(request, (answer) => this._answered(waiter, answer));
    }

    private _answered(waiter: Waiter, answer: AcquireAnswer | LockError): void {
        if (answer instanceof Error) {
            this._failed(waiter, answer);
            return;
        }
        waiter.attempting = false;
        waiter.failure = undefined;
        // Whoever left has given the acquisition up already.
        if (waiter.settled) return;
        switch (answer.kind) {
            case 'granted':
                if (answer.deadline > this._clock.now()) this._grant(waiter, answer);
                else this._tooLate(waiter);
                return;
            case 'busy':
                this._stillBusy(waiter, answer);
        }
    }

    private _stillBusy(waiter: Waiter, busy: Busy): void {
        const { key, id, timeout, context } = waiter.request;
        const holder = nameOf(id);
        const first = waiter.busy === undefined;
        waiter.busy = busy;
        if (timeout === 0) {
            this._settle(waiter, busy);
            return;
        }
        if (first) this._tell({ kind: 'waiting', key, holder, context, rank: busy.rank });
        if (waiter.message !== undefined) this._trustGrant(waiter);
        else if (waiter.again) {
            waiter.again = false;
            this._attempt(waiter);
        } else this._sleep(waiter, busy);
    }

    private _grant(waiter: Waiter, { holder, fence, deadline, confirmed }: Granted): void {
        const buried = waiter.astray ? waiter.request.id : undefined;
        this._settle(waiter, { kind: 'granted', holder, fence, deadline, confirmed, buried });
    }

    private _settle(waiter: Waiter, outcome: Acquired | Busy | LockError): void {
        const { id, signal } = waiter.request;
        waiter.settled = true;
        if (waiter.onAbort !== undefined) signal?.removeEventListener('abort', waiter.onAbort);
        this._byId.delete(id);
        this._queue.delete(waiter);
        waiter.caller(outcome);
    }

    /** Until when nothing needs to be done, if nobody wakes us before. */
    private _sleep(waiter: Waiter, busy: Busy): void {
        const now = this._clock.now();
        let delay = HEARTBEAT * (0.9 + 0.1 * Math.random());
        if (!this._store.wakes) {
            delay = Math.min(this._poll(), CLAIM_TIME);
        } else if (busy.rank === 0) {
            delay = Math.min(delay, busy.remaining + AFTER_EXPIRY);
            if (busy.foreign) void this._watch(waiter, busy);
        } else if (now - waiter.stoodInAt >= HEARTBEAT) {
            const standIn = busy.remaining + AFTER_EXPIRY + busy.rank * STAND_IN;
            if (standIn < delay) {
                delay = standIn;
                waiter.stoodInAt = now + delay;
            }
        }
        this._wake(waiter, delay);
    }

    /** A foreign holder passes nothing on: the first in line looks out for it, or asks where it cannot. */
    private async _watch(waiter: Waiter, busy: Busy): Promise<void> {
        const watched = await this._store.watch(waiter.request.key, busy.holder);
        const asleep = !waiter.settled && !waiter.attempting && waiter.busy === busy;
        if (!watched && asleep) this._wake(waiter, Math.min(this._poll(), busy.remaining + AFTER_EXPIRY));
    }

    private _poll(): number {
        // So that waiters of several processes do not fall into step.
        return this._options.retryTimeout * (0.75 + 0.5 * Math.random());
    }

    /** Believes a grant without asking, if it can be relied on. */
    private _trustGrant(waiter: Waiter): void {
        const { message, busy } = waiter;
        waiter.message = undefined;
        if (message === undefined) return;
        const reliable = waiter.failure === undefined && busy !== undefined;
        const deadline = reliable ? deadlineByMessage(message, busy, this._clock.now()) : undefined;
        if (deadline === undefined) this._attempt(waiter);
        else {
            const { fence } = message;
            const holder = holderOf(waiter.request.id, fence);
            this._grant(waiter, { kind: 'granted', holder, fence, deadline, confirmed: false });
        }
    }

    private _failed(waiter: Waiter, error: LockError): void {
        const { key, id, context } = waiter.request;
        waiter.attempting = false;
        if (waiter.settled) return;
        waiter.failure = error;
        waiter.astray ||= error.unknown;
        if (waiter.busy === undefined || !isTemporary(error)) {
            this._leave(waiter, error);
            return;
        }
        this._tell({ kind: 'failed', key, holder: nameOf(id), context, error });
        waiter.again = false;
        waiter.message = undefined;
        this._wake(waiter, PAUSE * (0.5 + Math.random()));
    }

    /** The grant took longer to arrive than it lasts. */
    private _tooLate(waiter: Waiter): void {
        const { key, id, ttl } = waiter.request;
        const holder = nameOf(id);
        const text = `Redis took longer to answer than the lease of ${key} would have lasted (ttl ${ttl}).`;
        this._failed(waiter, new LockError('CONNECTION_FAILED', text, { key, holder, unknown: true }));
    }

    private _giveUp(waiter: Waiter): void {
        const { key, id, timeout } = waiter.request;
        const holder = nameOf(id);
        const { busy, failure } = waiter;
        if (failure !== undefined) this._leave(waiter, failure, true);
        else if (busy === undefined) {
            const text = `Redis did not answer within the timeout of ${Math.round(timeout)} ms.`;
            this._leave(waiter, new LockError('CONNECTION_FAILED', text, { key, holder, unknown: true }));
        } else this._leave(waiter, busy);
    }

    /**
     * Ends a wait before its grant: at once for the caller, and in the background for the store.
     *
     * @param underWay an attempt may still reach the store.
     */
    private _leave(waiter: Waiter, outcome: LockError | Busy, underWay = waiter.attempting || waiter.astray): void {
        if (waiter.settled) return;
        const { key, id, ttl } = waiter.request;
        this._settle(waiter, outcome);
        if (waiter.busy === undefined && !underWay) return;
        this._giveUps.giveUp({ key, id, underWay }, this._clock.now() + Math.max(ttl, WAITER_LEASE));
    }
}

function aborted({ key, id }: WaitRequest, signal: AbortSignal): LockError {
    const holder = nameOf(id);
    return new LockError('LOCK_ABORTED', `Waiting for ${key} was aborted.`, { key, holder, cause: signal.reason });
}

function closed({ key, id }: WaitRequest): LockError {
    const holder = nameOf(id);
    return new LockError('CLOSED', `The lock was closed while ${key} was waited for.`, { key, holder });
}
