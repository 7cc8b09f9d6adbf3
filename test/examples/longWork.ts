import type { RedisLock } from '../../src';

/** Work that takes longer than any ttl, and stops when the lock is lost. */
export async function longWork(lock: RedisLock, step: (n: number) => Promise<void>): Promise<number> {
    return lock.withLock(null, 'report', { ttl: 10000, timeout: 60000 }, async (lease) => {
        let done = 0;
        while (done < 5 && !lease.signal.aborted) await step(done++);
        return done;
    });
}
