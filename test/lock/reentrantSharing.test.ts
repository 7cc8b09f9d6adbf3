import { assert } from 'chai';
import { Context } from 'pip-services4-components-node';
import type { LockContext, RedisLock } from '../../src';
import { rejection } from '../fixtures/rejection';
import { keysOfSuite } from '../fixtures/suiteServer';
import { until } from '../fixtures/until';

const SHARED = { mode: 'shared', ttl: 20_000, timeout: 8000 } as const;

/** A new context of the same call chain. */
function chain(name = 'chain-1'): LockContext {
    return Context.fromTraceId(name);
}

suite('Re-entrancy with sharing', () => {
    const ours = keysOfSuite('reentrant-sharing');
    let lock: RedisLock;
    let other: RedisLock;
    let key: string;

    suiteSetup(async () => {
        [lock, other] = [await ours.locks.open({ reentrant: true }), await ours.locks.open()];
    });
    setup(() => void (key = ours.key));

    test('lets a reader of the call chain read again, also past one who waits to have the key alone', async () => {
        const outer = await lock.acquire(chain(), key, SHARED);
        const writing = other.acquire(null, key, { timeout: 15_000 });
        await until(async () => (await other.inspect(null, key)).waiters.length === 1);
        const inner = await lock.acquire(chain(), key, SHARED);
        assert.strictEqual(inner.fence, outer.fence);
        assert.strictEqual(inner.mode, 'shared');
        await outer.release();
        assert.isTrue(inner.isHeld());
        assert.lengthOf((await other.inspect(null, key)).waiters, 1);
        await inner.release();
        assert.isTrue(await (await writing).release());
    });

    test('keeps another call chain behind one who waits to have the key alone', async () => {
        const outer = await lock.acquire(chain('chain-1'), key, SHARED);
        const writing = other.acquire(null, key, { timeout: 15_000 });
        await until(async () => (await other.inspect(null, key)).waiters.length === 1);
        assert.isNull(await lock.tryAcquire(chain('chain-2'), key, SHARED));
        await outer.release();
        await (await writing).release();
    });

    test('lets a call chain read what it has alone, which stays so', async () => {
        const outer = await lock.acquire(chain(), key);
        const inner = await lock.acquire(chain(), key, SHARED);
        assert.strictEqual(inner.holder, outer.holder);
        assert.deepEqual([outer.mode, inner.mode], ['exclusive', 'shared']);
        await outer.release();
        assert.isNull(await other.tryAcquire(null, key, SHARED));
        assert.isTrue(await inner.release());
        assert.isNotNull(await other.tryAcquire(null, key));
        await ours.redis.client.del(key);
    });

    for (const how of ['acquire', 'tryAcquire'] as const) {
        test(`says at once that a reader would wait for itself: ${how}`, async () => {
            const outer = await lock.acquire(chain(), key, SHARED);
            const error = await rejection(lock[how](chain(), key, { timeout: 60_000 }), 'BAD_PARAMETER');
            assert.strictEqual(error.trace_id, 'chain-1');
            assert.match(error.message, /would wait for itself/);
            assert.isTrue(outer.isHeld());
            assert.isTrue(await outer.release());
            assert.isTrue(await (await lock.acquire(chain(), key)).release());
        });
    }

    test('says so also to one that waits already when the reader gets its share', async () => {
        const writer = await other.acquire(null, key);
        const reading = lock.acquire(chain(), key, SHARED);
        await until(async () => (await other.inspect(null, key)).waiters.length === 1);
        const failing = rejection(lock.acquire(chain(), key, { timeout: 60_000 }), 'BAD_PARAMETER');
        await until(async () => (await other.inspect(null, key)).waiters.length === 2);
        await writer.release();
        const reader = await reading;
        await failing;
        assert.isTrue(await reader.release());
        await until(async () => (await other.inspect(null, key)).waiters.length === 0);
    });

    test('lets the calls of a chain work under the permits that it has, and take no more', async () => {
        const outer = await lock.acquire(chain(), key, { limit: 3, permits: 2 });
        const inner = await lock.acquire(chain(), key, { limit: 3 });
        assert.strictEqual(inner.fence, outer.fence);
        assert.strictEqual((await other.inspect(null, key)).holders[0]?.permits, 2);
        const more = await rejection(lock.acquire(chain(), key, { limit: 3, permits: 3 }), 'BAD_PARAMETER');
        assert.match(more.message, /2 permits/);
        await outer.release();
        assert.isTrue(await inner.release());
    });

    test('shares the key by a downgrade as soon as no call has it alone any more', async () => {
        const [outer, inner] = [await lock.acquire(chain(), key), await lock.acquire(chain(), key)];
        await inner.downgrade();
        assert.deepEqual([outer.mode, inner.mode], ['exclusive', 'shared']);
        assert.isNull(await other.tryAcquire(null, key, SHARED));
        await outer.downgrade();
        const reader = await other.acquire(null, key, SHARED);
        assert.isTrue(inner.isHeld());
        for (const lease of [outer, inner, reader]) await lease.release();
        assert.strictEqual(await ours.redis.client.exists(key), 0);
    });

    test('shares the key when the last call that had it alone has released it', async () => {
        const [outer, inner] = [await lock.acquire(chain(), key), await lock.acquire(chain(), key)];
        await inner.downgrade();
        await outer.release();
        const reader = await other.acquire(null, key, SHARED);
        assert.isTrue(inner.isHeld());
        assert.isTrue(await inner.release());
        assert.isTrue(await reader.release());
    });

    test('keeps the key alone as long as a call of the chain has more permits than a share has', async () => {
        const outer = await lock.acquire(chain(), key);
        const inner = await lock.acquire(chain(), key, { limit: 5, permits: 2 });
        await outer.downgrade();
        assert.isNull(await other.tryAcquire(null, key, { limit: 5, permits: 4 }));
        await inner.release();
        const sharer = await other.acquire(null, key, { limit: 5, permits: 4, timeout: 8000 });
        assert.isTrue(outer.isHeld());
        for (const lease of [outer, sharer]) await lease.release();
    });

    test('keeps the key for as long as any call of the chain asked for', async () => {
        const outer = await lock.acquire(chain(), key);
        const inner = await lock.acquire(chain(), key, { atLeast: 60_000 });
        await inner.release();
        await outer.release();
        assert.isAbove(await ours.redis.client.pttl(key), 30_000);
    });
});
