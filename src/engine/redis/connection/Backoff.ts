/** The shortest pause, and the longest by default, ms. */
const SHORTEST = 50;
const LONGEST = 2000;

/**
 * How long to wait before the next attempt: from 50 ms, doubled each time, to 2 s. Each pause is shortened at random by up to
 * a half, so that the clients of a server that comes back do not all connect in the same millisecond.
 */
export class Backoff {
    private _attempts = 0;

    /** @param _longest ms. */
    constructor(private readonly _longest = LONGEST) {}

    next(): number {
        const pause = Math.min(SHORTEST * 2 ** this._attempts, this._longest);
        if (pause < this._longest) this._attempts += 1;
        return pause * (1 - Math.random() / 2);
    }

    /** The last attempt was of use. */
    reset(): void {
        this._attempts = 0;
    }
}
