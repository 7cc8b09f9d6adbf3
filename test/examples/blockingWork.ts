import type { RedisLock } from '../../src';

/**
 * Work that blocks the event loop for longer than the ttl. The lock was configured with options.keep_alive_thread.
 *
 * @param save is given the fence of the lock, and refuses one that is smaller than it has seen.
 */
export async function blockingWork(
    lock: RedisLock,
    compute: () => number,
    save: (result: number, fence: number) => Promise<void>,
): Promise<void> {
    await lock.withLock(null, 'index', { ttl: 2000, timeout: 5000 }, async (lease) => {
        const result = compute(); // nothing else runs meanwhile
        lease.assertHeld();
        await save(result, lease.fence);
    });
}
