import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { DIAGNOSTICS_CHANNEL } from '../../src';
import type { Lease, LockEvent, RedisLock } from '../../src';
import { rejection } from '../fixtures/rejection';
import { suiteServer } from '../fixtures/suiteServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';
import { WorkerProcess } from '../fixtures/WorkerProcess';

const SHARED = { mode: 'shared', ttl: 20_000 } as const;

suite('A key that is shared', function () {
    this.timeout(30_000);
    const ours = suiteServer();
    let lock: RedisLock;
    let other: RedisLock;

    setup(async () => {
        [lock, other] = [await ours.locks.open(), await ours.locks.open()];
    });

    /** What is told while something is done. */
    async function told(work: () => Promise<void>): Promise<LockEvent[]> {
        const events: LockEvent[] = [];
        const listener = (event: unknown): void => void events.push(event as LockEvent);
        subscribe(DIAGNOSTICS_CHANNEL, listener);
        try {
            await work();
        } finally {
            unsubscribe(DIAGNOSTICS_CHANNEL, listener);
        }
        return events;
    }

    test('leaves nothing behind when the last one has released it', async () => {
        const leases = [
            await lock.acquire(null, 'key', SHARED),
            await other.acquire(null, 'key', { limit: 9, permits: 3 }),
            await other.acquire(null, 'key', SHARED),
        ];
        assert.isAbove((await ours.commands.left()).length, 0);
        for (const lease of leases) assert.isTrue(await lease.release());
        assert.deepEqual(await ours.commands.left(), []);
    });

    test('says of each lease how it is shared', async () => {
        const alone = await lock.acquire(null, 'alone');
        const reader = await lock.acquire(null, 'key', SHARED);
        const permits = await lock.acquire(null, 'key', { limit: 5, permits: 2 });
        assert.deepEqual(
            [alone, reader, permits].map((lease) => [lease.mode, lease.permits]),
            [
                ['exclusive', 1],
                ['shared', 1],
                ['shared', 2],
            ],
        );
        const { holders } = await other.inspect(null, 'key');
        assert.deepEqual(
            holders.map(({ fence, holder, permits: has }) => [holder, fence, has]),
            [
                [reader.holder, reader.fence, 1],
                [permits.holder, permits.fence, 2],
            ],
        );
        for (const { held, remaining } of holders) {
            assert.isAtLeast(held ?? -1, 0);
            assert.isAbove(remaining, 0);
        }
    });

    test('is lost by a process that dies, for its own ttl, while the others are renewed', async () => {
        await using worker = await WorkerProcess.start(ours.server);
        await worker.acquire('key', { ...SHARED, ttl: 1000 });
        const lease = await lock.acquire(null, 'key', { ...SHARED, ttl: 1000 });
        await worker.kill();
        await until(async () => (await other.inspect(null, 'key')).holders.length === 1, 5000);
        await sleep(1500);
        assert.isTrue(lease.isHeld());
        assert.isNull(await other.tryAcquire(null, 'key'));
        const writing = other.acquire(null, 'key', { timeout: 20_000 });
        assert.isTrue(await lease.release());
        assert.isTrue(await (await writing).release());
    });

    test('is lost at its deadline by one that is not kept alive', async () => {
        const [kept, left] = [
            await lock.acquire(null, 'key', SHARED),
            await lock.acquire(null, 'key', { ...SHARED, ttl: 300, keepAlive: false }),
        ];
        await until(() => left.signal.aborted);
        assert.isTrue(kept.isHeld());
        assert.isFalse(await left.release());
        assert.isTrue(await kept.release());
    });

    test('warns once of callers that do not agree on its limit', async () => {
        const events = await told(async () => {
            const lease = await lock.acquire(null, 'key', { limit: 1 });
            for (let at = 0; at < 3; at++) {
                const asked = other.acquire(null, 'key', { limit: 1 + at, permits: 1 + at, timeout: 200 });
                await rejection(asked, 'LOCK_TIMEOUT');
            }
            await lease.release();
        });
        const warnings = events.filter(({ kind }) => kind === 'warning');
        assert.lengthOf(warnings, 1);
        assert.match((warnings[0] as { message: string }).message, /key do not agree on its limit: 2 here, and 1/);
    });

    test('tells of its leases as of any', async () => {
        for (const options of [SHARED, { limit: 3 }]) {
            const events = await told(async () => {
                const lease = await lock.acquire(null, 'key', { ...options, ttl: 300 });
                await sleep(500);
                await lease.release();
                const lost = await lock.acquire(null, 'key', { ...options, ttl: 300 });
                await ours.commands.client.del('key');
                await until(() => lost.signal.aborted);
            });
            const kinds = events.map(({ kind }) => kind).filter((kind) => kind !== 'renewed');
            assert.deepEqual(kinds, ['acquired', 'released', 'acquired', 'lost']);
        }
    });

    test('is passed to nobody by local_grants who should wait for others', async () => {
        const local = await ours.locks.open({ local_grants: 10 });
        const alone = await local.acquire(null, 'key', { timeout: 5000 });
        const reading = other.acquire(null, 'key', { ...SHARED, timeout: 10_000 });
        await until(async () => (await lock.inspect(null, 'key')).waiters.length === 1);
        const reader = local.acquire(null, 'key', { ...SHARED, timeout: 10_000 });
        await until(async () => (await lock.inspect(null, 'key')).waiters.length === 2);
        await alone.downgrade();
        const leases = await Promise.all([reading, reader]);
        assert.isNull(await local.tryAcquire(null, 'key'));
        for (const lease of [alone, ...leases]) assert.isTrue(await lease.release());
    });

    suite('by a downgrade', () => {
        test('keeps its fence and its keys, and is renewed from then on', async () => {
            const lease = await lock.acquire(null, ['a', 'b'], { ttl: 400 });
            const { fence } = lease;
            assert.strictEqual(lease.mode, 'exclusive');
            await Promise.all([lease.renew(), lease.downgrade(), lease.downgrade()]);
            assert.strictEqual(lease.mode, 'shared');
            assert.strictEqual(lease.fence, fence);
            await sleep(1200);
            assert.isTrue(lease.isHeld());
            const reader = await other.acquire(null, ['a', 'b'], SHARED);
            assert.isAbove(reader.fence, fence);
            assert.isTrue(await lease.release());
            assert.isTrue(await reader.release());
            assert.deepEqual(await ours.commands.left(), []);
        });

        test('of a shared lease changes nothing', async () => {
            const lease = await lock.acquire(null, 'key', { limit: 3, permits: 2 });
            await lease.downgrade();
            assert.strictEqual(lease.permits, 2);
            assert.isTrue(await lease.release());
        });

        test('says LOCK_LOST when the lease is not held any more', async () => {
            const lease = await lock.acquire(null, 'key');
            await ours.commands.client.set('key', 'somebody');
            await rejection(lease.downgrade(), 'LOCK_LOST');
            assert.isFalse(lease.isHeld());
            assert.strictEqual(await ours.commands.client.get('key'), 'somebody');
            const released = await lock.acquire(null, 'other');
            await released.release();
            await rejection(released.downgrade(), 'LOCK_LOST');
        });

        for (const arrives of [true, false]) {
            test(`without an answer is renewed and released, whether it ${arrives ? 'arrived' : 'did not arrive'}`, async () => {
                await using proxy = await TcpProxy.start(ours.server);
                const component = await ours.locks.open({ command_timeout: 300 }, proxy);
                const lease = await component.acquire(null, 'key', { ttl: 10_000 });
                proxy.pause(arrives ? 'toClient' : 'toServer');
                await rejection(lease.downgrade(), 'CONNECTION_FAILED');
                assert.strictEqual(lease.mode, 'shared');
                assert.isTrue(lease.isHeld());
                proxy.cut();
                proxy.resume();
                await until(
                    () =>
                        lease.renew().then(
                            () => true,
                            () => false,
                        ),
                    5000,
                );
                assert.isTrue(lease.isHeld());
                assert.strictEqual((await other.inspect(null, 'key')).mode, arrives ? 'shared' : 'exclusive');
                assert.isTrue(await lease.release());
                assert.isUndefined((await other.inspect(null, 'key')).holder);
            });
        }
    });

    suite('for a time at least', () => {
        test('lets begin no more than its limit in any such time', async () => {
            const [limit, atLeast] = [3, 300];
            const fences: number[] = [];
            const call = async (lease: Lease): Promise<void> => void fences.push(lease.fence);
            const components = [lock, other];
            await Promise.all(
                Array.from({ length: 12 }, (_, at) =>
                    (components[at % 2] ?? lock).withLock(null, 'api', { limit, atLeast, timeout: 20_000 }, call),
                ),
            );
            // A fence is the time of the server at the grant, µs.
            const begun = fences.sort((a, b) => a - b);
            begun.forEach((time, at) => {
                const before = begun[at - limit];
                if (before !== undefined) assert.isAtLeast(time - before, 1000 * atLeast - 1000);
            });
        });

        test('is taken for no longer than that', async () => {
            const lease = await lock.acquire(null, 'key', { atLeast: 800, ttl: 60_000 });
            await lease.release();
            assert.isAtMost(await ours.commands.client.pttl('key'), 800);
            assert.isAbove(await ours.commands.client.pttl('key'), 0);
        });

        test('frees the key when the ttl is over where the process dies', async () => {
            await using worker = await WorkerProcess.start(ours.server);
            await worker.acquire('key', { ttl: 500, keepAlive: true, atLeast: 60_000 });
            await worker.kill();
            const next = await lock.acquire(null, 'key', { timeout: 20_000 });
            assert.isTrue(await next.release());
        });

        test('counts from the grant', async () => {
            const lease = await lock.acquire(null, 'key', { atLeast: 200 });
            await sleep(300);
            await lease.release();
            assert.strictEqual(await ours.commands.client.exists('key'), 0);
        });

        test('holds also for what is released by closing, and for several keys', async () => {
            const component = await ours.locks.open();
            await component.acquire(null, ['a', 'b'], { atLeast: 60_000 });
            await component.close(null);
            for (const key of ['a', 'b']) assert.isAbove(await ours.commands.client.pttl(key), 30_000);
        });

        test('is kept though the first release has no answer', async () => {
            await using proxy = await TcpProxy.start(ours.server);
            const component = await ours.locks.open({ command_timeout: 300 }, proxy);
            const lease = await component.acquire(null, 'key', { atLeast: 4000, ttl: 60_000 });
            proxy.pause('toServer');
            await rejection(lease.release(), 'CONNECTION_FAILED');
            proxy.cut();
            proxy.resume();
            await until(async () => (await ours.commands.client.pttl('key')) <= 4000, 5000);
            assert.isAbove(await ours.commands.client.pttl('key'), 0);
        });
    });
});
