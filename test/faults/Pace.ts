/** How workers behave. Durations in ms; the others are probabilities. */
export interface Pace {
    /** Acquisitions at a time per worker. */
    readonly loops: number;
    readonly ttl: readonly [least: number, most: number];
    /** How long a key is held, and the pause after it, at most. */
    readonly stay: number;
    readonly pause: number;
    /** That it is a plain try. */
    readonly tries: number;
    /** That a waiter gives up soon; that it is cancelled. */
    readonly impatient: number;
    readonly cancel: number;
    readonly keepAlive: number;
    /** That a key is held for longer than its ttl. */
    readonly overstay: number;
}

export const PACE: Pace = {
    loops: 2,
    ttl: [300, 600],
    stay: 80,
    pause: 60,
    tries: 0.15,
    impatient: 0.1,
    cancel: 0.1,
    keepAlive: 0.6,
    overstay: 0.04,
};

/** Several callers of each worker want the same key with the same ttl, so that it is passed on among them. */
export const LOCAL_PACE: Pace = { ...PACE, loops: 6, ttl: [600, 600], stay: 40, pause: 40 };
