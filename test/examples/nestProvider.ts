import { ConfigParams } from 'pip-services4-components-node';
import { RedisLock } from '../../src';

/** By this a service asks for the lock: `constructor(@Inject(REDIS_LOCK) private readonly lock: RedisLock)`. */
export const REDIS_LOCK = Symbol('REDIS_LOCK');

/** NestJS calls it when the module ends, on a signal, too, after `app.enableShutdownHooks()`: held locks are free at once. */
class NestLock extends RedisLock {
    onModuleDestroy(): Promise<void> {
        return this.close(null);
    }
}

/** For the `providers` of a module. The application starts when the lock is connected, or fails. */
export const redisLockProvider = {
    provide: REDIS_LOCK,
    useFactory: async (): Promise<NestLock> => {
        const lock = new NestLock();
        const uri = process.env['REDIS_URI'] ?? 'redis://localhost:6379';
        lock.configure(ConfigParams.fromTuples('connection.uri', uri));
        await lock.open(null);
        return lock;
    },
};
