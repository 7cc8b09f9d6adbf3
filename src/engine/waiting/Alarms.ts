import type { Busy, LockStore } from '../port/LockStore';
import type { Clock } from '../time/Clock';
import { TimerHeap } from '../time/TimerHeap';
import type { Due } from '../time/TimerHeap';
import type { Phase } from './Phase';
import type { WaitRequest } from './WaitRequest';
import { foreignWakeUp, graceAfter, isOnTime, retryPause, wakeUp } from './wakeUp';

/** One that is woken, and when. */
export interface Alarmed extends Due {
    readonly request: WaitRequest;
    readonly phase: Phase;
    /** The last answer. */
    readonly busy: Busy | undefined;
    /** How many attempts in a row have no answer. */
    readonly failures: number;
    /** When it last looked on behalf of those before it. */
    stoodInAt: number;
    giveUpAt: number;
    /** Undefined: the last try was made. */
    lastTryAt: number | undefined;
    /** Asks again. */
    attempt(): void;
    /** Its time is over; or it is to be told its outcome, which took no time. */
    timedOut(): void;
}

/**
 * Wakes waiters when no message does, because it was lost or somebody died. Each has a time at which it asks again, one for its last
 * try, and one at which it gives up. There is one timer for all of them.
 */
export class Alarms<Waiter extends Alarmed> {
    private readonly _queue: TimerHeap<Waiter>;

    /** @param _retryTimeout pause between attempts where the store does not wake us, ms. */
    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        private readonly _retryTimeout: number,
    ) {
        this._queue = new TimerHeap(_clock, (waiter) => this._due(waiter));
    }

    /** Those that have an alarm. */
    items(): readonly Waiter[] {
        return this._queue.items();
    }

    /** Its attempt is under way: only its time counts. */
    begin(waiter: Waiter): void {
        this._queue.set(waiter, waiter.giveUpAt);
    }

    /** It is told its outcome in the next turn of the event loop. */
    end(waiter: Waiter): void {
        this._queue.set(waiter, this._clock.now());
    }

    /** It was told that the key is busy. */
    sleep(waiter: Waiter, busy: Busy): void {
        const now = this._clock.now();
        const { wakes } = this._store;
        const { delay, standsIn } = wakeUp(busy, {
            wakes,
            retryTimeout: this._retryTimeout,
            sinceStandIn: now - waiter.stoodInAt,
            random: Math.random(),
        });
        if (standsIn) waiter.stoodInAt = now + delay;
        this._set(waiter, delay);
        if (busy.foreign && busy.rank === 0 && wakes) void this._watch(waiter, busy);
    }

    /** Its attempt has failed, for now. */
    pause(waiter: Waiter): void {
        this._set(waiter, retryPause(waiter.failures, Math.random()));
    }

    delete(waiter: Waiter): void {
        this._queue.delete(waiter);
    }

    clear(): void {
        this._queue.clear();
    }

    private _set(waiter: Waiter, delay: number): void {
        const { giveUpAt, lastTryAt = Infinity } = waiter;
        this._queue.set(waiter, Math.min(this._clock.now() + delay, lastTryAt, giveUpAt));
    }

    private _due(waiter: Waiter): void {
        const { kind } = waiter.phase;
        const now = this._clock.now();
        const late = now - waiter.giveUpAt;
        const isOver = late >= 0 && (waiter.lastTryAt === undefined || (kind === 'asking' && isOnTime(late)));
        if (isOver || kind === 'ending') {
            waiter.timedOut();
            return;
        }
        if (late >= 0) {
            // The event loop was late: the answer may be there and only not read yet, or the last try is still owed.
            waiter.giveUpAt = now + graceAfter(late);
        }
        if (waiter.lastTryAt !== undefined && now >= waiter.lastTryAt) waiter.lastTryAt = undefined;
        // Whatever becomes of the attempt, the time to give up is kept.
        this._set(waiter, Infinity);
        waiter.attempt();
    }

    /** A foreign holder passes nothing on: the first in line watches the key, or asks where it cannot. */
    private async _watch(waiter: Waiter, busy: Busy): Promise<void> {
        const seen = waiter.busy;
        if (await this._store.watch(waiter.request.key, busy.holder)) return;
        if (waiter.phase.kind !== 'asleep' || waiter.busy !== seen) return;
        this._set(waiter, foreignWakeUp(busy, this._retryTimeout, Math.random()));
    }
}
