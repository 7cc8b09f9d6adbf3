/*
 * When a lease is renewed, counted from now. `left` is what is left of it. Durations in ms.
 */

/** Renewals are due at multiples of this: those of about the same time go out in one command. */
const GRID = 10;

/** The longest pause after a renewal that failed. */
const LONGEST_PAUSE = 1000;

/**
 * After a renewal that succeeded: at a third of the ttl, or of what is left where that is more. In any case before half of what is left
 * is over.
 *
 * @param gone how long ago that renewal was sent. A slow answer must not put off the next one.
 */
export function nextRenewal(ttl: number, left: number, gone: number): number {
    return Math.max(Math.min(Math.max(ttl, left) / 3 - gone, left / 2), 0);
}

/** After a renewal that failed: several times before the deadline, the nearer the faster. */
export function nextTry(ttl: number, left: number): number {
    return Math.min(left / 4, Math.max(ttl, left) / 10, LONGEST_PAUSE);
}

/** The instant at which something is due that may be `delay` away. Never later. */
export function onGrid(now: number, delay: number): number {
    const at = Math.floor((now + delay) / GRID) * GRID;
    return at > now ? at : now + delay;
}
