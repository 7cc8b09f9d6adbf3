import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { assert } from 'chai';
import { Context } from 'pip-services4-components-node';
import { DIAGNOSTICS_CHANNEL } from '../../src';
import type { LockContext, RedisLock } from '../../src';
import { Locks } from '../fixtures/Locks';
import { ServerCommands } from '../fixtures/ServerCommands';
import { sharedServer } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';

/** Long enough to see a key in between, short enough to wait for its end. */
const SHORT = 200;
const LONG = 20_000;

const PAIRS: [what: string, makes: () => [one: LockContext, other: LockContext]][] = [
    ['trace ids', () => [Context.fromTraceId('held-1'), Context.fromTraceId('held-2')]],
    ['trace ids as strings', () => ['held-1', 'held-2']],
    ['context objects without a trace id', () => [new Context(), new Context()]],
    ['nothing, as neither gives a context', () => [null, null]],
    ['undefined, as neither gives a context', () => [undefined, undefined]],
];

suite('Locks of several callers of one component', () => {
    let locks: Locks;
    let lock: RedisLock;
    let redis: ServerCommands;
    let key: string;
    let counter = 0;

    suiteSetup(async () => {
        locks = new Locks(await sharedServer());
        redis = new ServerCommands(await sharedServer());
        lock = await locks.open();
    });
    suiteTeardown(async () => {
        await locks[Symbol.asyncDispose]();
        await redis[Symbol.asyncDispose]();
    });
    setup(() => {
        counter += 1;
        key = `held-locks-${process.pid}-${counter}`;
    });

    function gone(): Promise<void> {
        return until(async () => (await redis.client.exists(key)) === 0);
    }

    for (const [what, makes] of PAIRS) {
        test(`told apart by ${what}: a late release does not free the newer lock of another`, async () => {
            const [one, other] = makes();
            assert.isTrue(await lock.tryAcquireLock(one, key, SHORT));
            await gone();
            assert.isTrue(await lock.tryAcquireLock(other, key, LONG));
            const holder = await redis.client.get(key);
            await lock.releaseLock(one, key);
            assert.strictEqual(await redis.client.get(key), holder);
            await redis.client.del(key);
        });
    }

    for (const [what, makes] of PAIRS.slice(0, 3)) {
        test(`told apart by ${what}: each frees its own lock after a late release of another`, async () => {
            const [one, other] = makes();
            await lock.tryAcquireLock(one, key, SHORT);
            await gone();
            await lock.tryAcquireLock(other, key, LONG);
            await lock.releaseLock(one, key);
            await lock.releaseLock(other, key);
            assert.strictEqual(await redis.client.exists(key), 0);
        });
    }

    for (const [what, makes] of PAIRS.slice(0, 2)) {
        test(`told apart by ${what}: whoever was refused the lock does not free it`, async () => {
            const [one, other] = makes();
            assert.isTrue(await lock.tryAcquireLock(one, key, LONG));
            assert.isFalse(await lock.tryAcquireLock(other, key, LONG));
            await lock.releaseLock(other, key);
            assert.strictEqual(await redis.client.exists(key), 1);
            await lock.releaseLock(one, key);
            assert.strictEqual(await redis.client.exists(key), 0);
        });

        test(`told apart by ${what}: a second late release does not free the lock of another either`, async () => {
            const [one, other] = makes();
            await lock.tryAcquireLock(one, key, SHORT);
            await gone();
            await lock.tryAcquireLock(other, key, LONG);
            await lock.releaseLock(one, key);
            await lock.releaseLock(one, key);
            assert.strictEqual(await redis.client.exists(key), 1);
            await lock.releaseLock(other, key);
        });
    }

    test('a call chain that lost its lock and has it again frees the newer one', async () => {
        await lock.tryAcquireLock('held-3', key, SHORT);
        await gone();
        await lock.tryAcquireLock('held-3', key, LONG);
        await lock.releaseLock('held-3', key);
        assert.strictEqual(await redis.client.exists(key), 0);
    });

    test('a lock that was taken with one context is freed with none, and the other way round', async () => {
        for (const [taking, freeing] of [
            [Context.fromTraceId('held-4'), null],
            [null, Context.fromTraceId('held-4')],
            [null, undefined],
        ]) {
            await lock.tryAcquireLock(taking, key, LONG);
            await lock.releaseLock(freeing, key);
            assert.strictEqual(await redis.client.exists(key), 0);
        }
    });

    test('where nobody gives a context, a lock whose caller may have released it runs out in spite of keep_alive', async () => {
        const keeping = await locks.open({ keep_alive: true });
        await keeping.tryAcquireLock(null, key, 600);
        await redis.client.del(key);
        await lost(key);
        await keeping.tryAcquireLock(null, key, 600);
        const second = await redis.client.get(key);
        await keeping.releaseLock(null, key);
        assert.strictEqual(await redis.client.get(key), second);
        await gone();
    });

    test('a thousand locks that ran out and were never released are forgotten, those that are held are not', async () => {
        const held = Array.from({ length: 3 }, (_, at) => `${key}-held-${at}`);
        for (const one of held) assert.isTrue(await lock.tryAcquireLock(one, one, LONG));
        const many = Array.from({ length: 1200 }, (_, at) => `${key}-${at}`);
        assert.notInclude(await Promise.all(many.map((one) => lock.tryAcquireLock(null, one, 1000))), false);
        await until(async () => (await redis.client.exists(...many)) === 0);
        assert.isTrue(await lock.tryAcquireLock(null, key, LONG));
        for (const one of [...held, key]) {
            await lock.releaseLock(one === key ? null : one, one);
            assert.strictEqual(await redis.client.exists(one), 0);
        }
    });
});

/** Settles when a component says that it lost this key. */
function lost(key: string): Promise<void> {
    return new Promise((resolve) => {
        const listen = (event: unknown): void => {
            if (typeof event !== 'object' || event === null || !('kind' in event) || !('key' in event)) return;
            if (event.kind !== 'lost' || event.key !== key) return;
            unsubscribe(DIAGNOSTICS_CHANNEL, listen);
            resolve();
        };
        subscribe(DIAGNOSTICS_CHANNEL, listen);
    });
}
