import { assert } from 'chai';
import { Descriptor } from 'pip-services4-components-node';
import { DefaultRedisLockFactory, RedisLock } from '../../src';

suite('DefaultRedisLockFactory', () => {
    const factory = new DefaultRedisLockFactory();

    for (const locator of ['pip-services:lock:redis:default:1.0', 'pip-services:lock:redis:orders:1.0']) {
        test(`makes a new RedisLock for ${locator}`, () => {
            const descriptor = Descriptor.fromString(locator);
            assert.isNotNull(factory.canCreate(descriptor));
            const made = [factory.create(descriptor), factory.create(descriptor)];
            for (const lock of made) assert.instanceOf(lock, RedisLock);
            assert.notStrictEqual(made[0], made[1]);
        });
    }

    for (const locator of [
        'pip-services:lock:memory:default:1.0',
        'pip-services:lock:redis:default:2.0',
        'pip-services:cache:redis:default:1.0',
        'somebody:lock:redis:default:1.0',
    ]) {
        test(`makes nothing for ${locator}`, () => {
            const descriptor = Descriptor.fromString(locator);
            assert.isNull(factory.canCreate(descriptor));
            assert.isNotOk(factory.create(descriptor));
        });
    }
});
