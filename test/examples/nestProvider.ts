import { ConfigParams } from 'pip-services4-components-node';
import { RedisLock } from '../../src';

export const REDIS_LOCK = Symbol('REDIS_LOCK');

class NestLock extends RedisLock {
    onModuleDestroy(): Promise<void> {
        return this.close(null);
    }
}

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
