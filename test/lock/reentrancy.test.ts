import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { Context } from 'pip-services4-components-node';
import type { Lease, LockContext, RedisLock } from '../../src';
import { ownServer } from '../fixtures/ownServer';
import { rejection } from '../fixtures/rejection';
import { sharedServer } from '../fixtures/sharedServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { keysOfSuite } from '../fixtures/suiteServer';
import { until } from '../fixtures/until';

const TTL = 20_000;

/** A new context of the same call chain. */
function chain(name = 'chain-1'): LockContext {
    return Context.fromTraceId(name);
}

suite('Re-entrancy', () => {
    const ours = keysOfSuite('reentrancy');
    let lock: RedisLock;
    let key: string;

    suiteSetup(async () => {
        lock = await ours.locks.open({ reentrant: true });
    });
    setup(() => void (key = ours.key));

    test('lets a call chain acquire again what it holds, released by the last', async () => {
        assert.isTrue(await lock.tryAcquireLock(chain(), key, TTL));
        const holder = await ours.redis.client.get(key);
        assert.isTrue(await lock.tryAcquireLock(chain(), key, TTL));
        await lock.acquireLock('chain-1', key, TTL, 0);
        assert.strictEqual(await ours.redis.client.get(key), holder);
        await lock.releaseLock(chain(), key);
        await lock.releaseLock(chain(), key);
        assert.strictEqual(await ours.redis.client.get(key), holder);
        await lock.releaseLock(chain(), key);
        assert.strictEqual(await ours.redis.client.exists(key), 0);
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
        assert.strictEqual(await ours.redis.client.exists(key), 1);
        await lock.releaseLock(chain(), key);
        assert.strictEqual(await ours.redis.client.exists(key), 0);
    });

    test('excludes two call chains of one component from each other', async () => {
        assert.isTrue(await lock.tryAcquireLock(chain('chain-1'), key, TTL));
        assert.isFalse(await lock.tryAcquireLock(chain('chain-2'), key, TTL));
        await rejection(lock.acquireLock(chain('chain-2'), key, TTL, 150), 'LOCK_TIMEOUT');
        await lock.releaseLock(chain('chain-2'), key);
        assert.strictEqual(await ours.redis.client.exists(key), 1);
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
        const other = await ours.locks.open({ reentrant: true });
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
            assert.strictEqual(await ours.redis.client.exists(key), 0);
        });
    }

    test('is off by default', async () => {
        const standard = await ours.locks.open();
        assert.isTrue(await standard.tryAcquireLock(chain(), key, TTL));
        assert.isFalse(await standard.tryAcquireLock(chain(), key, TTL));
        await standard.releaseLock(chain(), key);
        assert.strictEqual(await ours.redis.client.exists(key), 0);
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
        assert.strictEqual(await ours.redis.client.exists(key), 0);
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
        assert.strictEqual(await ours.redis.client.exists(one, other), 0);
    });

    suite('gives the inner one at least what it asked for', () => {
        test('its ttl, when less is left', async () => {
            await lock.acquireLock(chain(), key, 1000, 0);
            await sleep(850);
            await lock.acquireLock(chain(), key, 1000, 0);
            assert.isAbove(await ours.redis.client.pttl(key), 900);
            await sleep(300);
            assert.isFalse(await lock.tryAcquireLock(chain('other'), key, TTL));
            await lock.releaseLock(chain(), key);
            await lock.releaseLock(chain(), key);
            assert.strictEqual(await ours.redis.client.exists(key), 0);
        });

        test('its keep-alive, for as long as it lasts', async () => {
            await lock.acquireLock(chain(), key, 600, 0);
            const inner = await lock.acquire(chain(), key, { ttl: 600 });
            await sleep(1500);
            assert.isTrue(inner.isHeld());
            assert.isTrue(await inner.release());
            await until(async () => (await ours.redis.client.exists(key)) === 0, 1500);
            await lock.releaseLock(chain(), key);
        });

        test('withLock is renewed within a lock that is not', async () => {
            await lock.acquireLock(chain(), key, 500, 0);
            const holder = await ours.redis.client.get(key);
            await lock.withLock(chain(), key, {}, async (lease) => {
                await sleep(1200);
                lease.assertHeld();
                assert.strictEqual(await ours.redis.client.get(key), holder);
            });
            await lock.releaseLock(chain(), key);
        });

        test('its ttl, when the outer one is renewed and ends first', async () => {
            const outer = await lock.acquire(chain(), key, { ttl: 600 });
            const inner = await lock.acquire(chain(), key, { ttl: 900, keepAlive: false });
            await sleep(200);
            await outer.release();
            assert.isAbove(inner.remaining(), 500);
            await until(() => !inner.isHeld(), 1500);
        });

        test('a renewal by one of them does not take the ttl from another that is kept alive', async () => {
            const outer = await lock.acquire(chain(), key, { ttl: 2500 });
            const inner = await lock.acquire(chain(), key, { ttl: 1000, keepAlive: false });
            await inner.renew(400);
            await sleep(2500);
            assert.isAbove(outer.remaining(), 1000);
            for (const bad of [0, 1.5, NaN, '500' as unknown as number]) {
                const error = await rejection(inner.renew(bad), 'BAD_TTL');
                assert.strictEqual(error.trace_id, 'chain-1');
            }
            await Promise.all([outer.release(), inner.release()]);
        });
    });

    suite('joins what its call chain acquires in the same turn', () => {
        type Way = 'acquire' | 'tryAcquire';
        const take = (way: Way): Promise<Lease | null> =>
            way === 'acquire' ? lock.acquire(chain(), key, { timeout: 3000 }) : lock.tryAcquire(chain(), key);

        for (const [one, other] of [
            ['acquire', 'acquire'],
            ['acquire', 'tryAcquire'],
            ['tryAcquire', 'acquire'],
            ['tryAcquire', 'tryAcquire'],
        ] as const) {
            test(`${one} and ${other}`, async () => {
                const started = performance.now();
                const leases = await Promise.all([take(one), take(other)]);
                assert.isBelow(performance.now() - started, 2000);
                assert.isNotNull(leases[0]);
                assert.strictEqual(leases[0]?.holder, leases[1]?.holder);
                await leases[0]?.release();
                assert.isTrue(leases[1]?.isHeld());
                await leases[1]?.release();
                assert.strictEqual(await ours.redis.client.exists(key), 0);
            });
        }

        test('while the key is held by another call chain: all are served together, and nobody is left in line', async () => {
            const before = await lock.acquire(chain('other'), key);
            const waiting = Promise.all(
                Array.from({ length: 4 }, () => lock.acquire(chain(), key, { timeout: 10_000 })),
            );
            await until(async () => (await lock.inspect(null, key)).waiters.length === 4);
            await before.release();
            const started = performance.now();
            const leases = await waiting;
            assert.isBelow(performance.now() - started, 5000);
            assert.strictEqual(new Set(leases.map(({ holder }) => holder)).size, 1);
            await until(async () => (await lock.inspect(null, key)).waiters.length === 0);
            for (const lease of leases) await lease.release();
            assert.strictEqual(await ours.redis.client.exists(key), 0);
        });

        test('each for its own timeout, and by its own signal', async () => {
            const before = await lock.acquire(chain('other'), key);
            const caller = new AbortController();
            const [brief, aborted, patient] = [
                rejection(lock.acquire(chain(), key, { timeout: 100 }), 'LOCK_TIMEOUT'),
                rejection(lock.acquire(chain(), key, { timeout: 5000, signal: caller.signal }), 'LOCK_ABORTED'),
                lock.acquire(chain(), key, { timeout: 5000 }),
            ];
            await brief;
            caller.abort();
            await aborted;
            await before.release();
            await (await patient).release();
            assert.strictEqual(await ours.redis.client.exists(key), 0);
        });

        test('tells each of them what fails', async () => {
            await ours.redis.client.lpush(key, 'something else');
            await Promise.all([take('acquire'), take('tryAcquire')].map((one) => rejection(one, 'WRONG_TYPE')));
        });

        test('keys that overlap', async () => {
            const [a, b, c] = [`${key}-a`, `${key}-b`, `${key}-c`];
            const leases = await Promise.all([
                lock.acquire(chain(), [a, b], { timeout: 5000 }),
                lock.acquire(chain(), [b, c], { timeout: 5000 }),
                lock.acquire(chain(), [c, a], { timeout: 5000 }),
                lock.acquire(chain(), b, { timeout: 5000 }),
            ]);
            for (const lease of leases) assert.isTrue(lease.isHeld());
            for (const lease of leases) assert.isTrue(await lease.release());
            await until(async () => (await ours.redis.client.exists(a, b, c)) === 0);
        });
    });

    suite('of several keys', () => {
        let a: string;
        let b: string;
        let c: string;

        setup(() => {
            [a, b, c] = [`${key}-a`, `${key}-b`, `${key}-c`];
        });
        teardown(() => ours.redis.client.del(a, b, c));

        test('may acquire one of those that it holds', async () => {
            const outer = await lock.acquire(chain(), [a, b]);
            const inner = await lock.tryAcquire(chain(), b);
            assert.deepEqual(inner?.keys, [b]);
            assert.strictEqual(inner?.key, b);
            assert.strictEqual(inner?.holder, await ours.redis.client.get(b));
            assert.strictEqual(inner?.fence, outer.fenceOf(b));
            assert.isUndefined(inner?.fenceOf(a));
            await inner?.release();
            assert.strictEqual(await ours.redis.client.exists(a, b), 2);
            await outer.release();
            assert.strictEqual(await ours.redis.client.exists(a, b), 0);
        });

        test('may acquire those that it holds and others', async () => {
            const outer = await lock.acquire(chain(), b);
            const inner = await lock.acquire(chain(), [c, a, b]);
            assert.deepEqual(inner.keys, [a, b, c]);
            assert.strictEqual(inner.fenceOf(b), outer.fence);
            assert.strictEqual(inner.fence, inner.fenceOf(a));
            for (const one of [a, c]) assert.isNumber(inner.fenceOf(one));
            assert.isAbove(inner.remaining(), 10_000);
            await outer.release();
            assert.strictEqual(await ours.redis.client.exists(a, b, c), 3);
            assert.isTrue(inner.isHeld());
            assert.isTrue(await inner.release());
            assert.strictEqual(await ours.redis.client.exists(a, b, c), 0);
        });

        test('may acquire together what it holds one by one', async () => {
            const outer = [await lock.acquire(chain(), a), await lock.acquire(chain(), b)];
            const inner = await lock.tryAcquire(chain(), [a, b]);
            assert.isTrue(inner?.isHeld());
            for (const lease of outer) await lease.release();
            assert.strictEqual(await ours.redis.client.exists(a, b), 2);
            await inner?.release();
            assert.strictEqual(await ours.redis.client.exists(a, b), 0);
        });

        test('keeps what it holds when the others are busy, and neither takes nor renews anything', async () => {
            const other = await lock.acquire(chain('other'), c);
            const outer = await lock.acquire(chain(), b, { ttl: 1000, keepAlive: false });
            assert.isNull(await lock.tryAcquire(chain(), [a, b, c]));
            await rejection(lock.acquire(chain(), [a, b, c], { timeout: 100 }), 'LOCK_TIMEOUT');
            assert.isTrue(outer.isHeld());
            assert.strictEqual(await ours.redis.client.exists(a), 0);
            await until(() => !outer.isHeld(), 2000);
            await other.release();
        });

        test('keeps what it holds for as long as it waits for the others', async () => {
            const other = await lock.acquire(chain('other'), c);
            await lock.acquireLock(chain(), b, 500, 0);
            const holder = await ours.redis.client.get(b);
            const inner = lock.acquire(chain(), [b, c], { ttl: 600, keepAlive: false, timeout: 5000 });
            await sleep(1200);
            await other.release();
            const lease = await inner;
            assert.strictEqual(await ours.redis.client.get(b), holder);
            assert.isAbove(lease.remaining(), 400);
            await until(() => !lease.isHeld(), 1500);
        });

        test('is told of the loss of either by its signal, whenever it is read', async () => {
            const first = await lock.acquire(chain(), a, { ttl: 500 });
            const early = await lock.acquire(chain(), [a, b], { ttl: 500 });
            const late = await lock.acquire(chain(), [a, b], { ttl: 500 });
            const released = await lock.acquire(chain(), [a, b], { ttl: 500 });
            const signals = [early.signal, released.signal];
            await released.release();
            await ours.redis.client.del(a);
            await until(() => signals[0]?.aborted === true);
            assert.isFalse(signals[1]?.aborted);
            assert.isFalse(early.isHeld() || late.isHeld() || first.isHeld());
            assert.isFalse(await late.release());
            assert.isTrue(late.signal.aborted);
            for (const { reason } of [late.signal, early.signal]) assert.strictEqual(codeOf(reason), 'LOCK_LOST');
            assert.isFalse(await early.release());
            await first.release();
            assert.strictEqual(await ours.redis.client.exists(b), 0);
        });

        test('hands over all of them, also those that were acquired before', async () => {
            const outer = await lock.acquire(chain(), a);
            const inner = await lock.acquire(chain(), [a, b]);
            const holders = [inner.holderOf(a), inner.holderOf(b)] as [string, string];
            assert.strictEqual(inner.handOver(), holders[0]);
            assert.isFalse(inner.isHeld() || outer.isHeld());
            await Promise.all([inner.release(), outer.release()]);
            assert.deepEqual(await ours.redis.client.mget(a, b), holders);
            assert.isTrue(await lock.release(null, a, holders[0]));
            assert.isTrue(await lock.release(null, b, holders[1]));
        });
    });

    test('acquires anew what was deleted, when it asks for more time', async () => {
        const outer = await lock.acquire(chain(), key, { ttl: 5000 });
        await ours.redis.client.del(key);
        const inner = await lock.acquire(chain(), key, { ttl: TTL });
        assert.isAbove(inner.fence, outer.fence);
        assert.isTrue(inner.isHeld());
        assert.isFalse(outer.isHeld());
        assert.isFalse(await outer.release());
        assert.isTrue(await inner.release());
    });

    test('tells of a server that does not answer when it asks for more time, and the outer one stays', async () => {
        await using proxy = await TcpProxy.start(await sharedServer());
        const own = await ours.locks.open({ reentrant: true, command_timeout: 300 }, proxy);
        const outer = await own.acquire(chain(), key, { ttl: 5000 });
        proxy.pause();
        await rejection(own.acquire(chain(), key, { ttl: TTL }), 'CONNECTION_FAILED');
        assert.isTrue(outer.isHeld());
        proxy.resume();
        await until(async () => outer.release().catch(() => true));
        await own.close(null);
    });

    test('ignores a timeout where nobody waits', async () => {
        const lease = await lock.tryAcquire(chain(), key, { timeout: -1 });
        await lease?.release();
        assert.isNotNull(lease);
    });

    test('hundreds of random calls of three call chains exclude the chains from each other, and leave nothing', async function () {
        this.timeout(60_000);
        const keys = Array.from({ length: 4 }, (_, at) => `${key}-${at}`);
        const inside = new Map<string, string[]>(keys.map((one) => [one, []]));
        const visit = async (name: string): Promise<void> => {
            const wanted = keys.filter(() => Math.random() < 0.4);
            if (wanted.length === 0) return;
            const lease = await lock
                .acquire(chain(name), wanted, { timeout: Math.random() * 400, keepAlive: Math.random() < 0.5 })
                .catch(() => null);
            if (lease === null) return;
            for (const one of wanted) {
                const others = inside.get(one)?.filter((other) => other !== name);
                assert.deepEqual(others, [], one);
                inside.get(one)?.push(name);
            }
            await sleep(Math.random() * 10);
            if (Math.random() < 0.5) await visit(name);
            for (const one of wanted) inside.get(one)?.splice(inside.get(one)?.indexOf(name) ?? 0, 1);
            assert.isTrue(await lease.release());
        };
        const branches = Array.from({ length: 12 }, async (_, at) => {
            for (let times = 0; times < 25; times++) await visit(`chain-${at % 3}`);
        });
        await Promise.all(branches);
        await until(async () => (await ours.redis.client.exists(...keys)) === 0);
        for (const one of keys) assert.lengthOf((await lock.inspect(null, one)).waiters, 0);
    });

    suite('on a server of its own', () => {
        const own = ownServer();

        test('takes no round trip', async () => {
            const component = await own.locks.open({ reentrant: true });
            const outer = await component.acquire(chain(), key, { keepAlive: false });
            await own.commands.reset();
            const leases = [];
            for (let times = 0; times < 100; times++) leases.push(await component.acquire(chain(), key));
            for (const lease of leases) await lease.release();
            assert.strictEqual(await own.commands.scripts(), 0);
            await outer.release();
            assert.isAbove(await own.commands.scripts(), 0);
        });
    });
});

function codeOf(reason: unknown): unknown {
    return (reason as { code?: unknown }).code;
}
