import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import type { Lease, RedisLock } from '../../../src';
import { SystemClock } from '../../../src/engine/time/Clock';
import { ClusterServers } from '../../../src/engine/redis/servers/ClusterServers';
import { RedisStore } from '../../../src/engine/redis/RedisStore';
import { slotOf } from '../../../src/engine/redis/slots';
import { cliContract } from '../../bin/cliContract';
import { DOCUMENTED_RULE, documentedClusterRule } from '../../connect/rights';
import { clientOf } from '../../engine/clientOf';
import { storeContract } from '../../engine/port/storeContract';
import { Crowd } from '../../fixtures/Crowd';
import { RedisCluster } from '../../fixtures/RedisCluster';
import type { RedisServer } from '../../fixtures/RedisServer';
import { rejection } from '../../fixtures/rejection';
import { needsSeven, serverVersion } from '../../fixtures/serverVersion';
import { sharedServer, skipWithoutRedis } from '../../fixtures/sharedServer';
import { until } from '../../fixtures/until';
import { lockContract } from '../lockContract';
import { lockFrom } from '../lockFrom';
import { lockOf } from '../lockOf';
import type { Settings } from '../lockOf';

suite('A lock in a Redis Cluster', function () {
    this.timeout(60_000);
    let cluster: RedisCluster;
    let made: RedisLock[];

    suiteSetup(skipWithoutRedis);
    suiteSetup(async () => {
        cluster = await RedisCluster.start();
    });
    suiteTeardown(async () => {
        await cluster?.[Symbol.asyncDispose]();
    });
    setup(() => {
        made = [];
    });
    teardown(async () => {
        await Promise.all(made.map((lock) => lock.close(null)));
    });

    function environment(): Settings {
        const uris = cluster.servers.map(({ host, port }) => `redis://${host}:${port}`);
        return Object.fromEntries(uris.slice(0, 3).map((uri, at) => [`REDIS_CLUSTER_${at + 1}`, uri]));
    }

    async function opened(settings: Settings = {}): Promise<RedisLock> {
        const lock = lockFrom('config/cluster.yml', environment(), { 'options.retry_timeout': 60_000, ...settings });
        made.push(lock);
        await lock.open(null);
        return lock;
    }

    lockContract('config/cluster.yml', (settings) => lockFrom('config/cluster.yml', environment(), settings));

    cliContract('config/cluster.yml', environment, 3);

    storeContract('RedisStore in a cluster', { wakes: true, watches: true }, () => {
        const clock = new SystemClock();
        const on = async <T>(
            key: string,
            act: (client: ReturnType<RedisCluster['client']>) => Promise<T>,
        ): Promise<T> => act(cluster.client(await cluster.masterOf(key)));
        return Promise.resolve({
            clock,
            store: () => {
                const options = {
                    connectTimeout: 5000,
                    commandTimeout: 5000,
                    wait: 'auto',
                    seeds: cluster.servers,
                } as const;
                return new RedisStore(new ClusterServers({ ...options, connect: (to) => clientOf(to) }, clock));
            },
            pass: sleep,
            set: async (key: string, value: string, ttl: number) => {
                await on(key, (client) =>
                    ttl === Infinity ? client.set(key, value) : client.set(key, value, 'PX', ttl),
                );
            },
            delete: async (key: string) => {
                await on(key, (client) => client.del(key));
            },
            get: async (key: string) => (await on(key, (client) => client.get(key))) ?? undefined,
            close: () => Promise.resolve(),
        });
    });

    /** A key on the same master as `key`, or on another one. */
    async function keyNear(key: string, near: boolean): Promise<string> {
        const master = await cluster.masterOf(key);
        for (let at = 0; ; at++) {
            const other = `${key}:${at}`;
            if (slotOf(other) !== slotOf(key) && ((await cluster.masterOf(other)) === master) === near) return other;
        }
    }

    async function otherMaster(key: string): Promise<RedisServer> {
        return cluster.masterOf(await keyNear(key, false));
    }

    test('sends messages to the servers of one shard only', async function () {
        needsSeven(this, 'sharded channels');
        const [one, other] = [await opened(), await opened()];
        const lease = await one.acquire(null, 'sharded');
        const waiting = other.acquire(null, 'sharded', { timeout: 20_000 });
        await until(async () => (await one.inspect(null, 'sharded')).waiters.length === 1);
        const master = cluster.client(await cluster.masterOf('sharded'));
        const [record = ''] = await master.hvals('redis-lock:{sharded}:w');
        assert.match(record, / redis-lock:@[0-9a-f]{12}:\S+\{\d+\}$/);
        await master.config('RESETSTAT');
        await lease.release();
        await (await waiting).release();
        const stats = await master.info('commandstats');
        assert.include(stats, 'cmdstat_spublish:');
        assert.notInclude(stats, 'cmdstat_publish:');
    });

    test('does everything with the documented rights, and tries nothing else', async () => {
        for (const server of cluster.servers) {
            const rule = ['on', '>secret', ...DOCUMENTED_RULE, ...documentedClusterRule()];
            await cluster.client(server).call('ACL', 'SETUSER', 'locks', ...rule);
            await cluster.client(server).call('ACL', 'LOG', 'RESET');
        }
        const user = { 'credential.username': 'locks', 'credential.password': 'secret' };
        const crowd = await Crowd.gather([await opened(user), await opened(user)], 'rights', { count: 6, ttl: 20_000 });
        const lease = await made[0]?.acquire(null, 'rights:asked', { keepAlive: false });
        await cluster.move('rights:asked', await otherMaster('rights:asked'));
        await lease?.renew();
        await crowd.start();
        await crowd.served(6);
        assert.deepEqual(crowd.resource.order, crowd.line);
        const logs = await Promise.all(cluster.servers.map((server) => cluster.client(server).call('ACL', 'LOG')));
        assert.deepEqual(logs.flat(), []);
    });

    test('serves in order where the servers have no sharded channels', async () => {
        // Before 7.0 none has.
        const denied = serverVersion()[0] < 7 ? [] : ['-ssubscribe'];
        for (const server of cluster.servers) {
            await cluster.client(server).call('ACL', 'SETUSER', 'old', 'on', '>pw', '~*', '&*', '+@all', ...denied);
        }
        const old = { 'credential.username': 'old', 'credential.password': 'pw' };
        const crowd = await Crowd.gather([await opened(old), await opened(old)], 'unsharded', { count: 6 });
        const master = cluster.client(await cluster.masterOf('unsharded'));
        for (const record of await master.hvals('redis-lock:{unsharded}:w')) assert.notInclude(record, '}');
        await crowd.start();
        await crowd.served(6);
        crowd.resource.check();
        assert.deepEqual(crowd.resource.order, crowd.line);
    });

    test('follows a slot to another server, with those who wait in it, in order', async () => {
        const locks = [await opened(), await opened(), await opened()];
        const crowd = await Crowd.gather(locks, 'moved', { count: 9, ttl: 20_000 });
        await cluster.move('moved', await otherMaster('moved'));
        await crowd.start();
        await crowd.served(9, 30_000);
        crowd.resource.check();
        assert.deepEqual(crowd.resource.order, crowd.line);
    });

    test('hands on, gives up and releases in a slot that is about to leave its server', async () => {
        const locks = [await opened(), await opened()] as const;
        const lease = await locks[0].acquire(null, 'leaving', { ttl: 20_000 });
        const controller = new AbortController();
        const waiting = [1, 2].map(() => locks[1].acquire(null, 'leaving', { timeout: 20_000 }));
        const aborted = rejection(locks[0].acquire(null, 'leaving', { timeout: 20_000, signal: controller.signal }));
        await until(async () => (await locks[0].inspect(null, 'leaving')).waiters.length === 3);
        await cluster.move('leaving', await otherMaster('leaving'), async () => {
            // All keys are still there, but what is deleted now cannot be written again.
            controller.abort();
            await aborted;
            assert.isTrue(await lease.release());
            const first = await Promise.race(waiting);
            const holder = await cluster.client(await cluster.masterOf('leaving')).get('leaving');
            assert.strictEqual(holder, first.holder);
            assert.isTrue(await first.release());
        });
        for (const one of await Promise.all(waiting)) await one.release();
        await until(async () => (await locks[0].inspect(null, 'leaving')).holder === undefined);
    });

    test('renews a lease whose keys are on their way, and waits for what cannot be done meanwhile', async () => {
        const [one, other] = [await opened(), await opened()];
        const lease = await one.acquire(null, 'asked', { ttl: 20_000, keepAlive: false });
        let waiting: Promise<Lease> | undefined;
        await cluster.move('asked', await otherMaster('asked'), async () => {
            // The key of a renewal is there already, so it is asked for at the new server.
            const [from, to] = [await cluster.masterOf('asked'), await otherMaster('asked')];
            await cluster.client(from).migrate(to.host, to.port, 'asked', 0, 5000);
            await lease.renew();
            waiting = other.acquire(null, 'asked', { timeout: 20_000 });
            await sleep(50);
        });
        await until(async () => (await one.inspect(null, 'asked')).waiters.length === 1);
        assert.isTrue(await lease.release());
        assert.isAbove((await waiting)?.fence ?? 0, lease.fence);
    });

    test('loses no lease and no order while slots are moved under load', async () => {
        const locks = [await opened(), await opened(), await opened()];
        const keys = Array.from({ length: 8 }, (_, at) => `load:${at}`);
        const crowds = await Promise.all(
            keys.map((key) => Crowd.gather(locks, key, { count: 40, ttl: 20_000, stay: 10 })),
        );
        await Promise.all(crowds.map((crowd) => crowd.start()));
        for (const key of keys) await cluster.move(key, await otherMaster(key));
        await Promise.all(crowds.map((crowd) => crowd.served(40, 40_000)));
        for (const crowd of crowds) {
            crowd.resource.check();
            assert.deepEqual(crowd.resource.order, crowd.line);
        }
    });

    suite('says what is wrong', () => {
        test('when a cluster is configured as a single server', async () => {
            const [server] = cluster.servers;
            if (server === undefined) assert.fail();
            const lock = lockOf(server);
            made.push(lock);
            const error = await rejection(lock.open(null), 'BAD_OPTION');
            assert.strictEqual(error.constructor.name, 'ConfigException');
            assert.match(error.message, /cluster mode.*options\.topology to cluster/);
        });

        test('when a single server is configured as a cluster', async () => {
            const lock = lockOf(await sharedServer(), { 'options.topology': 'cluster' });
            made.push(lock);
            const error = await rejection(lock.open(null), 'BAD_OPTION');
            assert.match(error.message, /not run in cluster mode.*single/);
        });

        test('when no server can be reached', async () => {
            const lock = lockOf(
                { host: '127.0.0.1', port: 1 },
                { 'options.topology': 'cluster', 'options.connect_timeout': 300 },
            );
            made.push(lock);
            await rejection(lock.open(null), 'CONNECTION_FAILED');
        });
    });

    suite('last, because it leaves a cluster of five servers,', () => {
        test('survives the death of a master: everybody is served, in order, and fences rise', async () => {
            const locks = [await opened(), await opened(), await opened()];
            const victim = await cluster.masterOf('failover');
            const elsewhere = await locks[0]?.acquire(null, await keyNear('failover', false), { ttl: 2000 });
            const crowd = await Crowd.gather(locks, 'failover', { count: 30, ttl: 2000, stay: 20 });
            await crowd.start();
            await crowd.served(5);
            const began = performance.now();
            await victim.kill();
            await crowd.served(30, 40_000);
            console.log(`      all served ${Math.round(performance.now() - began)} ms after the death of the master`);
            crowd.resource.check();
            assert.isTrue(elsewhere?.isHeld(), 'What other masters hold is not touched.');
        });
    });
});
