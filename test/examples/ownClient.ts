import type { Redis } from 'ioredis';
import { RedisLock } from '../../src';

export async function openedLock(client: Redis): Promise<RedisLock> {
    const lock = new RedisLock(client);
    await lock.open(null);
    return lock;
}
