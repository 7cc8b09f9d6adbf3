import type { RedisLock } from '../../src';

/** Frees what a host left behind that is known to be off, where somebody waits for it. */
export async function freeAbandoned(lock: RedisLock): Promise<void> {
    for await (const { key, holder, held, waiters } of lock.list(null, 'nightly:*')) {
        if (waiters.length === 0 || (held ?? 0) < 60_000) continue;
        await lock.forceRelease(null, key, { holder, by: 'anna', reason: 'its host was switched off' });
    }
}
