import { setTimeout as sleep } from 'node:timers/promises';
import { isOfThisProcess } from '../engine/port/holder';
import type { LockInfo } from '../engine/port/LockStore';
import type { RedisLock } from '../lock/RedisLock';
import { spoken } from './text';

/** A caller that waits no longer than this is told nothing, ms. */
const FIRST = 500;
/** How often it looks then whether something has changed, ms. */
const NEXT = 5000;

/** Tells who has a key for which this process waits, and how many are before it; again when that has changed. */
export async function tellOfWait(
    lock: RedisLock,
    key: string,
    say: (text: string) => void,
    over: AbortSignal,
): Promise<void> {
    let told = '';
    for (let pause = FIRST; !over.aborted; pause = NEXT) {
        await sleep(pause, undefined, { signal: over }).catch(() => undefined);
        if (over.aborted) return;
        // An outage is told by the wait itself, when it ends for that.
        const info = await lock.inspect(null, key).catch(() => undefined);
        if (over.aborted || info?.holder === undefined) continue;
        const place = placeOf(info);
        const name = JSON.stringify([info.holders.map(({ holder }) => holder), place]);
        if (name === told) continue;
        told = name;
        say(sentenceOf(info, place));
    }
}

export function sentenceOf({ held, holder, holders, key, mode, remaining }: LockInfo, before: number): string {
    const others = before === 1 ? '1 other is' : `${before} others are`;
    if (mode === 'shared') return `waiting for ${key}: shared by ${holders.length}; ${others} before this one`;
    const since = held === undefined ? '' : ` for ${spoken(held)}`;
    const end = remaining === Infinity ? 'never runs out' : `runs out in ${spoken(remaining)} unless renewed`;
    return `waiting for ${key}: held by ${holder}${since}, ${end}; ${others} before this one`;
}

/** How many wait before this process. */
function placeOf({ waiters }: LockInfo): number {
    const place = waiters.findIndex(({ holder }) => isOfThisProcess(holder));
    return place === -1 ? waiters.length : place;
}
