import { once } from 'node:events';
import { assert } from 'chai';
import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import { ConfigParams, Descriptor, References } from 'pip-services4-components-node';
import { RedisLock } from '../../../src';
import { Crowd } from '../../fixtures/Crowd';
import { RedisCluster } from '../../fixtures/RedisCluster';
import { RedisServer } from '../../fixtures/RedisServer';
import { rejection } from '../../fixtures/rejection';
import { skipWithoutRedis } from '../../fixtures/sharedServer';
import { TcpProxy } from '../../fixtures/TcpProxy';
import { until } from '../../fixtures/until';
import { lockContract } from '../lockContract';
import { configOf } from '../lockOf';

suite('A lock with a client of somebody else', function () {
    this.timeout(30_000);
    let server: RedisServer;
    let client: Redis;
    let made: RedisLock[];

    suiteSetup(skipWithoutRedis);
    suiteSetup(async () => {
        server = await RedisServer.start();
    });
    suiteTeardown(async () => {
        await server?.stop();
    });
    setup(() => {
        client = new Redis(server.port);
        client.on('error', () => undefined);
        made = [];
    });
    teardown(async () => {
        await Promise.all(made.map((lock) => lock.close(null)));
        client.disconnect();
    });

    function use(one: Redis | Cluster): RedisLock {
        const lock = new RedisLock(one);
        made.push(lock);
        return lock;
    }

    lockContract('With a borrowed client', (settings) => {
        const lock = new RedisLock(client);
        lock.configure(configOf(settings));
        return lock;
    });

    suite('of ioredis 5', () => {
        let older: Redis5;

        setup(() => {
            older = new Redis5(server.port);
            older.on('error', () => undefined);
        });
        teardown(() => older.disconnect());

        lockContract('With a borrowed client of ioredis 5', (settings) => {
            const lock = new RedisLock(older);
            lock.configure(configOf(settings));
            return lock;
        });

        test('is found by reference, and may be one of a cluster', async () => {
            await using cluster = await RedisCluster.start();
            const client5 = new Cluster5(cluster.servers.map(({ host, port }) => ({ host, port })));
            await once(client5, 'ready');
            const lock = new RedisLock();
            made.push(lock);
            lock.setReferences(
                References.fromTuples(new Descriptor('app', 'client', 'ioredis', 'main', '1.0'), client5),
            );
            await lock.open(null);
            assert.isTrue(await lock.tryAcquireLock(null, 'key', 5000));
            await lock.close(null);
            client5.disconnect();
        });
    });

    test('must be one of ioredis, and is told from settings and from clients of other packages', async () => {
        const others: [given: unknown, said: RegExp][] = [
            ['redis://host', /a string/],
            [{}, /settings.*configure/],
            [{ host: 'localhost' }, /settings.*configure/],
            [{ sendCommand: () => undefined, duplicate: () => undefined, options: {} }, /another package.*ioredis/],
        ];
        // As a caller without types may do.
        const Untyped = RedisLock as new (client: unknown) => RedisLock;
        for (const [given, said] of others) {
            const refused = await rejection(
                Promise.resolve().then(() => new Untyped(given)),
                'BAD_OPTION',
            );
            assert.match(refused.message, said);
            const lock = new RedisLock();
            lock.setReferences(References.fromTuples(new Descriptor('app', 'client', 'ioredis', 'main', '1.0'), given));
            assert.match((await rejection(lock.open(null), 'BAD_OPTION')).message, said);
        }
    });

    test('needs no connection, and takes the client from the constructor or by reference', async () => {
        const lock = use(client);
        await lock.open(null);
        assert.isTrue(await lock.tryAcquireLock(null, 'key', 5000));
        const other = new RedisLock();
        made.push(other);
        other.configure(ConfigParams.fromTuples('options.ttl', 1000));
        other.setReferences(References.fromTuples(new Descriptor('app', 'client', 'ioredis', 'main', '1.0'), client));
        await other.open(null);
        assert.isFalse(await other.tryAcquireLock(null, 'key', 5000));
    });

    test('never closes it, and leaves nothing of its own on it', async () => {
        await once(client, 'ready');
        const before = client.eventNames().map((name) => [name, client.listenerCount(name)]);
        const lock = use(client);
        await lock.open(null);
        const lease = await lock.acquire(null, 'key');
        await lock.close(null);
        assert.isFalse(lease.isHeld());
        assert.strictEqual(await client.ping(), 'PONG');
        assert.deepEqual(
            client.eventNames().map((name) => [name, client.listenerCount(name)]),
            before,
        );
        await until(
            async () =>
                String(await client.client('LIST'))
                    .trim()
                    .split('\n').length === 1,
        );
    });

    test('leaves what the client listens to alone', async () => {
        const heard: string[] = [];
        client.on('message', (_channel, text) => heard.push(text));
        const crowd = await Crowd.gather([await ready(use(client))], 'quiet', { count: 3 });
        await crowd.start();
        await crowd.served(3);
        assert.deepEqual(heard, []);
    });

    async function ready(lock: RedisLock): Promise<RedisLock> {
        await lock.open(null);
        return lock;
    }

    test('connects a client that waits to be connected', async () => {
        client.disconnect();
        client = new Redis(server.port, { lazyConnect: true });
        const lock = await ready(use(client));
        assert.isTrue(await lock.tryAcquireLock(null, 'lazy', 5000));
    });

    test('fails at once with one that was ended', async () => {
        client.disconnect();
        await until(() => client.status === 'end');
        const start = performance.now();
        const error = await rejection(use(client).open(null), 'CONNECTION_FAILED');
        assert.include(error.message, 'ended by its owner');
        assert.isBelow(performance.now() - start, 2000);
    });

    test('fails at once with one that is subscribed', async () => {
        client.disconnect();
        client = new Redis({ port: server.port, protocol: 2 });
        await client.subscribe('channel');
        const error = await rejection(use(client).open(null), 'BAD_OPTION');
        assert.include(error.message, 'is subscribed');
    });

    test('is closed at once, and calls fail at once, when the owner has ended the client', async () => {
        const lock = await ready(use(client));
        await lock.acquire(null, 'key');
        await client.quit();
        await until(() => client.status === 'end');
        const start = performance.now();
        const error = await rejection(lock.tryAcquireLock(null, 'other', 5000), 'CONNECTION_FAILED');
        assert.include(error.message, 'ended by its owner');
        await lock.close(null);
        assert.isBelow(performance.now() - start, 2000);
    });

    test('goes on when the client has reconnected', async () => {
        const lock = await ready(use(client));
        await server.restart();
        await until(async () => (await lock.tryAcquire(null, 'again').catch(() => null)) !== null, 10_000);
    });

    test('refuses a client that puts a prefix before every key', async () => {
        client.disconnect();
        client = new Redis(server.port, { keyPrefix: 'app:' });
        const error = await rejection(use(client).open(null), 'BAD_OPTION');
        assert.match(error.message, /"app:".*options\.key_prefix/);
    });

    test('refuses a client that makes strings of the numbers that scripts answer', async () => {
        client.disconnect();
        client = new Redis(server.port, { stringNumbers: true });
        assert.include((await rejection(use(client).open(null), 'BAD_OPTION')).message, 'stringNumbers');
    });

    test('makes connections with the options of a cluster client', async function () {
        this.timeout(60_000);
        await using cluster = await RedisCluster.start();
        const addresses = cluster.servers.map(({ host, port }) => ({ host, port }));
        const idle = new Cluster(addresses, { lazyConnect: true });
        assert.include((await rejection(use(idle).open(null), 'NO_CONNECTION')).message, 'ready');
        const own = new Cluster(addresses);
        try {
            await once(own, 'ready');
            const lock = await ready(use(own));
            const keys = Array.from({ length: 20 }, (_, at) => `key:${at}`);
            // One after the other, on three masters: a crowded machine takes its time.
            const lease = await lock.acquire(null, keys, { timeout: 20_000 });
            assert.isTrue(await lease.release());
            await lock.close(null);
            assert.strictEqual(await own.get('key:1'), null);
        } finally {
            own.disconnect();
        }
        // Where the addresses that the servers tell lead nowhere.
        const proxies = await Promise.all(cluster.servers.map((one) => TcpProxy.start(one)));
        const [first] = proxies;
        if (first === undefined) assert.fail();
        const natMap = Object.fromEntries(
            cluster.servers.map((one, at) => [`${one.host}:${one.port}`, proxies[at] ?? assert.fail()]),
        );
        const mapped = new Cluster([first], { natMap });
        try {
            await once(mapped, 'ready');
            const before = proxies.map(({ accepted }) => accepted);
            const lock = await ready(use(mapped));
            assert.isAtLeast(proxies.filter(({ accepted }, at) => accepted > (before[at] ?? 0)).length, 3);
            assert.isTrue(await lock.tryAcquireLock(null, 'mapped', 5000));
            await lock.close(null);
        } finally {
            mapped.disconnect();
            await Promise.all(proxies.map((one) => one.stop()));
        }
    });
});
