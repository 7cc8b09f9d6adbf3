import type { AcquireAnswer, Callback } from '../port/LockStore';
import type { ReservingRequest } from '../port/ReservingRequest';

/** Between two attempts of an acquisition whose turn it is, ms: a release and a grant may just cross each other. */
const SHORTEST_PAUSE = 2;
const LONGEST_PAUSE = 40;

/**
 * How long an acquisition tries that the lead lets in and that gets no quorum, ms. Then the next in line may try, and it asks again after
 * `ASK_AGAIN`. The first time is shorter, so that a caller with a short timeout is told that the key is busy.
 */
const PATIENCE = 500;
const FIRST_PATIENCE = 50;
const ASK_AGAIN = 100;

/** When others refuse for this long what the lead lets in, it takes a place in their lines, too, ms. */
const LINE_UP_AFTER = 20;

/** A call of the store for a key, and how long attempts are made for it. */
export class Call {
    private readonly _until: number;
    private _pause = SHORTEST_PAUSE;

    /** @param isFirst it does not stand in line yet. */
    constructor(
        readonly request: ReservingRequest,
        readonly callback: Callback<AcquireAnswer>,
        private readonly _since: number,
        isFirst: boolean,
    ) {
        this._until = _since + Math.min(isFirst ? FIRST_PATIENCE : PATIENCE, request.ttl / 3);
    }

    /** Whether the next attempt is to take a place in every line. */
    linesUp(now: number): boolean {
        return this.request.ticket !== undefined && now - this._since >= LINE_UP_AFTER;
    }

    /** How long until the next attempt, ms: longer each time. Undefined: none is made. @param random from 0 to 1. */
    pause(now: number, random: number): number | undefined {
        if (now >= this._until) return undefined;
        const pause = this._pause * (0.5 + random);
        this._pause = Math.min(2 * this._pause, LONGEST_PAUSE);
        return pause;
    }

    /** How long one waits whose turn it was, ms. @param remaining as a node told. */
    askAgain(remaining: number): number {
        return Math.min(remaining, ASK_AGAIN);
    }
}
