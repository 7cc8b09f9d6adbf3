import { assert } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lease } from '../../src';
import { acquisitionOf } from '../fixtures/LimitedResource';
import { Locks } from '../fixtures/Locks';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { suiteServer } from '../fixtures/suiteServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';
import type { Turn } from '../fixtures/worker';
import { WorkerProcess, turnsOf } from '../fixtures/WorkerProcess';

/** A test that needs more than a moment runs smaller, unless this is set. */
const LARGE = process.env['REDIS_LOCK_LARGE_TESTS'] !== undefined;

suite('Queue', function () {
    this.timeout(60_000);
    const ours = suiteServer();

    suite('over processes', () => {
        let workers: WorkerProcess[] = [];

        suiteSetup(async () => {
            workers = await WorkerProcess.startMany(4, ours.server);
        });

        suiteTeardown(async () => {
            await Promise.all(workers.map((worker) => worker.kill()));
        });

        for (const count of [1, 10, 100, 1000]) {
            test(`${count} waiters are served in order with at most 3 commands each`, async () => {
                const lock = await ours.locks.open();
                const key = `order:${count}`;
                const holder = await warmedUp(lock, key);
                await ours.commands.reset();
                await Promise.all(
                    workers.map((worker, at) =>
                        worker.crowd(key, Math.ceil((count - at) / workers.length), { ttl: 30_000, stay: 0 }),
                    ),
                );
                let line: string[] = [];
                let looks = 0;
                await until(async () => {
                    looks += 1;
                    line = (await lock.inspect(null, key)).waiters.map((waiter) => waiter.holder);
                    return line.length === count;
                });
                const began = performance.now();
                await holder.release();
                const turns = await turnsOf(workers, key, count, 30_000);
                const took = performance.now() - began;

                assert.deepEqual(
                    turns.map((turn) => acquisitionOf(turn.holder)),
                    line,
                );
                oneAtATime(turns);
                const sent = (await ours.commands.scripts()) - looks;
                const calls = await ours.commands.calls();
                const messages = calls.get('publish') ?? 0;
                console.log(
                    `      per turn: ${each(sent, count)} sent, ` +
                        `${each(messages, count)} messages, ${each(took, count)} ms`,
                );
                // Enqueue, confirm, release. The first commands of each process find that the key is not free, and so does the release of the
                // holder before them; and each script may be new.
                assert.isAtMost(sent, 3 * count + 2 * workers.length + count / 16 + 4);
                // One is told that it has the key, the one behind it that it is the next; nobody else is woken.
                assert.isAtMost(messages, 2 * count);
            });
        }

        test('an idle waiter sends nothing', async () => {
            const lock = await ours.locks.open();
            const holder = await warmedUp(lock, 'idle');
            for (const worker of workers) await worker.crowd('idle', 50, { ttl: 30_000, stay: 0 });
            await until(async () => (await lock.inspect(null, 'idle')).waiters.length === 200);
            // What the tests before this one still have to see to may take some seconds.
            await until(async () => {
                await ours.commands.reset();
                await sleep(1000);
                return (await ours.commands.scripts()) === 0;
            }, 15_000);
            await holder.release();
            await turnsOf(workers, 'idle', 200, 20_000);
        });

        test('an uncontended acquire and release take two commands', async () => {
            await using quiet = await RedisServer.start();
            await using sent = new ServerCommands(quiet);
            await using locks = new Locks(quiet);
            const lock = await locks.open();
            await (await warmedUp(lock, 'free')).release();
            await sent.reset();
            for (let at = 0; at < 100; at++) await (await lock.acquire(null, 'free', { ttl: 30_000 })).release();
            assert.strictEqual(await sent.scripts(), 200);
            const calls = await sent.calls();
            const commands = ['get', 'set', 'del', 'exists', 'time', 'pexpire', 'hget', 'hset', 'zrangebyscore'];
            const within = commands.reduce((sum, name) => sum + (calls.get(name) ?? 0), 0);
            // Each costs the server nearly as much as a plain command.
            assert.isAtMost(within, 7 * 100 + 5);
        });
    });

    suite('without some', () => {
        test('killed waiters are passed over at once, however many they are', async () => {
            const lock = await ours.locks.open();
            await using dead = await WorkerProcess.start(ours.server);
            await using alive = await WorkerProcess.start(ours.server);
            const holder = await lock.acquire(null, 'killed', { ttl: 30_000 });
            for (let at = 1; at <= 10; at++) {
                await dead.crowd('killed', 30, { ttl: 30_000, stay: 0 });
                await until(async () => (await lock.inspect(null, 'killed')).waiters.length === 31 * at - 1);
                await alive.crowd('killed', 1, { ttl: 30_000, stay: 0 });
                await until(async () => (await lock.inspect(null, 'killed')).waiters.length === 31 * at);
            }
            await dead.kill();
            const began = performance.now();
            await holder.release();
            oneAtATime(await turnsOf([alive], 'killed', 10, 20_000));
            const took = performance.now() - began;
            console.log(`      300 dead among 310: the living were served after ${Math.round(took)} ms`);
            // One claim window is 2 s; without a look at who listens each of the dead would cost one.
            assert.isBelow(took, 10_000);
        });

        for (const wait of ['queue', 'poll']) {
            test(`a frozen waiter costs one claim window, comes back and has its old place: ${wait}`, async () => {
                const lock = await ours.locks.open();
                await using frozen = await WorkerProcess.start(ours.server, { wait });
                const key = `frozen:${wait}`;
                const holder = await lock.acquire(null, key, { ttl: 30_000 });
                await frozen.crowd(key, 1, { ttl: 30_000, stay: 0 });
                const line = async (): Promise<string[]> =>
                    (await lock.inspect(null, key)).waiters.map((waiter) => waiter.holder);
                await until(async () => (await line()).length === 1);
                const [old] = await line();
                const second = lock.acquire(null, key, { ttl: 30_000, timeout: Infinity, holder: 'second' });
                await until(async () => (await line()).length === 2);
                const third = lock.acquire(null, key, { ttl: 30_000, timeout: Infinity, holder: 'third' });
                await until(async () => (await line()).length === 3);

                frozen.freeze();
                const began = performance.now();
                await holder.release();
                const lease = await second;
                const took = performance.now() - began;
                console.log(`      the one behind a frozen waiter was served after ${Math.round(took)} ms`);
                // The next in line was told that it is; else it would have looked at its next heartbeat, after 9 to 10 s.
                assert.isBelow(took, 6000);

                frozen.thaw();
                await until(async () => (await line()).length === 2);
                assert.strictEqual((await line())[0], old);
                await lease.release();
                const last = await third;
                const [turn] = await turnsOf([frozen], key, 1, 10_000);
                assert.isTrue(turn?.held);
                assert.isBelow(turn?.fence ?? NaN, last.fence);
                assert.isAbove(turn?.fence ?? NaN, lease.fence);
                await last.release();
            });
        }

        test('killed waiters that polled cost two claim windows, however many they are', async () => {
            const lock = await ours.locks.open();
            await using dead = await WorkerProcess.start(ours.server, { wait: 'poll' });
            const holder = await lock.acquire(null, 'polled', { ttl: 30_000 });
            await dead.crowd('polled', 8, { ttl: 30_000, stay: 0 });
            await until(async () => (await lock.inspect(null, 'polled')).waiters.length === 8);
            const next = lock.acquire(null, 'polled', { ttl: 30_000, timeout: Infinity });
            await until(async () => (await lock.inspect(null, 'polled')).waiters.length === 9);
            await dead.kill();
            const began = performance.now();
            await holder.release();
            const lease = await next;
            const took = performance.now() - began;
            console.log(`      the one behind 8 of them was served after ${Math.round(took)} ms`);
            // One window each would be 16 s.
            assert.isBelow(took, 10_000);
            await lease.release();
        });

        test('several frozen waiters cost one claim window each', async () => {
            await using frozen = await WorkerProcess.start(ours.server);
            const lock = await ours.locks.open();
            const holder = await lock.acquire(null, 'ice', { ttl: 30_000 });
            await frozen.crowd('ice', 4, { ttl: 250, stay: 0 });
            await until(async () => (await lock.inspect(null, 'ice')).waiters.length === 4);
            const last = lock.acquire(null, 'ice', { ttl: 30_000, timeout: Infinity });
            await until(async () => (await lock.inspect(null, 'ice')).waiters.length === 5);
            frozen.freeze();
            const began = performance.now();
            await holder.release();
            const lease = await last;
            const took = performance.now() - began;
            console.log(`      behind 4 frozen waiters with a window of 250 ms: ${Math.round(took)} ms`);
            assert.isBelow(took, 10_000);
            await lease.release();
            frozen.thaw();
            await turnsOf([frozen], 'ice', 4, 10_000);
        });

        test('a dead holder is followed by the first in line, and nobody stampedes', async () => {
            await using dead = await WorkerProcess.start(ours.server);
            const line = await ours.locks.openMany(2);
            await dead.acquire('dead', { ttl: 500, keepAlive: true });
            let goOn = (): void => undefined;
            const counted = new Promise<void>((resolve) => (goOn = resolve));
            const taken: number[] = [];
            const order: string[] = [];
            const visits = Array.from({ length: 100 }, async (_, at) => {
                const lease = await line[at % 2]?.acquire(null, 'dead', { ttl: 30_000, timeout: Infinity });
                taken.push(performance.now());
                order.push(acquisitionOf(lease?.holder ?? ''));
                if (taken.length === 1) await counted;
                await lease?.release();
            });
            await until(async () => (await line[0]?.inspect(null, 'dead'))?.waiters.length === 100);
            const expected = (await line[0]?.inspect(null, 'dead'))?.waiters.map((waiter) => waiter.holder);
            await dead.kill();
            await ours.commands.reset();
            const expiry = performance.now() + (await ours.commands.client.pttl('dead'));
            await until(() => taken.length === 1);
            const late = (taken[0] ?? NaN) - expiry;
            // Each step reads the clock, also those that were sent in one list.
            const steps = (await ours.commands.calls()).get('time') ?? 0;
            goOn();
            await Promise.all(visits);
            console.log(`      taken over ${late.toFixed(1)} ms after the expiry, ${steps} steps of 100 waiters`);
            assert.deepEqual(order, expected);
            assert.isBelow(late, 2000);
            assert.isBelow(steps, 50);
        });
    });

    suite('that is left', () => {
        test('an aborted waiter leaves in one command', async () => {
            const lock = await ours.locks.open();
            const holder = await warmedUp(lock, 'abort');
            const controller = new AbortController();
            const { signal } = controller;
            const waiter = lock.acquire(null, 'abort', { ttl: 30_000, timeout: Infinity, signal });
            await until(async () => (await lock.inspect(null, 'abort')).waiters.length === 1);
            await ours.commands.reset();
            controller.abort();
            await rejection(waiter, 'LOCK_ABORTED');
            await until(async () => (await ours.commands.client.zcard('redis-lock:{abort}:q')) === 0);
            assert.strictEqual(await ours.commands.scripts(), 1);
            await holder.release();
            assert.deepEqual(await ours.commands.left('*abort*'), []);
        });

        test('a waiter whose time is over leaves, and the one behind it is served', async () => {
            const lock = await ours.locks.open();
            const holder = await lock.acquire(null, 'late', { ttl: 30_000 });
            const waiter = lock.acquire(null, 'late', { ttl: 30_000, timeout: 150 });
            const next = lock.acquire(null, 'late', { ttl: 30_000, timeout: Infinity });
            const error = await rejection(waiter, 'LOCK_TIMEOUT');
            assert.strictEqual(error.details?.getAsString('holder'), holder.holder);
            await until(async () => (await lock.inspect(null, 'late')).waiters.length === 1);
            await holder.release();
            await (await next).release();
            assert.deepEqual(await ours.commands.left('*late*'), []);
        });

        test('a waiter that leaves when it has just been granted passes the lock on at once', async () => {
            await using proxy = await TcpProxy.start(ours.server);
            const lock = await ours.locks.open();
            const deaf = await ours.locks.open({}, proxy);
            const holder = await lock.acquire(null, 'passed', { ttl: 30_000 });
            const controller = new AbortController();
            const { signal } = controller;
            const first = deaf.acquire(null, 'passed', { ttl: 30_000, timeout: Infinity, signal });
            await until(async () => (await lock.inspect(null, 'passed')).waiters.length === 1);
            const second = lock.acquire(null, 'passed', { ttl: 30_000, timeout: Infinity });
            await until(async () => (await lock.inspect(null, 'passed')).waiters.length === 2);
            proxy.pause('toClient');
            await holder.release();
            assert.notStrictEqual((await lock.inspect(null, 'passed')).holder, holder.holder);
            const began = performance.now();
            controller.abort();
            await rejection(first, 'LOCK_ABORTED');
            const lease = await second;
            const took = performance.now() - began;
            console.log(`      passed on after ${took.toFixed(1)} ms`);
            // The claim window would be 2 s.
            assert.isBelow(took, 1500);
            proxy.resume();
            await lease.release();
        });

        test('close sends waiters away, and those of others are served', async () => {
            const lock = await ours.locks.open();
            const leaving = await ours.locks.open();
            const holder = await lock.acquire(null, 'closed', { ttl: 30_000 });
            const waiters = Array.from({ length: 20 }, () =>
                rejection(leaving.acquire(null, 'closed', { ttl: 30_000, timeout: Infinity }), 'CLOSED'),
            );
            await until(async () => (await lock.inspect(null, 'closed')).waiters.length === 20);
            const next = lock.acquire(null, 'closed', { ttl: 30_000, timeout: Infinity });
            await until(async () => (await lock.inspect(null, 'closed')).waiters.length === 21);
            await leaving.close(null);
            await Promise.all(waiters);
            assert.lengthOf((await lock.inspect(null, 'closed')).waiters, 1);
            await holder.release();
            await (await next).release();
            assert.deepEqual(await ours.commands.left('*closed*'), []);
        });

        test('1,000 waiters of whom half leave at random: the others are served in order', async () => {
            const components = await ours.locks.openMany(4);
            const [lock] = components;
            assert.isDefined(lock);
            const holder = await lock.acquire(null, 'random', { ttl: 30_000 });
            const served: Lease[] = [];
            let aborted = 0;
            const visits = Array.from({ length: 1000 }, async (_, at) => {
                const controller = new AbortController();
                const { signal } = controller;
                if (at % 2 === 0) setTimeout(() => controller.abort(), Math.random() * 400);
                const options = { ttl: 30_000, timeout: Infinity, signal };
                const lease = await components[at % 4]?.acquire(null, 'random', options).catch((error: Error) => {
                    assert.propertyVal(error, 'code', 'LOCK_ABORTED');
                    aborted += 1;
                });
                if (!lease) return;
                served.push(lease);
                await lease.release();
            });
            await until(async () => (await lock.inspect(null, 'random')).waiters.length + aborted >= 1000, 8000);
            const line = (await lock.inspect(null, 'random')).waiters.map((waiter) => waiter.holder);
            await sleep(100);
            await holder.release();
            await Promise.all(visits);
            const order = served.map((lease) => acquisitionOf(lease.holder));
            assert.deepEqual(
                order,
                line.filter((name) => order.includes(name)),
            );
            assert.strictEqual(order.length + aborted, 1000);
            assert.isAtLeast(order.length, 500);
            console.log(`      ${order.length} served, ${aborted} left`);
            await until(async () => (await lock.inspect(null, 'random')).waiters.length === 0);
            assert.deepEqual(await ours.commands.left('*random*'), []);
        });
    });

    suite('of a locker', () => {
        test('a plain try that finds the key free leaves it to the first in line', async () => {
            const [one, other] = await ours.locks.openMany(2);
            assert.isDefined(one);
            for (let round = 0; round < 20; round++) {
                const holder = await one.acquire(null, 'try', { ttl: 30_000 });
                const waiter = one.acquire(null, 'try', { ttl: 30_000, timeout: Infinity });
                await until(async () => (await one.inspect(null, 'try')).waiters.length === 1);
                await ours.commands.client.del('try');
                assert.isNull(await other?.tryAcquire(null, 'try', { ttl: 30_000 }));
                const lease = await waiter;
                assert.isAbove(lease.fence, holder.fence);
                await lease.release();
            }
        });

        test('a lease that was handed on lasts for its own ttl, not for the claim window', async () => {
            const lock = await ours.locks.open();
            const holder = await lock.acquire(null, 'window', { ttl: 30_000 });
            const waiter = lock.acquire(null, 'window', { ttl: 30_000, timeout: Infinity, keepAlive: false });
            await until(async () => (await lock.inspect(null, 'window')).waiters.length === 1);
            await holder.release();
            const lease = await waiter;
            await until(() => lease.remaining() > 10_000);
            assert.isAbove(await ours.commands.client.pttl('window'), 10_000);
            await lease.release();
        });

        test('inspect tells the holder and who waits how long', async () => {
            const lock = await ours.locks.open();
            assert.deepEqual(await lock.inspect(null, 'look'), {
                key: 'look',
                holder: undefined,
                remaining: 0,
                fence: undefined,
                held: undefined,
                mode: undefined,
                holders: [],
                waiters: [],
            });
            const holder = await lock.acquire(null, 'look', { ttl: 30_000 });
            const first = lock.acquire(null, 'look', { timeout: Infinity, holder: 'first' });
            await until(async () => (await lock.inspect(null, 'look')).waiters.length === 1);
            const second = lock.acquire(null, 'look', { timeout: Infinity, holder: 'second' });
            await until(async () => ((await lock.inspect(null, 'look')).waiters[1]?.waited ?? 0) >= 20);

            const info = await lock.inspect(null, 'look');
            assert.strictEqual(info.holder, holder.holder);
            assert.match(info.holder ?? '', new RegExp(`^[^:]+:${process.pid}:[^:]+:[^:]+:${holder.fence}$`));
            assert.strictEqual(info.fence, holder.fence);
            assert.isAtMost(info.remaining, 30_000);
            assert.isAbove(info.remaining, 20_000);
            assert.deepEqual(
                info.waiters.map((waiter) => waiter.holder),
                ['first', 'second'],
            );
            assert.isAtLeast(info.waiters[0]?.waited ?? 0, info.waiters[1]?.waited ?? Infinity);

            await holder.release();
            await (await first).release();
            await (await second).release();
        });

        test('more waiters than max_waiting are told so', async () => {
            const lock = await ours.locks.open({ max_waiting: 3 });
            const holder = await lock.acquire(null, 'many', { ttl: 30_000 });
            const waiters = Array.from({ length: 3 }, () =>
                lock.acquire(null, 'many', { ttl: 30_000, timeout: Infinity }),
            );
            await rejection(lock.acquire(null, 'many', { ttl: 30_000, timeout: Infinity }), 'TOO_MANY');
            await holder.release();
            for (const waiter of waiters) await (await waiter).release();
            await (await lock.acquire(null, 'many', { ttl: 30_000 })).release();
        });

        test('more leases than max_held are refused', async () => {
            const lock = await ours.locks.open({ max_held: 3 });
            const keys = ['held:1', 'held:2', 'held:3', 'held:4', 'held:5'];
            const outcomes = await Promise.allSettled(keys.map((key) => lock.acquire(null, key, { ttl: 30_000 })));
            const leases = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
            assert.lengthOf(leases, 3);
            await rejection(lock.acquire(null, 'held:6', { ttl: 30_000 }), 'TOO_MANY');
            await leases[0]?.release();
            await (await lock.acquire(null, 'held:6', { ttl: 30_000 })).release();
        });

        const size = LARGE ? 10_000 : 3000;

        test(`${size} waiters for one key are served to the end`, async () => {
            const lock = await ours.locks.open({ max_waiting: size });
            const holder = await lock.acquire(null, 'long', { ttl: 30_000 });
            let last = holder;
            const visits = Array.from({ length: size }, async () => {
                const lease = await lock.acquire(null, 'long', { ttl: 30_000, timeout: Infinity });
                assert.isAbove(lease.fence, last.fence);
                last = lease;
                await lease.release();
            });
            await until(async () => (await ours.commands.client.zcard('redis-lock:{long}:q')) === size, 10_000);
            const began = performance.now();
            await holder.release();
            await Promise.all(visits);
            console.log(`      ${each(performance.now() - began, size)} ms each`);
            assert.deepEqual(await ours.commands.left('*long*'), []);
        });

        test(`${size} keys with one waiter each are served to the end`, async () => {
            const one = await ours.locks.open();
            const other = await ours.locks.open({ max_waiting: size });
            const keys = Array.from({ length: size }, (_, at) => `wide:${at}`);
            const holders = await Promise.all(
                keys.map((key) => one.acquire(null, key, { ttl: 60_000, timeout: Infinity })),
            );
            const waiters = keys.map((key) => other.acquire(null, key, { ttl: 60_000, timeout: Infinity }));
            await until(
                async () => (await ours.commands.client.exists(...keys.map((key) => `redis-lock:{${key}}:q`))) === size,
                10_000,
            );
            const began = performance.now();
            await Promise.all(holders.map((holder) => holder.release()));
            await Promise.all(waiters.map(async (waiter) => (await waiter).release()));
            console.log(`      ${each(performance.now() - began, size)} ms each`);
            assert.deepEqual(await ours.commands.left('*wide*'), []);
        });
    });

    /** A lease of the key; the server knows all scripts that are needed to pass it on. */
    async function warmedUp(lock: Awaited<ReturnType<Locks['open']>>, key: string): Promise<Lease> {
        await (await lock.acquire(null, key, { ttl: 30_000 })).release();
        await lock.inspect(null, key);
        return lock.acquire(null, key, { ttl: 30_000 });
    }
});

function each(total: number, count: number): string {
    return (total / count).toFixed(2);
}

function oneAtATime(turns: readonly Turn[]): void {
    for (const [at, turn] of turns.entries()) {
        assert.isTrue(turn.held);
        const before = turns[at - 1];
        if (before !== undefined) assert.isAtLeast(turn.entered, before.left, `${turn.holder} came too early`);
    }
}
