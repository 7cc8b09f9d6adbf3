/**
 * The instant after which a lease is not ours, counted from *before* the request was sent: the server cannot have started
 * the ttl any earlier. One per cent and 2 ms are taken off for clocks that run at different speed and for the rounding of
 * expiry to milliseconds (Redis, "Distributed Locks with Redis", the section on drift).
 */
export function deadlineOf(sentAt: number, ttl: number, drift = 0.01): number {
    return sentAt + ttl - ttl * drift - 2;
}

/**
 * Until when a grant can be relied on that a message tells of; undefined: the store has to be asked. It must be newer than
 * what we last saw, and enough of it left. At the *send* of the attempt that was answered busy the key was not ours, so the
 * grant holds at least until that moment + its ttl.
 */
export function deadlineByMessage(
    message: GrantMessage,
    busy: { readonly sentAt: number; readonly fence: number },
    now: number,
): number | undefined {
    if (message.fence <= busy.fence) return undefined;
    const deadline = deadlineOf(busy.sentAt, message.ttl);
    return deadline - now >= message.ttl / 2 ? deadline : undefined;
}

/** A message about a grant. */
export interface GrantMessage {
    readonly fence: number;
    readonly ttl: number;
}
