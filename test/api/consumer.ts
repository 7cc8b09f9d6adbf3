/** A user's code, compiled by package.test.ts against the packed package. */
import { Cluster as Cluster6, Redis as Redis6 } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import { ConfigParams, Context, References, type IContext, type IOpenable } from 'pip-services4-components-node';
import { DefaultRedisLockFactory, RedisLock } from 'pip-services4-redis-lock-node';

/** As pip-services4-logic-node declares it. */
interface ILock {
    tryAcquireLock(context: IContext, key: string, ttl: number): Promise<boolean>;
    acquireLock(context: IContext, key: string, ttl: number, timeout: number): Promise<void>;
    releaseLock(context: IContext, key: string): Promise<void>;
}

export async function use(): Promise<boolean> {
    const context = Context.fromTraceId('123');
    const component = new RedisLock();
    component.configure(ConfigParams.fromTuples('connection.host', 'localhost', 'connection.port', 6379));
    component.setReferences(References.fromTuples());
    const openable: IOpenable = component;
    const lock: ILock = component;

    await openable.open(context);
    await lock.acquireLock(context, 'key1', 1000, 100);
    await lock.releaseLock(context, 'key1');
    const acquired = await component.tryAcquireLock(context, 'key2', 1000);
    await openable.close(context);
    return acquired;
}

// @ts-expect-error the types are real ones, not any
export const wrong: number = new RedisLock();
// @ts-expect-error likewise
export const wronger: number = new DefaultRedisLockFactory();

// A client of one's own may be of either version of ioredis.
export const locks: readonly RedisLock[] = [
    new RedisLock(new Redis6({ lazyConnect: true })),
    new RedisLock(new Redis5({ lazyConnect: true })),
    new RedisLock(new Cluster6([], { lazyConnect: true })),
    new RedisLock(new Cluster5([], { lazyConnect: true })),
];
// @ts-expect-error settings are none
export const wrongClient = new RedisLock({ host: 'localhost' });
