import { holderOf } from './holder';
import type { Granted } from './LockStore';
import { CLAIM_WINDOW } from './protocol';

/**
 * The instant after which a lease is not ours, counted from *before* the request was sent: the server cannot have started
 * the ttl any earlier. One per cent and 2 ms are taken off for clocks that run at different speed and for the rounding of
 * expiry to milliseconds (Redis, "Distributed Locks with Redis", the section on drift).
 */
export function deadlineOf(sentAt: number, ttl: number, drift = 0.01): number {
    return sentAt + ttl - ttl * drift - 2;
}

/**
 * The latest instant at which a key may run out by itself that was ours until `deadline`. Not the ttl from now: the server may have been asked
 * for more before, also by the lease that was passed on to this one. A deadline is earlier than the end of the key, see {@link deadlineOf}.
 *
 * @param longest that the server may be about to be asked for, ms.
 */
export function latestEnd(now: number, longest: number, deadline: number): number {
    return Math.max(now + longest, now + 1.02 * (deadline - now) + 10);
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

/** What a message grants to an acquisition; undefined: the store has to be asked. */
export function grantByMessage(
    { id, ttl }: { readonly id: string; readonly ttl: number },
    message: GrantMessage,
    busy: { readonly sentAt: number; readonly fence: number },
    now: number,
): Granted | undefined {
    const deadline = deadlineByMessage(message, busy, now);
    if (deadline === undefined) return undefined;
    const { fence } = message;
    // A ttl that is no longer than the claim window was granted as a whole.
    return { kind: 'granted', holder: holderOf(id, fence), fence, deadline, confirmed: ttl <= CLAIM_WINDOW };
}

/** A message about a grant. */
export interface GrantMessage {
    readonly fence: number;
    readonly ttl: number;
}
