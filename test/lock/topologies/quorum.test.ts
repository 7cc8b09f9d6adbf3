import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { RedisLock } from '../../../src';
import { SystemClock } from '../../../src/engine/time/Clock';
import { publicHolder } from '../../../src/engine/quorum/names';
import { QuorumStore } from '../../../src/engine/quorum/QuorumStore';
import { CLOCK } from '../../../src/engine/redis/slots';
import { SingleServer } from '../../../src/engine/redis/servers/SingleServer';
import { RedisStore } from '../../../src/engine/redis/RedisStore';
import { cliContract } from '../../bin/cliContract';
import { clientOf, ended, ownClient } from '../../engine/clientOf';
import { storeContract } from '../../engine/port/storeContract';
import { Crowd } from '../../fixtures/Crowd';
import { QuorumNodes } from '../../fixtures/QuorumNodes';
import { RedisServer } from '../../fixtures/RedisServer';
import { rejection } from '../../fixtures/rejection';
import { skipWithoutRedis } from '../../fixtures/sharedServer';
import type { RedisAddress } from '../../fixtures/sharedServer';
import { TcpProxy } from '../../fixtures/TcpProxy';
import { until } from '../../fixtures/until';
import { WorkerProcess, turnsOf } from '../../fixtures/WorkerProcess';
import { lockContract } from '../lockContract';
import { lockFrom } from '../lockFrom';
import { configOf } from '../lockOf';
import type { Settings } from '../lockOf';

/** The longest ttl of most tests, ms: a node votes so long after its start. */
const LONGEST = 4000;

const [COMMAND, NODE] = [4000, 300];

