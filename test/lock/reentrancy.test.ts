import { assert } from 'chai';
import { Context } from 'pip-services4-components-node';
import type { LockContext, RedisLock } from '../../src';
import { Locks } from '../fixtures/Locks';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { sharedServer, skipWithoutRedis } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';

const TTL = 20_000;

/** A new context of the same call chain. */
function chain(name = 'chain-1'): LockContext {
    return Context.fromTraceId(name);
}

suite('Re-entrancy', () => {
    let locks: Locks;
    let redis: ServerCommands;
    let lock: RedisLock;
    let key: string;
    let counter = 0;

    suiteSetup(async () => {
        const server = await sharedServer();
        locks = new Locks(server);
        redis = new ServerCommands(server);
        lock = await locks.open({ reentrant: true });
    });
    suiteTeardown(async () => {
        await locks[Symbol.asyncDispose]();
        await redis[Symbol.asyncDispose]();
    });
    setup(() => {
        counter += 1;
        key = `reentrancy-${process.pid}-${counter}`;
    });
    teardown(() => redis.client.del(key));

    test('lets a call chain acquire again what it holds, released by the last', async () => {
        assert.isTrue(await lock.tryAcquireLock(chain(), key, TTL));
        const holder = await redis.client.get(key);
        assert.isTrue(await lock.tryAcquireLock(chain(), key, TTL));
        await lock.acquireLock('chain-1', key, TTL, 0);
        assert.strictEqual(await redis.client.get(key), holder);
        await lock.releaseLock(chain(), key);
        await lock.releaseLock(chain(), key);
        assert.strictEqual(await redis.client.get(key), holder);
        await lock.releaseLock(chain(), key);
        assert.strictEqual(await redis.client.exists(key), 0);
    });

    test('counts over all methods', async () => {
        const lease = await lock.acquire(chain(), key);
        assert.isTrue(await lock.tryAcquireLock(chain(), key, TTL));
        const inner = await lock.tryAcquire(chain(), key);
        assert.strictEqual(inner?.fence, lease.fence);
        const worked = await lock.withLock(chain(), key, {}, (innermost) => Promise.resolve(innermost.holder));
        assert.strictEqual(worked, lease.holder);
        await lease.release();
        await inner?.release();
        assert.strictEqual(await redis.client.exists(key), 1);
        await lock.releaseLock(chain(), key);
        assert.strictEqual(await redis.client.exists(key), 0);
    });

    test('excludes two call chains of one component from each other', async () => {
        assert.isTrue(await lock.tryAcquireLock(chain('chain-1'), key, TTL));
        assert.isFalse(await lock.tryAcquireLock(chain('chain-2'), key, TTL));
        await rejection(lock.acquireLock(chain('chain-2'), key, TTL, 150), 'LOCK_TIMEOUT');
        await lock.releaseLock(chain('chain-2'), key);
        assert.strictEqual(await redis.client.exists(key), 1);
        await lock.releaseLock(chain('chain-1'), key);
        assert.isTrue(await lock.tryAcquireLock(chain('chain-2'), key, TTL));
        await lock.releaseLock(chain('chain-2'), key);
    });

    test('serves the other call chain only when the last has released', async () => {
        const outer = await lock.acquire(chain('chain-1'), key);
        const inner = await lock.acquire(chain('chain-1'), key);
        const waiting = lock.acquire(chain('chain-2'), key, { timeout: 8000 });
        await until(async () => (await lock.inspect(null, key)).waiters.length === 1);
        await outer.release();
        assert.lengthOf((await lock.inspect(null, key)).waiters, 1);
        await inner.release();
        await (await waiting).release();
    });

    test('does not reach over components, though the call chain is the same', async () => {
        const other = await locks.open({ reentrant: true });
        await lock.tryAcquireLock(chain(), key, TTL);
        assert.isFalse(await other.tryAcquireLock(chain(), key, TTL));
        await lock.releaseLock(chain(), key);
    });

    for (const [name, context] of [
        ['null', null],
        ['undefined', undefined],
        ['an empty string', ''],
        ['a context without a trace id', new Context()],
    ] as const) {
        test(`needs a trace id: there is none with ${name}`, async () => {
            assert.isTrue(await lock.tryAcquireLock(context, key, TTL));
            assert.isFalse(await lock.tryAcquireLock(context, key, TTL));
            await lock.releaseLock(context, key);
            assert.strictEqual(await redis.client.exists(key), 0);
        });
    }

    test('is off by default', async () => {
        const standard = await locks.open();
        assert.isTrue(await standard.tryAcquireLock(chain(), key, TTL));
        assert.isFalse(await standard.tryAcquireLock(chain(), key, TTL));
        await standard.releaseLock(chain(), key);
        assert.strictEqual(await redis.client.exists(key), 0);
    });

    test('is over when the lock was lost: the call chain acquires it anew', async () => {
        const lost = await lock.acquire(chain(), key, { ttl: 200, keepAlive: false });
        await until(() => !lost.isHeld());
        const lease = await lock.acquire(chain(), key, { timeout: 3000 });
        assert.isAbove(lease.fence, lost.fence);
        assert.isFalse(await lost.release());
        assert.isTrue(lease.isHeld());
        assert.isTrue(await lease.release());
    });

    test('is over when the lock was released: the next acquisition is a new one', async () => {
        const first = await lock.acquire(chain(), key);
        await first.release();
        const second = await lock.acquire(chain(), key);
        assert.notStrictEqual(second.holder, first.holder);
        await second.release();
    });

    test('is not for a caller that wants a holder of its own choice', async () => {
        const lease = await lock.acquire(chain(), key);
        assert.isNull(await lock.tryAcquire(chain(), key, { holder: 'chosen' }));
        await lease.release();
    });

    test('checks what it is asked for all the same', async () => {
        const lease = await lock.acquire(chain(), key);
        await rejection(lock.acquire(chain(), key, { ttl: 0 }), 'BAD_TTL');
        await rejection(lock.acquire(chain(), key, { timeout: -1 }), 'BAD_TIMEOUT');
        await rejection(lock.acquire(chain(), key, { signal: AbortSignal.abort() }), 'LOCK_ABORTED');
        await lease.release();
        assert.strictEqual(await redis.client.exists(key), 0);
    });

    test('gives the inner one the time it asked for', async () => {
        const outer = await lock.acquire(chain(), key, { ttl: 1500, keepAlive: false });
        const inner = await lock.acquire(chain(), key, { ttl: TTL, keepAlive: false });
        assert.isAbove(inner.remaining(), 10_000);
        await inner.release();
        await outer.release();
    });

    test('holds for several keys in whichever order they are given', async () => {
        const [one, other] = [`${key}-1`, `${key}-2`];
        const outer = await lock.acquire(chain(), [one, other]);
        const inner = await lock.tryAcquire(chain(), [other, one]);
        assert.strictEqual(inner?.holder, outer.holder);
        await inner?.release();
        await outer.release();
        assert.strictEqual(await redis.client.exists(one, other), 0);
    });

    suite('on a server of its own', () => {
        suiteSetup(skipWithoutRedis);

        test('takes no round trip', async () => {
            await using server = await RedisServer.start();
            await using commands = new ServerCommands(server);
            await using own = new Locks(server);
            const component = await own.open({ reentrant: true });
            const outer = await component.acquire(chain(), key, { keepAlive: false });
            await commands.reset();
            const leases = [];
            for (let times = 0; times < 100; times++) leases.push(await component.acquire(chain(), key));
            for (const lease of leases) await lease.release();
            assert.strictEqual(await commands.scripts(), 0);
            await outer.release();
            assert.isAbove(await commands.scripts(), 0);
        });
    });
});
