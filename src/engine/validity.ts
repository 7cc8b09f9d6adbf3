/**
 * The instant after which a lease is not ours, counted from *before* the request was sent: the server cannot have started
 * the ttl any earlier. One per cent and 2 ms are taken off for clocks that run at different speed and for the rounding of
 * expiry to milliseconds (Redis, "Distributed Locks with Redis", the section on drift).
 */
export function deadlineOf(sentAt: number, ttl: number, drift = 0.01): number {
    return sentAt + ttl - ttl * drift - 2;
}
