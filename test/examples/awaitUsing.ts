import type { RedisLock } from '../../src';

/** Two accounts at once: taken in sorted order, so that nobody who transfers the other way can block us. */
export async function transfer(lock: RedisLock, from: string, to: string, move: () => Promise<void>): Promise<void> {
    await using lease = await lock.acquire(null, [from, to], { timeout: 5000 });
    lease.assertHeld();
    await move();
}
