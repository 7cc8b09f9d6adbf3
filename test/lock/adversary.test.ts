import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { ownServer } from '../fixtures/ownServer';
import { rejection } from '../fixtures/rejection';
import { WAITER_LEASE } from '../../src/engine/port/protocol';
import { skip } from '../fixtures/serverVersion';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';
import { WorkerProcess } from '../fixtures/WorkerProcess';

/** Longer than a waiter that was granted a key has to show that it is there. */
const LONGER_THAN_THE_WINDOW = 2500;

suite('What an adversary may do', function () {
    this.timeout(60_000);
    const own = ownServer();

    async function waiting(key: string, count: number): Promise<void> {
        await until(async () => (await own.commands.client.zcount(`redis-lock:{${key}}:q`, 0, '+inf')) === count);
    }

    suite('a lease that was waited for lasts for all of its ttl', () => {
        test('when its owner keeps the event loop busy from the moment of its grant', async () => {
            const [lock, other] = [await own.locks.open(), await own.locks.open()];
            await using thief = await WorkerProcess.start(own.server);
            const holder = await other.acquire(null, 'busy', { ttl: 30_000 });
            const granted = lock.acquire(null, 'busy', { ttl: 10_000, keepAlive: false, timeout: Infinity });
            await waiting('busy', 1);
            const stolen = thief.acquire('busy', { ttl: 30_000 });
            await waiting('busy', 2);
            await holder.release();
            const lease = await granted;
            const end = performance.now() + LONGER_THAN_THE_WINDOW;
            while (performance.now() < end);
            // The answer to the confirm is there, and not read yet.
            await sleep(50);
            assert.isTrue(lease.isHeld());
            assert.isAbove(lease.remaining(), 5000);
            assert.strictEqual(await own.commands.client.get('busy'), lease.holder);
            await lease.release();
            assert.isAbove((await stolen).fence, lease.fence);
        });

        test('when its process stands still right after its grant', async () => {
            const [lock, other] = [await own.locks.open(), await own.locks.open()];
            await using worker = await WorkerProcess.start(own.server);
            const holder = await lock.acquire(null, 'still', { ttl: 30_000 });
            const granted = worker.acquire('still', { ttl: 20_000 });
            await waiting('still', 1);
            const next = other.acquire(null, 'still', { ttl: 30_000, timeout: Infinity });
            await waiting('still', 2);
            await holder.release();
            const lease = await granted;
            worker.freeze();
            await sleep(LONGER_THAN_THE_WINDOW);
            assert.strictEqual(await own.commands.client.get('still'), lease.holder);
            worker.thaw();
            assert.isTrue(await worker.release('still', lease.holder));
            await (await next).release();
        });

        test('when it is handed over right after its grant', async () => {
            const [lock, other] = [await own.locks.open(), await own.locks.open()];
            const holder = await other.acquire(null, 'over', { ttl: 30_000 });
            const granted = lock.acquire(null, 'over', { ttl: 20_000, timeout: Infinity });
            await waiting('over', 1);
            await holder.release();
            const name = (await granted).handOver();
            await sleep(LONGER_THAN_THE_WINDOW);
            assert.strictEqual(await own.commands.client.get('over'), name);
        });
    });

    suite('an attempt that arrives late takes nothing', () => {
        for (const [what, holder] of [
            ['of an acquisition that was given up', undefined],
            ['of an acquisition that was given up, with a holder that the caller has chosen', 'mine'],
        ] as const) {
            test(what, async () => {
                await using proxy = await TcpProxy.start(own.server);
                const lock = await own.locks.open({ command_timeout: 300 }, proxy);
                proxy.holdBack();
                const options = holder === undefined ? { ttl: 30_000 } : { ttl: 30_000, holder };
                await rejection(lock.tryAcquire(null, 'late', options), 'CONNECTION_FAILED');
                // On a new link it is given up.
                await until(async () => (await own.commands.client.zcard('redis-lock:{late}:q')) === 1, 10_000);
                proxy.letGo();
                await sleep(200);
                assert.isNull(await own.commands.client.get('late'));
            });
        }

        test('of an acquisition that succeeded by another attempt and was released', async () => {
            await using proxy = await TcpProxy.start(own.server);
            const lock = await own.locks.open({ command_timeout: 300 }, proxy);
            proxy.holdBack();
            const lease = await lock.acquire(null, 'again', { ttl: 30_000, timeout: 20_000 });
            assert.isTrue(await lease.release());
            proxy.letGo();
            await sleep(200);
            assert.isNull(await own.commands.client.get('again'));
        });
    });

    test('a release of an owner that arrives late does not end its next lease', async () => {
        await using proxy = await TcpProxy.start(own.server);
        const lock = await own.locks.open({ command_timeout: 300 }, proxy);
        const options = { ttl: 30_000, holder: 'mine', timeout: 20_000 };
        const first = await lock.acquire(null, 'owned', options);
        proxy.holdBack();
        const failed = rejection(first.release(), 'CONNECTION_FAILED');
        const next = lock.acquire(null, 'owned', options);
        await failed;
        const second = await next;
        assert.isAbove(second.fence, first.fence);
        await sleep(1000);
        assert.strictEqual(await own.commands.client.get('owned'), 'mine', 'it was released on a new link before');
        proxy.letGo();
        await sleep(200);
        assert.strictEqual(await own.commands.client.get('owned'), 'mine');
        assert.isTrue(await second.release());
        assert.isNull(await own.commands.client.get('owned'));
    });

    test('an acquisition that is aborted frees nothing of another with its holder', async () => {
        await using proxy = await TcpProxy.start(own.server);
        const [lock, deaf] = [await own.locks.open(), await own.locks.open({}, proxy)];
        const lease = await lock.acquire(null, 'owned', { ttl: 30_000, holder: 'mine' });
        proxy.pause('toClient');
        const controller = new AbortController();
        const { signal } = controller;
        const aborted = rejection(deaf.acquire(null, 'owned', { ttl: 30_000, holder: 'mine', signal, timeout: 9000 }));
        await sleep(100);
        controller.abort();
        assert.include(await aborted, { code: 'LOCK_ABORTED' });
        proxy.resume();
        await until(async () => ((await own.commands.calls()).get('zrem') ?? 0) > 0, 10_000);
        assert.strictEqual(await own.commands.client.get('owned'), 'mine');
        assert.isTrue(lease.isHeld());
    });

    test('thousands that give up one key cost the server a few commands each, and no other key fails', async () => {
        const lock = await own.locks.open({ max_waiting: 5000 });
        const other = await own.locks.open();
        const holder = await other.acquire(null, 'crowd', { ttl: 60_000 });
        const controller = new AbortController();
        const { signal } = controller;
        const waiters = Array.from({ length: 3000 }, () =>
            rejection(lock.acquire(null, 'crowd', { ttl: 30_000, signal, timeout: Infinity }), 'LOCK_ABORTED'),
        );
        await waiting('crowd', 3000);
        await own.commands.reset();
        controller.abort();
        await Promise.all(waiters);
        const lease = await lock.acquire(null, 'free', { ttl: 30_000, timeout: 10_000 });
        await waiting('crowd', 0);
        const calls = await own.commands.calls();
        const writes = ['zrem', 'hdel', 'zadd', 'zrangebyscore', 'hget', 'hgetall', 'pexpire', 'publish'];
        const each = writes.reduce((sum, name) => sum + (calls.get(name) ?? 0), 0) / 3000;
        console.log(`      ${each.toFixed(1)} commands for each that gave up`);
        assert.isBelow(each, 12);
        assert.isUndefined(calls.get('hgetall'));
        await lease.release();
        await holder.release();
    });

    test('a server that stands still for longer than waiters live and leases last forgets nobody for good', async function () {
        if (process.env['REDIS_LOCK_LARGE_TESTS'] === undefined) skip(this, 'it takes most of a minute');
        this.timeout(240_000);
        const lock = await own.locks.open({ command_timeout: 1000 });
        const other = await own.locks.open({ command_timeout: 1000 });
        const lease = await lock.acquire(null, 'frozen', { ttl: 2000 });
        const settled = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);
        const queued = [1, 2, 3].map(() => settled(other.acquire(null, 'frozen', { ttl: 2000, timeout: 5000 })));
        await waiting('frozen', 3);
        own.server.freeze();
        // On their way when it stands still.
        const tries = [1, 2, 3].map((at) => settled(lock.acquire(null, `free:${at}`, { ttl: 2000, timeout: 3000 })));
        await Promise.all([...queued, ...tries]);
        assert.isFalse(lease.isHeld());
        await sleep(WAITER_LEASE + 2000);
        own.server.thaw();
        await until(async () => (await own.commands.left()).length === 0, 40_000);
        const next = await other.acquire(null, 'frozen', { ttl: 30_000, timeout: 20_000 });
        assert.isAbove(next.fence, lease.fence);
        await next.release();
        assert.deepEqual(await own.commands.left(), []);
    });

    test('a lock named like a key of another harms neither', async () => {
        const lock = await own.locks.open();
        const lease = await lock.acquire(null, 'a', { ttl: 30_000 });
        for (const key of ['redis-lock:{a}:q', 'redis-lock:{a}:w', 'redis-lock:clock']) {
            await rejection(lock.tryAcquire(null, key), 'BAD_KEY');
        }
        for (const key of ['{a}:q', '{a}:w', '{a}:m']) await (await lock.acquire(null, key)).release();
        assert.isTrue(await lease.release());
    });

    test('twenty thousand cycles of different keys leave one key behind', async () => {
        const lock = await own.locks.open();
        const cycle = async (number: number): Promise<void> => {
            for (let at = number; at < 20_000; at += 100) await (await lock.acquire(null, `order:${at}`)).release();
        };
        await Promise.all(Array.from({ length: 100 }, (_, number) => cycle(number)));
        assert.strictEqual(await own.commands.client.dbsize(), 1);
    });
});
