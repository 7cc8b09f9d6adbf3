import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { refusing } from '../fixtures/CommandFilter';
import { Crowd } from '../fixtures/Crowd';
import { Locks } from '../fixtures/Locks';
import type { Options } from '../fixtures/Locks';
import { ownServer } from '../fixtures/ownServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';

/** So long that a poller at this pace is not the one who saw it. */
const NEVER = 60_000;

suite('Foreign holders', function () {
    this.timeout(30_000);
    const own = ownServer();

    /** What the other editions of the toolkit do. */
    async function foreignLock(key: string, ttl = 60_000): Promise<boolean> {
        return (await own.commands.client.set(key, 'foreign', 'PX', ttl, 'NX')) === 'OK';
    }

    /** How many connections the server has accepted. */
    async function connected(): Promise<number> {
        return Number(/^total_connections_received:(\d+)/m.exec(await own.commands.client.info('stats'))?.[1]);
    }

    async function waiting(key: string): Promise<number> {
        return own.commands.client.zcard(`redis-lock:{${key}}:q`);
    }

    test('exclude us, and are excluded by us', async () => {
        const lock = await own.locks.open();
        const lease = await lock.acquire(null, 'both', { ttl: 30_000 });
        assert.isFalse(await foreignLock('both'));
        await lease.release();
        assert.isTrue(await foreignLock('both'));
        assert.isNull(await lock.tryAcquire(null, 'both'));
        const info = await lock.inspect(null, 'both');
        assert.strictEqual(info.holder, 'foreign');
        assert.isUndefined(info.fence);
    });

    for (const ttl of [60_000, undefined]) {
        const what = ttl === undefined ? 'that would never expire ' : '';
        test(`a key ${what}is taken as soon as its foreign holder deletes it`, async () => {
            const lock = await own.locks.open({ retry_timeout: NEVER });
            const other = await own.locks.open({ retry_timeout: NEVER });
            await foreignLock('seen');
            if (ttl === undefined) await own.commands.client.persist('seen');
            const first = lock.acquire(null, 'seen', { ttl: 30_000, timeout: Infinity });
            await until(async () => (await waiting('seen')) === 1);
            const second = other.acquire(null, 'seen', { ttl: 30_000, timeout: Infinity });
            await until(async () => (await waiting('seen')) === 2);
            await until(async () => (await own.commands.watched()) > 0);
            const began = performance.now();
            await own.commands.client.del('seen');
            const lease = await first;
            const took = performance.now() - began;
            console.log(`      ${took.toFixed(1)} ms after it was deleted`);
            assert.isBelow(took, 3000);
            await lease.release();
            await (await second).release();
        });
    }

    test('a key is taken as soon as it expires', async () => {
        const lock = await own.locks.open({ retry_timeout: NEVER });
        await foreignLock('expires', 300);
        const expiry = performance.now() + (await own.commands.client.pttl('expires'));
        const lease = await lock.acquire(null, 'expires', { ttl: 30_000, timeout: Infinity });
        console.log(`      ${(performance.now() - expiry).toFixed(1)} ms after the expiry`);
        await lease.release();
    });

    test('a key that is locked again and again by others is watched on', async () => {
        const lock = await own.locks.open({ retry_timeout: NEVER });
        await foreignLock('again');
        const waiter = lock.acquire(null, 'again', { ttl: 30_000, timeout: Infinity });
        for (let round = 1; round <= 5; round++) {
            await until(async () => (await own.commands.watched()) > 0);
            await own.commands.client.multi().del('again').set('again', `foreign ${round}`, 'PX', 60_000).exec();
        }
        await until(async () => (await own.commands.watched()) > 0);
        await own.commands.client.del('again');
        await (await waiter).release();
    });

    test('only the first in line watches', async () => {
        const lines = await own.locks.openMany(4, { retry_timeout: NEVER });
        await foreignLock('one');
        const waiters = Array.from({ length: 40 }, (_, at) =>
            lines[at % 4]?.acquire(null, 'one', { ttl: 30_000, timeout: Infinity }),
        );
        await until(async () => (await waiting('one')) === 40);
        await until(async () => (await own.commands.watched()) > 0);
        await own.commands.reset();
        await sleep(300);
        assert.strictEqual(await own.commands.scripts(), 0);
        assert.deepEqual(await own.commands.client.pubsub('NUMSUB', '__redis__:invalidate'), [
            '__redis__:invalidate',
            1,
        ]);
        await own.commands.client.del('one');
        await Promise.all(waiters.map(async (waiter) => (await waiter)?.release()));
        const sent = await own.commands.scripts();
        console.log(`      ${sent} commands for 40 waiters`);
        assert.isAtMost(sent, 3 * 40);
    });

    suite('where tracking is refused', () => {
        test('are polled, by the first in line only', async () => {
            await own.commands.client.acl('SETUSER', 'default', '-client', '+client|id');
            await polled(await own.locks.openMany(2, { retry_timeout: 50 }));
        });

        test('are polled, when a proxy does not know CLIENT', async () => {
            await using proxy = await TcpProxy.start(own.server, refusing('CLIENT'));
            await using behind = new Locks(proxy);
            await polled(await behind.openMany(2, { retry_timeout: 50 }));
        });

        async function polled(lines: Awaited<ReturnType<Locks['openMany']>>): Promise<void> {
            await foreignLock('polled');
            const waiters = Array.from({ length: 40 }, (_, at) =>
                lines[at % 2]?.acquire(null, 'polled', { ttl: 30_000, timeout: Infinity }),
            );
            await until(async () => (await waiting('polled')) === 40);
            await sleep(100);
            await own.commands.reset();
            const connections = await connected();
            await sleep(600);
            const sent = await own.commands.scripts();
            // Not one for each look.
            assert.strictEqual(await connected(), connections);
            console.log(`      40 waiters asked ${sent} times in 600 ms`);
            // One asks every 38 to 63 ms; 40 would ask some 500 times.
            assert.isAtLeast(sent, 3);
            assert.isAtMost(sent, 60);
            await own.commands.client.del('polled');
            await Promise.all(waiters.map(async (waiter) => (await waiter)?.release()));
        }
    });

    suite('are still watched', () => {
        test('by the next in line when the first one leaves', async () => {
            const lock = await own.locks.open({ retry_timeout: NEVER });
            const other = await own.locks.open({ retry_timeout: NEVER });
            await foreignLock('left');
            const controller = new AbortController();
            const { signal } = controller;
            const first = lock.acquire(null, 'left', { ttl: 30_000, timeout: Infinity, signal }).catch(() => undefined);
            await until(async () => (await waiting('left')) === 1);
            const second = other.acquire(null, 'left', { ttl: 30_000, timeout: Infinity });
            await until(async () => (await waiting('left')) === 2);
            controller.abort();
            await first;
            await until(async () => (await waiting('left')) === 1);
            await sleep(100);
            await freed('left', second);
        });

        test('by the next in line when the component of the first one is closed', async () => {
            const lock = await own.locks.open({ retry_timeout: NEVER });
            const other = await own.locks.open({ retry_timeout: NEVER });
            await foreignLock('closed');
            const first = lock.acquire(null, 'closed', { ttl: 30_000, timeout: Infinity }).catch(() => undefined);
            await until(async () => (await waiting('closed')) === 1);
            const second = other.acquire(null, 'closed', { ttl: 30_000, timeout: Infinity });
            await until(async () => (await waiting('closed')) === 2);
            await lock.close(null);
            await first;
            await sleep(100);
            await freed('closed', second);
        });

        const cuts: [what: string, act: (proxy: TcpProxy) => unknown][] = [
            ['the watching connection is killed', () => own.commands.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')],
            ['every connection is cut', (proxy) => proxy.cut()],
        ];
        for (const [what, act] of cuts) {
            test(`after ${what}`, async () => {
                await using proxy = await TcpProxy.start(own.server);
                await using behind = new Locks(proxy);
                const lock = await behind.open({ retry_timeout: NEVER });
                await foreignLock('cut');
                const waiter = lock.acquire(null, 'cut', { ttl: 30_000, timeout: Infinity });
                await until(async () => (await own.commands.watched()) > 0);
                await own.commands.reset();
                await act(proxy);
                await until(async () => (await own.commands.watched()) > 0);
                await freed('cut', waiter);
            });
        }

        test('after the server came back with them', async () => {
            const lock = await own.locks.open({ retry_timeout: NEVER });
            await foreignLock('restart');
            const waiter = lock.acquire(null, 'restart', { ttl: 30_000, timeout: Infinity });
            await until(async () => (await own.commands.watched()) > 0);
            await own.server.restart();
            await until(async () => own.commands.client.status === 'ready');
            await foreignLock('restart');
            await sleep(200);
            await own.commands.client.del('restart');
            await (await waiter).release();
        });

        async function freed(key: string, waiter: Promise<{ release(): Promise<boolean> }>): Promise<void> {
            const began = performance.now();
            await own.commands.client.del(key);
            const lease = await waiter;
            const took = performance.now() - began;
            console.log(`      ${took.toFixed(1)} ms after it was deleted`);
            assert.isBelow(took, 5000);
            await lease.release();
        }
    });

    suite('among many of us', () => {
        test('get their turn with yield_after', async () => {
            const taken = await amongMany({ yield_after: 3, retry_timeout: 60 });
            assert.isAtLeast(taken, 1);
        });

        test('do not get their turn without it', async () => {
            // The last of the queue may have released without our having been told yet.
            assert.isAtMost(await amongMany({ retry_timeout: 60 }), 1);
        });

        /** How often a foreign poller gets the key before our queue is empty. */
        async function amongMany(options: Options): Promise<number> {
            const crowd = await Crowd.gather(await own.locks.openMany(2, options), 'many', { count: 24, ttl: 20_000 });
            await crowd.start();
            let taken = 0;
            while (crowd.left < 24) {
                if (await foreignLock('many')) {
                    // The last one leaves the key to the poller, which is no merit.
                    if (crowd.left < 24) taken += 1;
                    await sleep(5);
                    await own.commands.client.del('many');
                }
                await sleep(5);
            }
            await crowd.served();
            crowd.resource.check();
            assert.deepEqual(crowd.resource.order, crowd.line);
            console.log(`      the foreign poller had the key ${taken} times`);
            return taken;
        }
    });
});
