import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { Context } from 'pip-services4-components-node';
import { DIAGNOSTICS_CHANNEL } from '../../src';
import type { LockContext, RedisLock } from '../../src';
import { keysOfSuite } from '../fixtures/suiteServer';
import { until } from '../fixtures/until';
import { HeldLocks } from '../../src/lock/HeldLocks';
import { VirtualClock } from '../fixtures/VirtualClock';

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
    const ours = keysOfSuite('held-locks');
    let lock: RedisLock;
    let key: string;

    suiteSetup(async () => {
        lock = await ours.locks.open();
    });
    setup(() => void (key = ours.key));

    function gone(): Promise<void> {
        return until(async () => (await ours.redis.client.exists(key)) === 0);
    }

    for (const [what, makes] of PAIRS) {
        test(`told apart by ${what}: a late release does not free the newer lock of another`, async () => {
            const [one, other] = makes();
            assert.isTrue(await lock.tryAcquireLock(one, key, SHORT));
            await gone();
            assert.isTrue(await lock.tryAcquireLock(other, key, LONG));
            const holder = await ours.redis.client.get(key);
            await lock.releaseLock(one, key);
            assert.strictEqual(await ours.redis.client.get(key), holder);
            await ours.redis.client.del(key);
        });
    }

    for (const [what, makes] of PAIRS) {
        test(`told apart by ${what}: each frees its own lock after a late release of another`, async () => {
            const [one, other] = makes();
            await lock.tryAcquireLock(one, key, SHORT);
            await gone();
            await lock.tryAcquireLock(other, key, LONG);
            await lock.releaseLock(one, key);
            await lock.releaseLock(other, key);
            assert.strictEqual(await ours.redis.client.exists(key), 0);
        });
    }

    for (const [what, makes] of PAIRS.slice(0, 2)) {
        test(`told apart by ${what}: a caller that was refused the lock does not free it`, async () => {
            const [one, other] = makes();
            assert.isTrue(await lock.tryAcquireLock(one, key, LONG));
            assert.isFalse(await lock.tryAcquireLock(other, key, LONG));
            await lock.releaseLock(other, key);
            assert.strictEqual(await ours.redis.client.exists(key), 1);
            await lock.releaseLock(one, key);
            assert.strictEqual(await ours.redis.client.exists(key), 0);
        });

        test(`told apart by ${what}: a second late release does not free the lock of another either`, async () => {
            const [one, other] = makes();
            await lock.tryAcquireLock(one, key, SHORT);
            await gone();
            await lock.tryAcquireLock(other, key, LONG);
            await lock.releaseLock(one, key);
            await lock.releaseLock(one, key);
            assert.strictEqual(await ours.redis.client.exists(key), 1);
            await lock.releaseLock(other, key);
        });
    }

    test('a call chain that lost its lock and has it again frees the newer one', async () => {
        await lock.tryAcquireLock('held-3', key, SHORT);
        await gone();
        await lock.tryAcquireLock('held-3', key, LONG);
        await lock.releaseLock('held-3', key);
        assert.strictEqual(await ours.redis.client.exists(key), 0);
    });

    test('a lock that was taken with one context is freed with none, and the other way round', async () => {
        for (const [taking, freeing] of [
            [Context.fromTraceId('held-4'), null],
            [null, Context.fromTraceId('held-4')],
            [null, undefined],
        ]) {
            await lock.tryAcquireLock(taking, key, LONG);
            await lock.releaseLock(freeing, key);
            assert.strictEqual(await ours.redis.client.exists(key), 0);
        }
    });

    for (const context of [null, new Context()]) {
        const what = context === null ? 'without a context' : 'with one context object';

        test(`a caller ${what} that lost its lock, and has it again, frees it by its second release`, async () => {
            await lock.tryAcquireLock(context, key, SHORT);
            await gone();
            await lock.tryAcquireLock(context, key, LONG);
            await lock.releaseLock(context, key);
            assert.strictEqual(await ours.redis.client.exists(key), 1);
            await lock.releaseLock(context, key);
            assert.strictEqual(await ours.redis.client.exists(key), 0);
        });
    }

    test('a late release without a context does not stop the renewal of the lock of another', async () => {
        const keeping = await ours.locks.open({ keep_alive: true });
        await keeping.tryAcquireLock(null, key, 600);
        await ours.redis.client.del(key);
        await lost(key);
        await keeping.tryAcquireLock(null, key, 600);
        const second = await ours.redis.client.get(key);
        await keeping.releaseLock(null, key);
        await sleep(1500);
        assert.strictEqual(await ours.redis.client.get(key), second);
        assert.isFalse(await lock.tryAcquireLock(null, key, LONG));
        await keeping.releaseLock(null, key);
        assert.strictEqual(await ours.redis.client.exists(key), 0);
    });

    test('three callers without a context are matched with their releases in the order in which they began', async () => {
        await lock.tryAcquireLock(null, key, SHORT);
        await gone();
        await lock.tryAcquireLock(null, key, SHORT);
        await gone();
        await lock.tryAcquireLock(null, key, LONG);
        for (const left of [1, 1, 0]) {
            await lock.releaseLock(null, key);
            assert.strictEqual(await ours.redis.client.exists(key), left);
        }
    });

    test('a release that is late by one key does not use up the release of another key', async () => {
        await lock.tryAcquireLock(null, key, SHORT);
        await gone();
        await lock.tryAcquireLock(null, `${key}-2`, LONG);
        await lock.releaseLock(null, `${key}-2`);
        assert.strictEqual(await ours.redis.client.exists(`${key}-2`), 0);
    });

    test('a component that was closed and opened again knows no releases from before', async () => {
        const own = await ours.locks.open();
        await own.tryAcquireLock(null, key, SHORT);
        await gone();
        await own.close(null);
        await own.open(null);
        await own.tryAcquireLock(null, key, LONG);
        await own.releaseLock(null, key);
        assert.strictEqual(await ours.redis.client.exists(key), 0);
    });

    suite('the warning about callers without a trace id', () => {
        let warnings: string[];
        const listen = (event: unknown): void => {
            const { kind, message } = event as { kind: string; message: string };
            if (kind === 'warning') warnings.push(message);
        };

        setup(() => {
            warnings = [];
            subscribe(DIAGNOSTICS_CHANNEL, listen);
        });
        teardown(() => unsubscribe(DIAGNOSTICS_CHANNEL, listen));

        test('comes once, when one acquires again what it has not released', async () => {
            const own = await ours.locks.open();
            for (let times = 0; times < 3; times++) {
                await own.tryAcquireLock(null, key, SHORT);
                await gone();
            }
            assert.lengthOf(warnings, 1);
            assert.include(warnings[0], key);
            assert.include(warnings[0], 'trace id');
        });

        test('does not come for callers that have trace ids, or that release what they acquire', async () => {
            const own = await ours.locks.open();
            await own.tryAcquireLock('held-5', key, SHORT);
            await gone();
            await own.tryAcquireLock('held-5', key, LONG);
            await own.releaseLock('held-5', key);
            for (let times = 0; times < 2; times++) {
                await own.tryAcquireLock(null, key, LONG);
                await own.releaseLock(null, key);
            }
            assert.deepEqual(warnings, []);
        });
    });

    test('a thousand locks that ran out and were never released are forgotten, those that are held are not', async () => {
        const held = Array.from({ length: 3 }, (_, at) => `${key}-held-${at}`);
        for (const one of held) assert.isTrue(await lock.tryAcquireLock(one, one, LONG));
        const many = Array.from({ length: 1200 }, (_, at) => `${key}-${at}`);
        assert.notInclude(await Promise.all(many.map((one) => lock.tryAcquireLock(null, one, 1000))), false);
        await until(async () => (await ours.redis.client.exists(...many)) === 0);
        assert.isTrue(await lock.tryAcquireLock(null, key, LONG));
        for (const one of [...held, key]) {
            await lock.releaseLock(one === key ? null : one, one);
            assert.strictEqual(await ours.redis.client.exists(one), 0);
        }
    });
});

