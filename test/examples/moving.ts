import { ConfigParams } from 'pip-services4-components-node';
import { RedisLock } from '../../src';

export function lockOfMutexes(uri: string): RedisLock {
    const lock = new RedisLock();
    lock.configure(ConfigParams.fromTuples('connection.uri', uri, 'options.key_prefix', 'mutex:'));
    return lock;
}

/** What `redlock.using` was. */
export function fromRedlock(lock: RedisLock, transfer: (fence: number) => Promise<void>): Promise<void> {
    return lock.withLock(null, ['account:1', 'account:2'], { ttl: 5000, timeout: 2000 }, async (lease) => {
        await transfer(lease.fence);
        lease.assertHeld();
    });
}

/** What a Semaphore of redis-semaphore was, with its default times. */
export function fromLimit<T>(lock: RedisLock, work: () => Promise<T>): Promise<T> {
    return lock.withLock(null, 'thumbnails', { limit: 5, ttl: 10_000, timeout: 10_000 }, work);
}