suite('A lock on a quorum', function () {
    this.timeout(60_000);

    let three: QuorumNodes;
    let five: QuorumNodes;
    let made: RedisLock[];

    suiteSetup(skipWithoutRedis);
    suiteSetup(async () => {
        [three, five] = await Promise.all([QuorumNodes.start(3), QuorumNodes.start(5)]);
        await five.voting(LONGEST);
    });
    suiteTeardown(async () => {
        await Promise.all([three?.[Symbol.asyncDispose](), five?.[Symbol.asyncDispose]()]);
    });
    setup(() => {
        made = [];
    });
    teardown(async () => {
        three.thaw();
        five.thaw();
        await Promise.all(made.map((lock) => lock.close(null)));
    });

    function make(nodes: readonly RedisAddress[], settings: Settings = {}): RedisLock {
        const uris = nodes.map(({ host, port }, at) => [`connections.${at}.uri`, `redis://${host}:${port}`]);
        const lock = new RedisLock();
        lock.configure(
            configOf({
                ...Object.fromEntries(uris),
                'options.topology': 'quorum',
                'options.ttl': LONGEST,
                'options.node_timeout': NODE,
                'options.command_timeout': COMMAND,
                'options.retry_timeout': 60_000,
                ...settings,
            }),
        );
        made.push(lock);
        return lock;
    }

    async function opened(nodes: readonly RedisAddress[], settings: Settings = {}): Promise<RedisLock> {
        const lock = make(nodes, settings);
        await lock.open(null);
        return lock;
    }

    /** What each node says of a key. */
    async function read<T>(nodes: readonly RedisServer[], what: (client: Redis) => Promise<T>): Promise<T[]> {
        const clients = await Promise.all(nodes.map((server) => ownClient(server)));
        try {
            return await Promise.all(clients.map(what));
        } finally {
            await Promise.all(clients.map(ended));
        }
    }

    lockContract(
        'config/quorum.yml',
        (settings) => lockFrom('config/quorum.yml', environment(), { 'options.node_timeout': 2000, ...settings }),
        LONGEST,
        ['permits'],
    );

    cliContract('config/quorum.yml', environment, 3, true);

    function environment(): Settings {
        const uris = three.servers.map(({ host, port }, at) => [`REDIS_NODE_${at + 1}`, `redis://${host}:${port}`]);
        return { ...Object.fromEntries(uris), REDIS_LONGEST_TTL: LONGEST };
    }

    storeContract('QuorumStore', { wakes: true, watches: true, isQuorum: true }, async () => {
        const clock = new SystemClock();
        const clients = await Promise.all(three.servers.map((server) => ownClient(server)));
        const all = (act: (client: Redis) => Promise<unknown>): Promise<unknown> => Promise.all(clients.map(act));
        return {
            clock,
            store: () => {
                const nodes = three.servers.map((server) => {
                    const options = {
                        connectTimeout: 5000,
                        commandTimeout: 5000,
                        wait: 'auto',
                        persistent: true,
                    } as const;
                    return new RedisStore(new SingleServer(clientOf(server), options, clock), {
                        keyPrefix: '',
                        node: true,
                    });
                });
                return new QuorumStore(nodes, { longestTtl: 60_000, nodeTimeout: 3000 }, clock);
            },
            pass: sleep,
            set: async (key: string, value: string, ttl: number) => {
                await all((client) => (ttl === Infinity ? client.set(key, value) : client.set(key, value, 'PX', ttl)));
            },
            delete: async (key: string) => {
                await all((client) => client.del(key));
            },
            get: async (key: string) => {
                const value = (await clients[0]?.get(key)) ?? undefined;
                return value === undefined ? undefined : publicHolder(value);
            },
            close: async () => {
                await Promise.all(clients.map(ended));
            },
        };
    });

    for (const count of [1, 2, 3, 4, 5]) {
        test(`of ${count} excludes others, serves in order and leaves nothing behind`, async () => {
            const nodes = five.servers.slice(0, count);
            const locks = await Promise.all([opened(nodes), opened(nodes), opened(nodes)]);
            const crowd = await Crowd.gather(locks, `count:${count}`, { count: 9, ttl: LONGEST });
            await crowd.start();
            await crowd.served(9, 20_000);
            crowd.resource.check();
            assert.deepEqual(crowd.resource.order, crowd.line);
            await until(async () => {
                const keys = await read(nodes, (client) => client.keys(`*count:${count}*`));
                return keys.every((one) => one.every((key) => key.endsWith(':m')));
            });
        });
    }

    for (const [count, failing] of [
        [3, 1],
        [5, 2],
    ] as const) {
        suite(`of ${count} of which ${failing} fail`, () => {
            let nodes: QuorumNodes;

            setup(() => {
                nodes = count === 3 ? three : five;
            });

            /** Everybody in line behind a holder, and the nodes that fail: the one that leads is among them. */
            async function interrupted(
                fault: (server: RedisServer) => unknown,
                settings: Settings = {},
            ): Promise<Crowd> {
                const locks = await Promise.all([1, 2, 3, 4].map(() => opened(nodes.servers, settings)));
                const crowd = await Crowd.gather(locks, `fault:${count}:${made.length}:${performance.now()}`, {
                    count: 20,
                    ttl: LONGEST,
                });
                await crowd.start();
                await crowd.served(4, 20_000);
                for (const server of nodes.servers.slice(0, failing)) await fault(server);
                await crowd.served(20, 40_000);
                crowd.resource.check();
                return crowd;
            }

            test('serves everybody, one at a time, with rising fences, when they are frozen', async () => {
                await interrupted((server) => server.freeze());
                const lock = await opened(nodes.servers);
                assert.isNotNull(await lock.tryAcquire(null, 'frozen'));
            });

            test('serves everybody, one at a time, with rising fences, when they are slow', async () => {
                const proxies = await Promise.all(nodes.servers.slice(0, failing).map((one) => TcpProxy.start(one)));
                const through = [...proxies, ...nodes.servers.slice(failing)];
                const locks = await Promise.all([1, 2].map(() => opened(through, { 'options.node_timeout': 100 })));
                for (const proxy of proxies) proxy.delay(200);
                const crowd = await Crowd.gather(locks, `slow:${count}`, { count: 6, ttl: LONGEST });
                await crowd.start();
                await crowd.served(6, 30_000);
                crowd.resource.check();
                await Promise.all(locks.map((lock) => lock.close(null)));
                await Promise.all(proxies.map((proxy) => proxy.stop()));
            });

            test('serves everybody, one at a time, with rising fences, when they are killed and restarted empty', async () => {
                await interrupted((server) => server.restart());
                const lock = await opened(nodes.servers);
                assert.isNotNull(await lock.tryAcquire(null, 'restarted'));
                await nodes.restarted(LONGEST);
            });

            test('serves everybody, one at a time, with rising fences, when they are dead', async () => {
                await interrupted((server) => server.kill());
                const lock = await opened(nodes.servers, { 'options.connect_timeout': 3000 });
                assert.isNotNull(await lock.tryAcquire(null, 'dead'));
                for (const server of nodes.servers.slice(0, failing)) await server.restart();
                await nodes.restarted(LONGEST);
            });
        });
    }

    test('grants nothing without a quorum, says what each node answered, and leaves nothing behind', async () => {
        const lock = await opened(three.servers);
        for (const server of three.servers.slice(1)) server.freeze();
        const error = await rejection(lock.tryAcquire(null, 'alone'), 'NO_QUORUM');
        assert.strictEqual(error.constructor.name, 'ConnectionException');
        assert.match(error.message, /node 1: granted; node 2: did not answer in time; node 3: did not answer in time/);
        three.thaw();
        await until(
            async () => (await read(three.servers, (client) => client.get('alone'))).every((one) => one === null),
            8000,
        );
        await until(async () => (await lock.tryAcquire(null, 'alone').catch(() => null)) !== null, 8000);
    });

    test('says that it is busy when another has a quorum, also when nodes are away', async () => {
        const [one, other] = [await opened(three.servers), await opened(three.servers)];
        await one.acquire(null, 'busy');
        three.servers[0]?.freeze();
        assert.isNull(await other.tryAcquire(null, 'busy'));
        const error = await rejection(other.acquire(null, 'busy', { timeout: 400 }), 'LOCK_TIMEOUT');
        assert.include(error.message, 'busy');
    });

    test('does not open without a quorum', async () => {
        const nobody = [1, 2].map((port) => ({ host: '127.0.0.1', port }));
        const [there] = three.servers;
        if (there === undefined) assert.fail();
        const error = await rejection(
            make([there, ...nobody], { 'options.connect_timeout': 300 }).open(null),
            'NO_QUORUM',
        );
        assert.match(error.message, /node 1: answered.*node 2: .*ECONNREFUSED.*node 3: .*ECONNREFUSED/);
    });

    test('fails at once when one node is configured wrongly', async () => {
        const [first, second] = three.servers;
        if (first === undefined || second === undefined) assert.fail();
        await using guarded = await RedisServer.start({ args: ['--requirepass', 'sesame'] });
        const error = await rejection(make([guarded, first, second]).open(null), 'WRONG_PASSWORD');
        assert.isNotEmpty(error.message);
    });

    test('takes no lease that is longer than a restarted node is kept from voting', async () => {
        const lock = await opened(three.servers);
        const error = await rejection(lock.tryAcquireLock(null, 'long', LONGEST + 1), 'BAD_TTL');
        assert.include(error.message, 'options.ttl');
    });

    test('counts a lease from before its request, and takes no more than a quorum has left', async () => {
        const lock = await opened(three.servers, { 'options.drift_factor': 0.1 });
        const before = performance.now();
        const lease = await lock.acquire(null, 'valid', { ttl: 2000, keepAlive: false });
        assert.isAtMost(lease.remaining(), 2000 - 200 - 2 + 1);
        assert.isAtMost(before + lease.remaining(), performance.now() + 1800);
        // Two of the three lose it at once: the lease is over.
        await read(three.servers.slice(1), (client) => client.del('valid'));
        await rejection(lease.renew(), 'LOCK_LOST');
        assert.isFalse(lease.isHeld());
    });

    test('takes back votes that a node has lost, so that another may fail', async () => {
        const lock = await opened(three.servers);
        const lease = await lock.acquire(null, 'healed', { keepAlive: false });
        const [first, second, third] = three.servers;
        if (first === undefined || second === undefined || third === undefined) assert.fail();
        for (const server of [third, second, first]) {
            await read([server], (client) => client.del('healed'));
            await lease.renew();
            assert.deepEqual(await read([server], (client) => client.get('healed')), [lease.holder]);
        }
        assert.isTrue(await lease.release());
        assert.deepEqual(await read(three.servers, (client) => client.exists('healed')), [0, 0, 0]);
    });

    test('leaves a lease alone when another acquisition with its holder is refused', async () => {
        const [one, other] = [await opened(three.servers), await opened(three.servers)];
        const lease = await one.acquire(null, 'shared', { holder: 'chosen', keepAlive: false });
        const [lead] = three.servers;
        if (lead === undefined) assert.fail();
        await read([lead], (client) => client.set('shared', 'somebody', 'PX', 60_000));
        assert.isNull(await other.tryAcquire(null, 'shared', { holder: 'chosen' }));
        await sleep(50);
        const values = await read(three.servers.slice(1), (client) => client.get('shared'));
        assert.deepEqual(values.map(String).map(publicHolder), ['chosen', 'chosen']);
        await lease.renew();
        await read([lead], (client) => client.del('shared'));
        assert.isTrue(await lease.release());
    });

    test('renews for no longer than the longest ttl, and goes on as before', async () => {
        const lock = await opened(three.servers);
        const lease = await lock.acquire(null, 'longer', { ttl: 900 });
        await rejection(lease.renew(LONGEST + 1), 'BAD_TTL');
        await rejection(lock.renew(null, 'longer', lease.holder, LONGEST + 1), 'BAD_TTL');
        assert.isBelow(lease.remaining(), 900);
        await sleep(1500);
        assert.isTrue(lease.isHeld());
        await lease.release();
    });

    test('tells who has a key, also when the first node has lost its vote', async () => {
        const lock = await opened(three.servers);
        const lease = await lock.acquire(null, 'seen', { keepAlive: false });
        await read(three.servers.slice(0, 1), (client) => client.del('seen'));
        for (let time = 0; time < 30; time++) {
            assert.strictEqual((await lock.inspect(null, 'seen')).holder, lease.holder);
        }
        await lease.release();
    });

    test('says LOCK_TIMEOUT, also when the first node has lost the vote of the one who has the key', async () => {
        const [one, other] = [await opened(three.servers), await opened(three.servers)];
        await one.acquire(null, 'code', { keepAlive: false });
        await read(three.servers.slice(0, 1), (client) => client.del('code'));
        await rejection(other.acquire(null, 'code', { timeout: 300 }), 'LOCK_TIMEOUT');
    });

    test('gives back later what a node that was away still has', async () => {
        const proxies = await Promise.all(three.servers.map((one) => TcpProxy.start(one)));
        const [away] = proxies;
        if (away === undefined) assert.fail();
        const lock = await opened(proxies, { 'options.command_timeout': 500, 'options.node_timeout': 200 });
        const lease = await lock.acquire(null, 'owed', { keepAlive: false });
        away.pause();
        assert.isTrue(await lease.release());
        assert.strictEqual((await read(three.servers, (client) => client.exists('owed')))[0], 1);
        // What was on its way is lost with the link.
        await sleep(600);
        away.cut();
        away.resume();
        await until(async () => (await read(three.servers, (client) => client.exists('owed')))[0] === 0, 2500);
        await lock.close(null);
        await Promise.all(proxies.map((proxy) => proxy.stop()));
    });

    test('takes back what arrived too late to be of use', async () => {
        const proxies = await Promise.all(three.servers.map((one) => TcpProxy.start(one)));
        const lock = await opened(proxies, { 'options.node_timeout': 3000 });
        for (const proxy of proxies) proxy.delay(150);
        await rejection(lock.tryAcquire(null, 'late', { ttl: 200 }), 'NO_QUORUM');
        await until(async () =>
            (await read(three.servers, (client) => client.exists('late'))).every((one) => one === 0),
        );
        await lock.close(null);
        await Promise.all(proxies.map((proxy) => proxy.stop()));
    });

    test('writes the fence to a quorum before the lease is used, where the nodes gave different ones', async () => {
        const now = Date.now() * 1000;
        const clocks = [5, 9, 20].map((ahead, at) => [three.servers[at], now + ahead * 1_000_000] as const);
        for (const [server, clock] of clocks) {
            if (server !== undefined) await read([server], (client) => client.set(CLOCK, clock));
        }
        const lock = await opened(three.servers);
        const lease = await lock.acquire(null, 'fence');
        assert.isAbove(lease.fence, clocks[1]?.[1] ?? NaN);
        await until(async () =>
            (await read(three.servers, (client) => client.get('fence'))).every((one) => one === lease.holder),
        );
        const stored = (await read(three.servers, (client) => client.get(CLOCK))).map(Number);
        assert.isAtLeast(Math.min(...stored), lease.fence);
        await lease.release();
        assert.isAbove((await lock.acquire(null, 'fence')).fence, lease.fence);
        await lock.close(null);
        await read(three.servers, (client) => client.del(CLOCK));
    });

    test('asks each node once for a grant that nobody else wants, and once for its release', async () => {
        const lock = await opened(three.servers);
        await (await lock.acquire(null, 'cheap')).release();
        await read(three.servers, (client) => client.config('RESETSTAT'));
        for (let time = 0; time < 20; time++) await (await lock.acquire(null, 'cheap', { keepAlive: false })).release();
        const calls = await read(three.servers, async (client) =>
            Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info('commandstats'))?.[1]),
        );
        // 60 where the fence had to be written each time.
        for (const count of calls) assert.isAtMost(count, 50);
    });

    test('serves waiters of four processes on three and on five nodes', async () => {
        for (const { servers } of [three, five]) {
            const workers = await WorkerProcess.startMany(4, servers, { ttl: LONGEST, node_timeout: NODE });
            try {
                const key = `processes:${servers.length}`;
                await Promise.all(workers.map((worker) => worker.crowd(key, 10, { ttl: LONGEST, stay: 2 })));
                const turns = await turnsOf(workers, key, 40, 30_000);
                // In the order of their fences: one at a time.
                turns.forEach(({ entered, held }, at) => {
                    assert.isTrue(held);
                    assert.isAtLeast(entered, turns[at - 1]?.left ?? 0);
                });
            } finally {
                await Promise.all(workers.map((worker) => worker.kill()));
            }
        }
    });
});