suite('Locks that were lost and not released', () => {
    const KEY = 'key';
    let clock: VirtualClock;
    let held: HeldLocks;
    let released: string[];

    setup(() => {
        clock = new VirtualClock();
        held = new HeldLocks(clock);
        released = [];
    });

    /** A lease that is lost when it is told to be. */
    function leaseOf(holder: string): { key: string; holder: string; held: boolean } & Parameters<HeldLocks['add']>[1] {
        return {
            key: KEY,
            holder,
            held: true,
            isHeld(): boolean {
                return this.held;
            },
            release(): Promise<boolean> {
                released.push(holder);
                return Promise.resolve(this.held);
            },
        };
    }

    for (const [what, ttl, remembered] of [
        ['10 s, when its ttl is shorter', 200, 10_000],
        ['its ttl, when that is longer', 60_000, 60_000],
    ] as const) {
        test(`one is forgotten after ${what}: the next release is that of the next lock`, async () => {
            for (const [late, expected] of [
                [remembered - 1, 'lost'],
                [remembered, 'newer'],
            ] as const) {
                const overdue = leaseOf('lost');
                held.add(null, overdue, ttl);
                overdue.held = false;
                held.lost(KEY, 'lost');
                await clock.advance(late);
                held.add(null, leaseOf('newer'), ttl);
                await held.release(null, KEY);
                assert.deepEqual(released.splice(0), [expected]);
                await held.release(null, KEY);
                released = [];
            }
        });
    }

    test('one whose caller comes late, when the next lock is held already, is forgotten all the same', async () => {
        const overdue = leaseOf('lost');
        held.add(null, overdue, 200);
        overdue.held = false;
        held.lost(KEY, 'lost');
        held.add(null, leaseOf('newer'), 200);
        await clock.advance(10_000);
        await held.release(null, KEY);
        assert.deepEqual(released, ['newer']);
    });

    test('one that turned out to be held after all is lost when it is lost, not before', async () => {
        const one = leaseOf('late');
        held.add(null, one, 200);
        one.held = false;
        held.add('other', leaseOf('other'), 200);
        one.held = true;
        held.add('another', leaseOf('another'), 200);
        await clock.advance(20_000);
        one.held = false;
        held.lost(KEY, 'late');
        held.add(null, leaseOf('newer'), 200);
        await held.release(null, KEY);
        assert.deepEqual(released, ['late']);
    });

    test('one that is held is never forgotten', async () => {
        held.add(null, leaseOf('held'), 200);
        await clock.advance(1_000_000);
        for (let at = 0; at < 2000; at++) {
            const overdue = { ...leaseOf('lost'), key: String(at), held: false };
            held.add(null, overdue, 200);
        }
        await held.release(null, KEY);
        assert.deepEqual(released, ['held']);
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
