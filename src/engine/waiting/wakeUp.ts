import type { Busy } from '../port/LockStore';
import { HEARTBEAT, LONGEST_POLL } from '../port/protocol';

/*
 * When a waiter asks, if no message wakes it before. Each of these times is there for a message that was lost, or for somebody
 * who died. Durations in ms.
 */

/** The server expires a key on whole ms of its own clock: to ask any sooner would be to ask twice. */
const AFTER_EXPIRY = 2;

/**
 * When a key has expired and its heir is dead, too, the next in line takes its turn. It leaves those before it this long each:
 * enough for a live one to ask and be answered, so that only one asks.
 */
const STAND_IN = 50;

/** Pause between two looks of the second in line on behalf of the first; the third pauses twice as long, and so on. */
const STAND_IN_PAUSE = 250;

/** How many behind the first show that they are there more often, and how often. They take over when those before them and the holder die. */
const FRONT = 2;
const FRONT_HEARTBEAT = 3000;

/** The last attempt leaves its answer this long to arrive in time. */
const SHORTEST_LAST_TRY = 5;
/** What becomes free after the last attempt is not noticed, so it is made no earlier than this before the end. */
const LONGEST_LAST_TRY = 50;

/** Pause after a failed attempt. It doubles with each failure in a row. */
const PAUSE = 100;
const LONGEST_PAUSE = 1000;

/**
 * A message of a grant is relied on while half of the claim window is left, counted from our last attempt. When that is older
 * than this, a waiter that becomes the first asks again: now, while the key is held, and not when it is granted.
 */
const FRESH = 500;

export interface Sleeper {
    /** The store wakes its waiters; else they poll. */
    readonly wakes: boolean;
    readonly retryTimeout: number;
    /** Since this waiter last looked on behalf of those before it. */
    readonly sinceStandIn: number;
    /** From 0 to 1: so that waiters of several processes do not fall into step. */
    readonly random: number;
}

export interface WakeUp {
    readonly delay: number;
    /** It looks on behalf of those before it. */
    readonly standsIn: boolean;
}

/** When a waiter asks again after it was told that the key is busy. */
export function wakeUp({ rank, remaining }: Busy, { wakes, retryTimeout, sinceStandIn, random }: Sleeper): WakeUp {
    if (!wakes) return { delay: Math.min(pollPause(retryTimeout, random), LONGEST_POLL), standsIn: false };
    const expiry = remaining + AFTER_EXPIRY;
    const heartbeat = (rank > 0 && rank <= FRONT ? FRONT_HEARTBEAT : HEARTBEAT) * (0.9 + 0.1 * random);
    if (rank === 0) return { delay: Math.min(expiry, heartbeat), standsIn: false };
    const standIn = Math.max(expiry + rank * STAND_IN, rank * STAND_IN_PAUSE - sinceStandIn);
    return standIn < heartbeat ? { delay: standIn, standsIn: true } : { delay: heartbeat, standsIn: false };
}

/** When the first in line asks again that waits for a foreign holder and cannot watch the key: no message will come. */
export function foreignWakeUp({ remaining }: Busy, retryTimeout: number, random: number): number {
    return Math.min(pollPause(retryTimeout, random), remaining + AFTER_EXPIRY);
}

/** When the next attempt is made. @param failures in a row, before it. */
export function retryPause(failures: number, random: number): number {
    return Math.min(PAUSE * 2 ** (failures - 1), LONGEST_PAUSE) * (0.5 + random);
}

/** When the last attempt is made of one that waits for so long: a twentieth of it before the end, within bounds. */
export function lastTryOf(timeout: number): number {
    const early = Math.min(Math.max(timeout / 20, SHORTEST_LAST_TRY), LONGEST_LAST_TRY);
    return Math.max(timeout - early, timeout / 2);
}

/** Whether so short a delay of a timer is usual: else the event loop was blocked. */
export function isOnTime(late: number): boolean {
    return late < SHORTEST_LAST_TRY;
}

/** How much longer one waits whose time was over while the event loop was blocked: the answer may be there, and only not read. */
export function graceAfter(late: number): number {
    return Math.max(SHORTEST_LAST_TRY, late);
}

/** Whether an answer of this age lets a waiter rely on the message of a grant that is about to come. */
export function isFresh(age: number, ttl: number): boolean {
    return age <= Math.min(ttl / 4, FRESH);
}

function pollPause(retryTimeout: number, random: number): number {
    return retryTimeout * (0.75 + 0.5 * random);
}
