import { holderOf } from './holder';
import type { Granted } from './LockStore';
import { CLAIM_WINDOW } from './protocol';

/**
 * The instant after which a lease is not ours. It counts from *before* the request was sent: the server cannot have started
 * the ttl any earlier. Taken off are the drift, for a server whose clock runs faster than ours, and 2 ms, because the server
 * rounds an expiry to milliseconds (Redis, "Distributed Locks with Redis", the section on drift).
 *
 * @param drift as a part of the ttl.
 */
export function deadlineOf(sentAt: number, ttl: number, drift = 0.01): number {
    return sentAt + ttl - ttl * drift - 2;
}

/**
 * The instant by which a key has run out by itself that was ours until `deadline`.
 *
 * The ttl from now is too early: the server may have been asked for more before, also for another lease that was passed on to this one.
 * The deadline is too early, too: it is before the end of the key, see {@link deadlineOf}.
 *
 * @param longest the longest ttl that the server is asked for by what may still arrive, ms.
 */
export function latestEnd(now: number, longest: number, deadline: number): number {
    return Math.max(now + longest, now + 1.02 * (deadline - now) + 10);
}

/**
 * Until when the grant can be relied on that a message tells of. Undefined: it cannot, and the store has to be asked.
 *
 * The key was not ours when the attempt was *sent* that was answered by busy. A grant whose fence is greater than the one in that
 * answer was made later, so it holds at least until that moment + its ttl. It is relied on while half of its ttl is left.
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
