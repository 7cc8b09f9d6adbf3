import { LockError } from '../port/errors';
import { nameOf } from '../port/holder';
import type { Busy } from '../port/LockStore';
import type { Place } from './Place';
import type { Turn } from './Turn';

/** One that waits, or tries, and what is before it. */
export interface Behind {
    readonly key: string;
    readonly id: string;
    /** It is the first of those who wait here. */
    readonly isFirst: boolean;
    /** How many wait here beside the last of them. */
    readonly others: number;
    readonly turn: Turn | undefined;
    readonly place: Place | undefined;
    readonly now: number;
}

/** What one is told that does not ask the store itself: what the first of those who wait here is told, or was. */
export function answerBehind({ key, id, isFirst, others, turn, place, now }: Behind): Busy | LockError {
    if (turn === undefined && place?.failure !== undefined) {
        const { code, message } = place.failure;
        return new LockError(code, message, { key, holder: nameOf(id), cause: place.failure });
    }
    const before = place?.busy;
    const until = turn?.deadline ?? (before === undefined ? now : before.sentAt + before.remaining);
    return {
        kind: 'busy',
        sentAt: now,
        fence: 0,
        ticket: 0,
        foreign: false,
        remaining: Math.max(until - now, 0),
        rank: isFirst ? 0 : others + (before?.rank ?? 0),
        holder: turn?.holder ?? before?.holder ?? '',
    };
}
