/** The first guess is later than what was seen by so much, µs: not every request takes the same time. */
const MARGIN = 1000;

/** How much lower the guess is after each grant, µs: or it would run ahead for ever where our clock is faster than theirs. */
const STEP = 0.1;

/**
 * Guesses the next fence of the nodes, so that all of them take this one. Where they give fences of their own, the greatest has
 * to be written to the others before the lease may be used: one more round trip.
 *
 * A node gives the greatest of its clock, its time and the hint. So the hint only has to be ahead of the time of every node when
 * the request arrives.
 */
export class FenceHint {
    /** Time of the nodes less ours, µs; undefined: nothing is known yet. */
    private _ahead: number | undefined;
    private _last = 0;

    /** @param now ms, of our clock. Each is greater than the one before. */
    next(now: number): number | undefined {
        if (this._ahead === undefined) return undefined;
        this._last = Math.max(this._last + 1, Math.ceil(now * 1000 + this._ahead));
        return this._last;
    }

    /** @param fences that nodes gave to a request sent at `sentAt`, ms. */
    learn(sentAt: number, fences: readonly number[]): void {
        let [greatest = 0] = fences;
        let isTaken = true;
        for (const fence of fences) {
            if (fence !== greatest) isTaken = false;
            if (fence > greatest) greatest = fence;
        }
        // What was seen includes the time on the way to the slowest of them.
        const seen = greatest - sentAt * 1000;
        if (this._ahead === undefined) this._ahead = seen + MARGIN;
        // Without a margin: clients that learn of each other's guesses would drive them up.
        else if (!isTaken) this._ahead = seen;
        else this._ahead -= STEP;
    }
}
