/**
 * The durations of the protocol, in ms. The scripts are given these very numbers.
 */

/** How long a waiter that was made the holder has to show that it is there: what a frozen waiter costs those behind it. */
export const CLAIM_WINDOW = 2000;

/** How often a waiter shows that it is there, at least. */
export const HEARTBEAT = 10_000;

/** A waiter that was not heard of for so long is taken to be dead. */
export const WAITER_LEASE = 3 * HEARTBEAT;

/** How often a waiter that polls asks, at least: twice in the time that it is given to claim its turn. */
export const LONGEST_POLL = CLAIM_WINDOW / 2;

/** A waiter that polls and was not heard of for so long is taken to be dead. One that lives comes back to its place. */
export const POLLER_LEASE = 3 * LONGEST_POLL;

/** How long the queue and the tombstones of a lock outlive their last use. */
export const QUEUE_LIFE = 2 * WAITER_LEASE;

/** How long the clock of a server outlives its last grant. Beyond that the time of the server carries the order on. */
export const CLOCK_LIFE = 24 * 60 * 60 * 1000;

/** As `CLOCK_LIFE`, of a clock that serves one lock alone: there may be very many. */
export const LOCK_CLOCK_LIFE = 10 * 60 * 1000;

/** The value of a key that several holders share. */
export const SHARED = '(shared)';
