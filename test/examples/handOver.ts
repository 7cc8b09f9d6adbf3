import type { RedisLock } from '../../src';

/** Takes a lock that another process will give back: sends it the holder. */
export async function begin(lock: RedisLock, send: (holder: string) => void): Promise<void> {
    const lease = await lock.acquire(null, 'upload:7', { ttl: 60000 });
    send(lease.handOver());
}

/** In the other process. */
export async function finish(lock: RedisLock, holder: string): Promise<boolean> {
    await lock.renew(null, 'upload:7', holder, 60000);
    return lock.release(null, 'upload:7', holder);
}
