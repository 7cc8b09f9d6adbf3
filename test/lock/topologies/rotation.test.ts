import { once } from 'node:events';
import { assert } from 'chai';
import { Cluster, Redis } from 'ioredis';
import { RedisLock } from '../../../src';
import { rotatingToken } from '../../examples/rotatingToken';
import { KeepAliveThreads, block } from '../../fixtures/keepAliveThreads';
import { RedisCluster } from '../../fixtures/RedisCluster';
import { ownServer } from '../../fixtures/ownServer';
import { ServerCommands } from '../../fixtures/ServerCommands';
import { until } from '../../fixtures/until';
import { configOf } from '../lockOf';

suite('A password that is changed', function () {
    this.timeout(60_000);
    const own = ownServer();

    /** From now on the password is this one, and everybody has to connect anew. */
    async function rotate(commands: ServerCommands, password: string): Promise<void> {
        await commands.client.config('SET', 'requirepass', password);
        await commands.disconnectOthers();
    }

    /** Whether one is served, and whether the other is woken by it and not by a poll, which takes a minute here. */
    async function works(lock: RedisLock, key: string): Promise<void> {
        const acquire = (): Promise<boolean> =>
            lock.acquireLock(null, key, 60_000, 2000).then(
                () => true,
                () => false,
            );
        await until(acquire, 15_000);
        const second = await lock.acquire(null, [`${key}:2`]);
        const waiting = lock.acquire(null, `${key}:2`, { timeout: 20_000 });
        await until(async () => (await lock.inspect(null, `${key}:2`)).waiters.length === 1);
        const start = performance.now();
        await second.release();
        await (await waiting).release();
        assert.isBelow(performance.now() - start, 2000);
    }

    test('is looked up again in the credential store for each connection, without a restart', async () => {
        let token = 'first';
        await own.commands.client.config('SET', 'requirepass', token);
        const users: string[] = [];
        const settings = { 'connection.host': own.server.host, 'connection.port': own.server.port };
        const lock = rotatingToken(configOf({ ...settings, 'options.retry_timeout': 60_000 }), (user) => {
            users.push(user);
            return Promise.resolve(token);
        });
        own.locks.add(lock);
        await lock.open(null);
        await works(lock, 'before');
        token = 'second';
        await rotate(own.commands, token);
        await works(lock, 'after');
        // The store comes late.
        await rotate(own.commands, 'third');
        await new Promise((resolve) => setTimeout(resolve, 500));
        token = 'third';
        await works(lock, 'late');
        assert.sameMembers([...new Set(users)], ['default']);
    });

    test('is told to the keep-alive thread, which connects by it', async () => {
        using threads = new KeepAliveThreads();
        let token = 'first';
        await own.commands.client.config('SET', 'requirepass', token);
        const settings = {
            'connection.host': own.server.host,
            'connection.port': own.server.port,
            'options.ttl': 2000,
        };
        const lock = rotatingToken(configOf({ ...settings, 'options.keep_alive_thread': true }), () =>
            Promise.resolve(token),
        );
        own.locks.add(lock);
        await lock.open(null);
        await threads.ready();
        token = 'second';
        await rotate(own.commands, token);
        const kept = async (): Promise<boolean> => {
            const lease = await lock.acquire(null, 'key', { timeout: 20_000 });
            block(3000);
            const isHeld = lease.isHeld();
            await lease.release().catch(() => false);
            return isHeld;
        };
        // As soon as it has heard of it.
        await until(kept, 50);
    });

    test('does not matter while the credential store is out of order and the old one is right', async () => {
        let broken = false;
        await own.commands.client.config('SET', 'requirepass', 'only');
        const settings = { 'connection.host': own.server.host, 'connection.port': own.server.port };
        const lock = rotatingToken(configOf({ ...settings, 'options.retry_timeout': 60_000 }), () =>
            broken ? Promise.reject(new Error('out of order')) : Promise.resolve('only'),
        );
        own.locks.add(lock);
        await lock.open(null);
        broken = true;
        await rotate(own.commands, 'only');
        await works(lock, 'broken');
    });

    for (const protocol of [3, 2] as const) {
        test(`by the owner of a borrowed client is followed by our second connections (RESP${protocol})`, async () => {
            await own.commands.client.config('SET', 'requirepass', 'first');
            const client = new Redis({ port: own.server.port, password: 'first', protocol });
            client.on('error', () => undefined);
            try {
                await once(client, 'ready');
                const lock = own.locks.add(new RedisLock(client));
                lock.configure(configOf({ 'options.retry_timeout': 60_000 }));
                await lock.open(null);
                await works(lock, 'before');
                client.options.password = 'second';
                await rotate(own.commands, 'second');
                await works(lock, 'after');
            } finally {
                await own.locks[Symbol.asyncDispose]();
                client.disconnect();
            }
        });
    }

    test('by the owner of a borrowed cluster client is followed by our connections', async () => {
        await using cluster = await RedisCluster.start();
        const masters = cluster.servers.map((one) => new ServerCommands(one));
        for (const one of masters) await one.client.config('SET', 'requirepass', 'first');
        const redisOptions = { password: 'first' };
        const client = new Cluster(
            cluster.servers.map(({ host, port }) => ({ host, port })),
            { redisOptions },
        );
        client.on('error', () => undefined);
        try {
            await once(client, 'ready');
            const lock = own.locks.add(new RedisLock(client));
            lock.configure(configOf({ 'options.retry_timeout': 60_000 }));
            await lock.open(null);
            await works(lock, 'before');
            redisOptions.password = 'second';
            if (client.options.redisOptions) client.options.redisOptions.password = 'second';
            await Promise.all(masters.map((one) => rotate(one, 'second')));
            await works(lock, 'after');
        } finally {
            await own.locks[Symbol.asyncDispose]();
            client.disconnect();
            await Promise.all(masters.map((one) => one[Symbol.asyncDispose]()));
        }
    });
});
