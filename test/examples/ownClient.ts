import type { Redis } from 'ioredis';
import { RedisLock } from '../../src';

/** A lock that uses a client which somebody else has made, and closes. */
export async function ownClient(client: Redis): Promise<boolean> {
    const lock = new RedisLock(client);
    await lock.open(null);
    const acquired = await lock.tryAcquireLock(null, 'order:42', 10000);
    await lock.close(null);
    return acquired;
}
