import { assert } from 'chai';
import { CompositeFactory, Descriptor, Factory } from 'pip-services4-components-node';
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

    test('makes the lock where it was added after another factory for it, and not where before', () => {
        const OtherLock = function (this: object): void {} as unknown as new () => object;
        const other = new Factory();
        other.registerAsType(new Descriptor('pip-services', 'lock', 'redis', '*', '1.0'), OtherLock);
        const descriptor = Descriptor.fromString('pip-services:lock:redis:default:1.0');
        for (const [factories, made] of [
            [[other, factory], RedisLock],
            [[factory, other], OtherLock],
        ] as const) {
            // As a container has them.
            assert.instanceOf(new CompositeFactory(...factories).create(descriptor), made);
        }
    });

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
