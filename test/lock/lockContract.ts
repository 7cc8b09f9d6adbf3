import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import type { RedisLock } from '../../src';
import { Crowd } from '../fixtures/Crowd';
import { ALONE, KINDS, READER } from '../fixtures/kinds';
import type { Kind } from '../fixtures/kinds';
import { LimitedResource } from '../fixtures/LimitedResource';
import { rejection } from '../fixtures/rejection';
import { until } from '../fixtures/until';
import type { Settings } from './lockOf';

/** Nobody polls that often: a waiter that is served sooner was told. */
const PAUSE = 60_000;

/**
 * Declares what a lock does wherever it is kept.
 *
 * @param make    a component that is not open.
 * @param ttl     of its locks, ms.
 * @param without what it does not do.
 */
export function lockContract(
    name: string,
    make: (settings: Settings) => RedisLock,
    ttl = 20_000,
    without: readonly ('list' | 'braces' | 'local grants' | 'permits')[] = [],
): void {
    suite(`${name} as a lock`, function () {
        this.timeout(30_000);
        let made: RedisLock[];
        let key: string;

        setup(() => {
            made = [];
            key = `contract:${randomUUID()}`;
        });

        teardown(async () => {
            await Promise.all(made.map((lock) => lock.close(null)));
        });

        async function opened(settings: Settings = {}): Promise<RedisLock> {
            const lock = make({ 'options.retry_timeout': PAUSE, 'options.ttl': ttl, ...settings });
            made.push(lock);
            await lock.open(null);
            return lock;
        }

        async function several(): Promise<[RedisLock, RedisLock, RedisLock]> {
            return Promise.all([opened(), opened(), opened()]);
        }

        test('excludes others until it is released, whatever the key looks like', async () => {
            const [one, other] = await several();
            const braces = without.includes('braces') ? [] : ['a}b', '{}x'];
            for (const odd of ['plain', '{tag}ged', '{a', 'a{b}c{d}', 'ключ ✓', '{{x}}', ...braces]) {
                const odder = `${odd}:${key}`;
                assert.isTrue(await one.tryAcquireLock(null, odder, ttl), odd);
                assert.isFalse(await other.tryAcquireLock(null, odder, ttl), odd);
                const waiting = other.acquireLock(null, odder, ttl, 15_000);
                await until(async () => (await one.inspect(null, odder)).waiters.length === 1);
                await one.releaseLock(null, odder);
                await waiting;
                assert.isFalse(await one.tryAcquireLock(null, odder, ttl), odd);
                await other.releaseLock(null, odder);
                assert.strictEqual((await one.inspect(null, odder)).holder, undefined, odd);
            }
        });

        test('serves waiters in the order in which they came, one at a time, with rising fences', async () => {
            const crowd = await Crowd.gather(await several(), key, { count: 12, ttl });
            await crowd.start();
            await crowd.served(12, 20_000);
            crowd.resource.check();
            assert.deepEqual(crowd.resource.order, crowd.line);
        });

        test('passes a hot key on in a process, as often as it is told and no oftener, with rising fences', async function () {
            if (without.includes('local grants')) this.skip();
            const passes = 3;
            const settings = { 'options.local_grants': passes };
            const locks = await Promise.all([opened(settings), opened(settings), opened(settings)]);
            const resource = new LimitedResource();
            const orders = locks.map((): number[] => []);
            const holder = await locks[0].acquire(null, key);
            const visits = locks.flatMap((lock, at) =>
                Array.from({ length: 10 }, async (_, caller) => {
                    const lease = await lock.acquire(null, key, { timeout: 25_000 });
                    resource.enter(lease);
                    orders[at]?.push(caller);
                    assert.isTrue(await lease.release());
                }),
            );
            await until(async () => (await locks[0].inspect(null, key)).waiters.length === 2);
            await holder.release();
            await Promise.all(visits);
            resource.check();
            for (const order of orders) assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
            const turns = rowsOf(resource.order);
            assert.isAtMost(Math.max(...turns), passes + 1);
            // A first one that was passed on from the holder, then three processes with ten callers each.
            assert.isAtMost(turns.length, 1 + 3 * Math.ceil(10 / (passes + 1)), turns.join());
            assert.isUndefined((await locks[0].inspect(null, key)).holder);
        });

        const permits = !without.includes('permits');
        for (const kind of permits ? KINDS : [ALONE, READER]) leases(kind);

        /** What holds for leases of every kind. */
        function leases({ name: kind, options }: Kind): void {
            test(`does many keys at once${kind}`, async () => {
                const [one, other] = await several();
                const keys = Array.from({ length: 100 }, (_, at) => `${key}:${at}`);
                const held = await Promise.all(
                    keys.map((each) => one.acquire(null, each, { ...options, timeout: 10_000 })),
                );
                const waiting = keys.map((each) => other.acquire(null, each, { timeout: 20_000 }));
                await until(async () => {
                    const looks = await Promise.all(keys.map((each) => one.inspect(null, each)));
                    return looks.every(({ waiters }) => waiters.length === 1);
                }, 10_000);
                assert.isTrue((await Promise.all(held.map((lease) => lease.release()))).every(Boolean));
                const next = await Promise.all(waiting);
                for (const [at, lease] of next.entries()) assert.isAbove(lease.fence, held[at]?.fence ?? Infinity);
                await Promise.all(next.map((lease) => lease.release()));
            });

            test(`takes several keys all or nothing${kind}`, async () => {
                const [one, other] = await several();
                const keys = [1, 2, 3, 4].map((at) => `${key}:${at}`);
                const lease = await one.acquire(null, keys, { ...options, timeout: 5000 });
                for (const each of keys) assert.isNumber(lease.fenceOf(each));
                assert.isNull(await other.tryAcquire(null, [`${key}:0`, ...keys]));
                assert.strictEqual((await one.inspect(null, `${key}:0`)).holder, undefined);
                await lease.release();
                await (await other.acquire(null, keys, { ...options, timeout: 5000 })).release();
            });

            test(`keeps a lease alive, and tells when its key is taken away${kind}`, async () => {
                const [one, other] = await several();
                const lease = await one.acquire(null, key, { ...options, ttl: 600 });
                await sleep(1500);
                assert.isTrue(lease.isHeld());
                assert.isNull(await other.tryAcquire(null, key));
                assert.isTrue(await other.release(null, key, lease.holder));
                await until(() => lease.signal.aborted);
                assert.isFalse(lease.isHeld());
            });

            test(`says LOCK_TIMEOUT when it was busy to the end, and leaves the line${kind}`, async () => {
                const [one, other] = await several();
                await one.acquire(null, key);
                const asked = other.acquire(null, key, { ...options, ttl, timeout: 300 });
                const error = await rejection(asked, 'LOCK_TIMEOUT');
                assert.strictEqual(error.constructor.name, 'ConflictException');
                await until(async () => (await one.inspect(null, key)).waiters.length === 0);
            });

            test(`passes on to the next what is taken by force, and its holder learns of the loss${kind}`, async () => {
                const [one, other, operator] = await several();
                const lease = await one.acquire(null, key, { ...options, ttl: 900 });
                const waiting = other.acquire(null, key, { timeout: 20_000 });
                await until(async () => (await operator.inspect(null, key)).waiters.length === 1);
                const why = { by: 'operator', reason: 'the holder hangs' };
                assert.isUndefined(await operator.forceRelease(null, key, { ...why, holder: 'somebody else' }));
                assert.strictEqual(await operator.forceRelease(null, key, why), lease.holder);
                const next = await waiting;
                assert.isAbove(next.fence, lease.fence);
                await until(() => lease.signal.aborted);
                assert.isFalse(await lease.release());
                assert.isTrue(next.isHeld());
                assert.isTrue(await next.release());
                assert.isUndefined(await operator.forceRelease(null, key, why));
            });

            test(`passes on to the next what is released by closing${kind}`, async () => {
                const [one, other] = await several();
                const lease = await one.acquire(null, key, options);
                const waiting = other.acquire(null, key, { timeout: 20_000 });
                await until(async () => (await other.inspect(null, key)).waiters.length === 1);
                await one.close(null);
                assert.isAbove((await waiting).fence, lease.fence);
            });

            test(`hands a lease over to one that knows its holder${kind}`, async () => {
                const [one, other] = await several();
                const lease = await one.acquire(null, key, { ...options, ttl });
                const holder = lease.handOver();
                assert.isTrue(await other.renew(null, key, holder, ttl));
                const taken = await other.acquire(null, key, { ...options, holder, ttl });
                assert.isTrue(taken.isHeld());
                assert.isNull(await one.tryAcquire(null, key));
                assert.isTrue(await taken.release());
                assert.isFalse(await other.renew(null, key, holder, ttl));
                assert.isUndefined((await one.inspect(null, key)).holder);
            });

            test(`keeps a key taken for a time that is longer than its lease was held${kind}`, async () => {
                const [one, other] = await several();
                const lease = await one.acquire(null, key, { ...options, ttl, atLeast: 1500 });
                assert.isTrue(await lease.release());
                assert.isFalse(lease.isHeld());
                assert.isNull(await other.tryAcquire(null, key));
                const next = await other.acquire(null, key, { timeout: 20_000 });
                assert.isAbove(next.fence, lease.fence);
            });
        }

        test('lets readers in together, and nobody who wants the key alone', async () => {
            const locks = await several();
            const readers = await Promise.all(
                Array.from({ length: 9 }, (_, at) => (locks[at % 3] ?? locks[0]).acquire(null, key, READER.options)),
            );
            const info = await locks[0].inspect(null, key);
            assert.strictEqual(info.mode, 'shared');
            assert.sameMembers(
                info.holders.map(({ holder }) => holder),
                readers.map(({ holder }) => holder),
            );
            assert.isNull(await locks[1].tryAcquire(null, key));
            const writing = locks[1].acquire(null, key, { timeout: 20_000 });
            await until(async () => (await locks[0].inspect(null, key)).waiters.length === 1);
            assert.isNull(await locks[2].tryAcquire(null, key, READER.options));
            await Promise.all(readers.map((lease) => lease.release()));
            const writer = await writing;
            assert.strictEqual(writer.mode, 'exclusive');
            for (const { fence } of readers) assert.isBelow(fence, writer.fence);
        });

        test('lets in the readers that wait, when the one that has it alone shares it', async () => {
            const [one, other, third] = await several();
            const writer = await one.acquire(null, key);
            const reading = [
                other.acquire(null, key, { ...READER.options, timeout: 20_000 }),
                third.acquire(null, key, { ...READER.options, timeout: 20_000 }),
            ];
            await until(async () => (await one.inspect(null, key)).waiters.length === 2);
            await writer.downgrade();
            const readers = await Promise.all(reading);
            assert.strictEqual(writer.mode, 'shared');
            assert.isTrue(writer.isHeld());
            assert.isNull(await other.tryAcquire(null, key));
            for (const lease of [writer, ...readers]) assert.isTrue(await lease.release());
            assert.isUndefined((await one.inspect(null, key)).holder);
        });

        if (permits) {
            test('lets in as many as there are permits, in the order in which they came', async () => {
                const locks = await several();
                let used = 0;
                let most = 0;
                const order: number[] = [];
                const visit = async (at: number): Promise<void> => {
                    const wanted = 1 + (at % 2);
                    const options = { limit: 3, permits: wanted, timeout: 20_000 };
                    await (locks[at % 3] ?? locks[0]).withLock(null, key, options, async () => {
                        order.push(at);
                        used += wanted;
                        most = Math.max(most, used);
                        await sleep(5);
                        used -= wanted;
                    });
                };
                await Promise.all(Array.from({ length: 20 }, (_, at) => visit(at)));
                assert.strictEqual(most, 3);
                assert.lengthOf(order, 20);
                assert.isUndefined((await locks[0].inspect(null, key)).holder);
            });
        } else {
            test('refuses a limit, and says why', async () => {
                const lock = await opened();
                const error = await rejection(lock.acquire(null, key, { limit: 2 }), 'BAD_PARAMETER');
                assert.match(error.message, /quorum/);
            });
        }

        test('lists the keys that are held, each once', async function () {
            if (without.includes('list')) this.skip();
            const [one, other] = await several();
            const keys = Array.from({ length: 40 }, (_, at) => `list:{${at}}:${key}`);
            await one.acquire(null, keys.slice(0, 20), { timeout: 10_000 });
            await other.acquire(null, keys.slice(20), { timeout: 10_000 });
            const found = [];
            for await (const info of one.list(null, `list:*:${key}`)) found.push(info);
            assert.sameMembers(
                found.map((info) => info.key),
                keys,
            );
            for (const { holder, fence } of found) assert.isTrue(holder !== undefined && fence !== undefined);
        });

        test('answers a ping, which changes nothing', async () => {
            const lock = await opened();
            assert.isAtLeast(await lock.ping(null), 0);
            assert.isUndefined((await lock.inspect(null, key)).holder);
        });

        test('lets one lead at a time, and the same again after a loss, with a greater fence', async () => {
            const [one, other, operator] = await several();
            const stop = new AbortController();
            const terms: { lock: RedisLock; fence: number }[] = [];
            const led = [one, other].map((lock) =>
                rejection(
                    lock.lead(null, key, { ttl: 900, signal: stop.signal }, async (lease) => {
                        terms.push({ lock, fence: lease.fence });
                        await new Promise((resolve) => lease.signal.addEventListener('abort', resolve));
                    }),
                    'LOCK_ABORTED',
                ),
            );
            for (let count = 1; count < 4; count++) {
                await until(() => terms.length === count, 10_000);
                await until(async () => (await operator.inspect(null, key)).waiters.length === 1, 10_000);
                await operator.forceRelease(null, key, { by: 'operator', reason: 'the leader hangs' });
            }
            await until(() => terms.length === 4, 10_000);
            for (const [at, { fence, lock }] of terms.entries()) {
                assert.isAbove(fence, terms[at - 1]?.fence ?? 0);
                assert.notStrictEqual(lock, terms[at - 1]?.lock);
            }
            stop.abort();
            await Promise.all(led);
            await until(async () => (await operator.inspect(null, key)).holder === undefined);
        });
    });
}

/** How often each holder comes in a row. */
function rowsOf(holders: readonly string[]): number[] {
    const rows: number[] = [];
    holders.forEach((holder, at) => {
        if (holder === holders[at - 1]) rows[rows.length - 1] = (rows.at(-1) ?? 0) + 1;
        else rows.push(1);
    });
    return rows;
}
