import { Redis } from 'ioredis';
import { Locker, RedisStore, SingleServer } from '../../src';

/** The engine without the toolkit. */
export async function engineOnly(host: string, port: number): Promise<number> {
    const client = new Redis({ host, port, lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: 0 });
    const server = new SingleServer(client, { connectTimeout: 5000, commandTimeout: 3000, wait: 'auto' });
    const locker = new Locker(new RedisStore(server), { ttl: 10000, timeout: 5000 });
    await locker.open();
    const fence = await locker.withLock('order:42', {}, async (lease) => Promise.resolve(lease.fence));
    await locker.close();
    return fence;
}
