import type { LockError } from '../port/errors';
import type { AcquireAnswer, Busy, Callback, Granted, Share } from '../port/LockStore';
import type { GrantMessage } from '../port/validity';
import type { Due } from '../time/TimerHeap';
import { lastTryOf } from './wakeUp';

/** A key that is wanted, and for how long. */
export interface WaitRequest {
    readonly key: string;
    /** Names the acquisition, see holder.ts. */
    readonly id: string;
    readonly ttl: number;
    /** Undefined: exclusive. */
    readonly share?: Share | undefined;
    /** From its grant on the key stays taken for so long, also when it is released, ms. */
    readonly atLeast?: number;
    /** How long to wait; 0: one attempt. */
    readonly timeout: number;
    /** One attempt, without a place in line: the timeout is how long its answer may take. One of timeout 0 always is. */
    readonly once?: boolean;
    /** What the caller gave as its timeout, for messages; without it, `timeout`. */
    readonly whole?: number;
    readonly signal: AbortSignal | undefined;
    /** For the observer. */
    readonly context: unknown;
}

/** A key that became ours. */
export interface Acquired extends Granted {
    /** @see ReleaseRequest.buried */
    readonly buried: string | undefined;
}

export type Outcome = Acquired | Busy | LockError;

/** asking ⇄ asleep, until it is settled. An outcome that took no time is told in the next turn of the event loop: it is ending. */
export type Phase =
    /** An attempt is under way. `heard`: what the store told meanwhile, to be looked at after the answer. */
    | { readonly kind: 'asking'; heard: GrantMessage | 'wake-up' | undefined }
    | { readonly kind: 'asleep' }
    | { readonly kind: 'ending'; readonly outcome: Outcome }
    | { readonly kind: 'settled' };

/** Of all waiters: they have no data. */
export const ASLEEP: Phase = { kind: 'asleep' };
export const SETTLED: Phase = { kind: 'settled' };

/** A caller that wants a key. Of few fields: there may be very many. */
export class Waiter implements Due {
    place = -1;
    phase = ASLEEP;
    /** The last answer. */
    busy: Busy | undefined;
    /** Why the last attempt has no answer, and how many in a row have none. */
    failure: LockError | undefined;
    failures = 0;
    /** An attempt had no answer and may reach the store yet, by a connection that was lost. */
    isAstray = false;
    /** When it last looked on behalf of those before it. */
    stoodInAt = -Infinity;
    giveUpAt: number;
    /** Undefined: the last try was made. */
    lastTryAt: number | undefined;
    /** Of each attempt. */
    readonly answered: Callback<AcquireAnswer>;

    /** It has one attempt, and no place in line. */
    get isOnce(): boolean {
        const { once = false, timeout } = this.request;
        return once || timeout === 0;
    }

    constructor(
        readonly request: WaitRequest,
        readonly caller: Callback<Acquired | Busy>,
        since: number,
        answered: (waiter: Waiter, answer: AcquireAnswer | LockError) => void,
    ) {
        this.answered = (answer) => answered(this, answer);
        this.giveUpAt = since + request.timeout;
        this.lastTryAt = since + lastTryOf(request.timeout);
    }
}
