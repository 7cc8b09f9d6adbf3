import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { Locks } from '../fixtures/Locks';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';

/**
 * Public reports of faults of other lock libraries, by library and number: one test for each.
 *
 * Three more are what other tests are about. python-redis-lock 75, a release in a cluster that fails with CROSSSLOT: the contract of
 * locks, which runs in a cluster. node-redlock 304, `unknown command evalsha` at the first call: essentials.test.ts. retools 18, clients
 * whose clocks differ take each other's keys: no script is given a time of its client's.
 */
suite('What was reported of other locks', function () {
    this.timeout(60_000);
    let server: RedisServer;
    let commands: ServerCommands;
    let locks: Locks;

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        server = await RedisServer.start();
        commands = new ServerCommands(server);
        locks = new Locks(server);
    });
    teardown(async () => {
        await locks[Symbol.asyncDispose]();
        await commands[Symbol.asyncDispose]();
        await server.stop();
    });

    test('redisson 2714, a wait that is interrupted as it is granted is renewed for ever: here it is given back', async () => {
        await using proxy = await TcpProxy.start(server);
        const lock = await locks.open({}, proxy);
        // Now the server knows the script.
        await (await lock.acquire(null, 'another')).release();
        proxy.pause('toClient');
        const controller = new AbortController();
        const { signal } = controller;
        const aborted = rejection(lock.acquire(null, 'key', { ttl: 30_000, timeout: 30_000, signal }), 'LOCK_ABORTED');
        await until(async () => (await commands.client.exists('key')) === 1);
        controller.abort();
        await aborted;
        proxy.resume();
        await until(async () => (await commands.client.exists('key')) === 0, 10_000);
    });

    test('redisson 3194, after an outage leases are renewed no more: here they are', async () => {
        await using proxy = await TcpProxy.start(server);
        const lock = await locks.open({ command_timeout: 500 }, proxy);
        const lost = await lock.acquire(null, 'key', { ttl: 1500 });
        await proxy.refuse();
        proxy.cut();
        await until(() => lost.signal.aborted, 10_000);
        await proxy.accept();
        const ttl = 3000;
        const lease = await lock.acquire(null, 'key', { ttl, timeout: 20_000 });
        await sleep(1.5 * ttl);
        assert.isTrue(lease.isHeld());
        assert.strictEqual(await commands.client.get('key'), lease.holder);
    });

    test('redis-semaphore 175, a lock that was lost in between is taken again in silence: here it is lost', async () => {
        const lock = await locks.open();
        const lease = await lock.acquire(null, 'key', { ttl: 6000 });
        // Somebody had it meanwhile, and has released it.
        await commands.client.set('key', 'somebody', 'PX', 1000);
        await commands.client.del('key');
        await until(() => lease.signal.aborted, 6000);
        assert.strictEqual(lease.signal.reason.code, 'LOCK_LOST');
        assert.strictEqual(await commands.client.exists('key'), 0);
    });

    test('redlock-rb 36, to extend a lock that ran out takes it again: here that is refused', async () => {
        const lock = await locks.open();
        const lease = await lock.acquire(null, 'key', { ttl: 6000, keepAlive: false });
        await commands.client.del('key');
        await rejection(lease.renew(), 'LOCK_LOST');
        assert.isFalse(await lock.renew(null, 'key', lease.holder, 6000));
        assert.strictEqual(await commands.client.exists('key'), 0);
    });

    test('redis-py 4279, to renew for 0 ms deletes the key and is a success: here it is refused', async () => {
        const lock = await locks.open();
        const lease = await lock.acquire(null, 'key', { ttl: 20_000 });
        for (const ttl of [0, -1, 0.4]) await rejection(lease.renew(ttl), 'BAD_TTL');
        assert.strictEqual(await commands.client.get('key'), lease.holder);
        assert.isTrue(lease.isHeld());
    });

    test('redis-py 621, the block runs without the lock when the wait is over: here it does not', async () => {
        const [lock, other] = [await locks.open(), await locks.open()];
        await other.acquire(null, 'key', { ttl: 30_000 });
        let ran = false;
        const working = lock.withLock(null, 'key', { timeout: 200 }, async () => Promise.resolve((ran = true)));
        await rejection(working, 'LOCK_TIMEOUT');
        assert.isFalse(ran);
    });

    test('redis-py 818, a key without an expiry stays when its client dies: here none is ever without', async () => {
        const [lock, other] = [await locks.open(), await locks.open()];
        const lease = await lock.acquire(null, 'key', { ttl: 20_000 });
        const waiting = other.acquire(null, 'key', { ttl: 20_000, timeout: 20_000 });
        await until(async () => (await commands.client.exists('redis-lock:{key}:q')) === 1);
        for (const key of await commands.client.keys('*')) assert.isAbove(await commands.client.pttl(key), 0, key);
        await lease.release();
        await waiting;
        for (const key of await commands.client.keys('*')) assert.isAbove(await commands.client.pttl(key), 0, key);
    });

    test('symfony 31426, the ttl runs while one waits, and is over at the grant: here it begins with the grant', async () => {
        const [lock, other] = [await locks.open(), await locks.open()];
        const ttl = 5000;
        const holder = await other.acquire(null, 'key', { ttl });
        const waiting = lock.acquire(null, 'key', { ttl, keepAlive: false, timeout: 30_000 });
        await sleep(1.2 * ttl);
        await holder.release();
        const lease = await waiting;
        // By its message a grant lasts for the claim window; the rest is confirmed in the background.
        await until(() => lease.remaining() > ttl / 2);
        await lease.release();
    });

    test('symfony 38541, a lock object cannot be taken again when its first ttl is over: here it can', async () => {
        const lock = await locks.open();
        for (let round = 0; round < 2; round++) {
            await lock.acquireLock(null, 'key', 500, 10_000);
            await lock.releaseLock(null, 'key');
            await sleep(700);
        }
        assert.strictEqual(await commands.client.exists('key'), 0);
    });

    test('symfony 54234, a release fails when another takes the key at once: here it does not', async () => {
        const all = await locks.openMany(3, { retry_timeout: 1 });
        const cycles = all.map(async (lock) => {
            for (let round = 0; round < 50; round++) {
                const lease = await lock.acquire(null, 'key', { ttl: 20_000, timeout: 30_000 });
                assert.isTrue(await lease.release());
            }
        });
        await Promise.all(cycles);
    });

    test('node-redlock 11, a server that refuses writes keeps the key, and nobody is told: here it is told, and tried on', async () => {
        const lock = await locks.open();
        const lease = await lock.acquire(null, 'key', { ttl: 30_000 });
        // As after a snapshot that failed (MISCONF).
        await commands.client.config('SET', 'min-replicas-to-write', '1');
        await rejection(lease.release(), 'SERVER_REFUSED');
        assert.strictEqual(await commands.client.exists('key'), 1);
        await commands.client.config('SET', 'min-replicas-to-write', '0');
        await until(async () => (await commands.client.exists('key')) === 0, 20_000);
    });
});
