import { setTimeout as sleep } from 'node:timers/promises';
import { format } from 'node:util';
import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { Descriptor, References } from 'pip-services4-components-node';
import type { RedisLock } from '../../../src';
import { keysOf } from '../../../src/engine/redis/slots';
import { Cli } from '../../bin/Cli';
import { ended, ownClient } from '../../engine/clientOf';
import { RedisServer } from '../../fixtures/RedisServer';
import { rejection } from '../../fixtures/rejection';
import { skipWithoutRedis } from '../../fixtures/sharedServer';
import { ShardingProxy } from '../../fixtures/ShardingProxy';
import { lockContract } from '../lockContract';
import { lockOf } from '../lockOf';
import type { Settings } from '../lockOf';

/** How often waiters poll, ms. */
const POLL = { 'options.retry_timeout': 50 };

/** Nor are keys passed on within a process where waiters poll. */
const LACKING = ['list', 'braces', 'local grants'] as const;

suite('At one address of several servers', function () {
    this.timeout(30_000);
    let servers: RedisServer[];
    let clients: Redis[];
    let made: RedisLock[];
    let warned: string[];

    suiteSetup(skipWithoutRedis);
    suiteSetup(async () => {
        servers = await Promise.all([RedisServer.start(), RedisServer.start()]);
        clients = await Promise.all(servers.map(ownClient));
    });
    suiteTeardown(async () => {
        await Promise.all((clients ?? []).map(ended));
        await Promise.all((servers ?? []).map((server) => server.stop()));
    });
    setup(() => {
        made = [];
        warned = [];
    });
    teardown(async () => {
        await Promise.all(made.map((lock) => lock.close(null)));
    });

    function make(proxy: ShardingProxy, settings: Settings = {}): RedisLock {
        const lock = lockOf(proxy, { ...POLL, ...settings });
        made.push(lock);
        const logger = {
            debug: () => undefined,
            warn: (_context: unknown, message: string, ...args: unknown[]) => warned.push(format(message, ...args)),
        };
        lock.setReferences(References.fromTuples(new Descriptor('test', 'logger', 'array', '*', '1.0'), logger));
        return lock;
    }

    async function opened(proxy: ShardingProxy, settings: Settings = {}): Promise<RedisLock> {
        const lock = make(proxy, settings);
        await lock.open(null);
        return lock;
    }

    for (const checked of [false, true]) {
        suite(checked ? 'that refuses commands with keys of two' : 'that looks at the first key of a command', () => {
            let proxy: ShardingProxy;

            suiteSetup(async () => {
                proxy = await ShardingProxy.start(servers, { checked });
            });
            suiteTeardown(async () => {
                await proxy?.[Symbol.asyncDispose]();
            });

            lockContract('Its lock', (settings) => lockOf(proxy, { ...settings, ...POLL }), 20_000, LACKING);

            test('it is told that waiters poll', async () => {
                await opened(proxy);
                assert.lengthOf(warned, 1);
                assert.match(warned[0] ?? '', /spreads its keys over several servers.*poll/);
            });

            test('a hundred keys of one turn are taken by one of two, and each is where others look for it', async () => {
                const locks = await Promise.all([opened(proxy), opened(proxy)]);
                const before = proxy.strays;
                const keys = Array.from({ length: 100 }, (_, at) => `turn:${String(checked)}:${at}`);
                const taken = await Promise.all(
                    keys.flatMap((key) => locks.map((lock) => lock.tryAcquire(null, key, { ttl: 20_000 }))),
                );
                const leases = taken.filter((lease) => lease !== null);
                assert.sameMembers(
                    leases.map((lease) => lease.key),
                    keys,
                );
                for (const { holder, key } of leases) {
                    assert.strictEqual(await clients[proxy.serverOf(key)]?.get(key), holder, key);
                }
                assert.isTrue((await Promise.all(leases.map((lease) => lease.release()))).every(Boolean));
                assert.strictEqual(proxy.strays, before);
            });

            test('a hundred leases are kept alive together', async () => {
                const lock = await opened(proxy);
                const before = proxy.strays;
                const keys = Array.from({ length: 100 }, (_, at) => `alive:${String(checked)}:${at}`);
                const leases = await Promise.all(
                    keys.map((key) => lock.acquire(null, key, { ttl: 6000, keepAlive: true, timeout: 10_000 })),
                );
                await sleep(6500);
                assert.isTrue(leases.every((lease) => lease.isHeld()));
                assert.isTrue((await Promise.all(leases.map((lease) => lease.release()))).every(Boolean));
                assert.strictEqual(proxy.strays, before);
            });

            test('each lock has a clock of its own, for ten minutes', async () => {
                const lock = await opened(proxy);
                const key = `clock:${String(checked)}`;
                const lease = await lock.acquire(null, key);
                await lease.release();
                const client = clients[proxy.serverOf(key)];
                const clock = `redis-lock:{${key}}:clock`;
                assert.strictEqual(Number(await client?.get(clock)), lease.fence);
                const left = Number(await client?.pttl(clock));
                assert.isTrue(left > 300_000 && left <= 600_000, String(left));
                const again = await lock.acquire(null, key);
                assert.isAbove(again.fence, lease.fence);
                for (const one of clients) assert.strictEqual(await one.exists('redis-lock:clock'), 0);
            });

            test('a key whose lock would not be kept together is refused', async () => {
                const lock = await opened(proxy);
                const error = await rejection(lock.tryAcquireLock(null, 'a}b', 5000), 'BAD_KEY');
                assert.match(error.message, /a}b/);
                assert.isTrue(await lock.tryAcquireLock(null, 'a{b}', 5000));
            });

            test('what needs one server is refused', async () => {
                for (const [name, value] of [
                    ['options.acks', 1],
                    ['options.wait', 'queue'],
                ] as const) {
                    const error = await rejection(opened(proxy, { [name]: value }), 'BAD_OPTION');
                    assert.include(error.message, name);
                }
            });

            test('the doctor says so', async () => {
                const cli = new Cli(['doctor'], proxy);
                assert.strictEqual(await cli.ended, 0, cli.stdout);
                assert.match(cli.stdout, /warning.*keys: a proxy spreads them over several servers/);
                assert.match(cli.stdout, /lock: taken, renewed, shared and given back/);
            });
        });

        test(`keys with one tag must stay together${checked ? ', also where that is checked' : ''}`, async () => {
            await using proxy = await ShardingProxy.start(servers, { checked, tags: false });
            const error = await rejection(opened(proxy), 'NOT_SUPPORTED');
            assert.match(error.message, /same \{tag\} apart/);
            const cli = new Cli(['doctor'], proxy);
            assert.strictEqual(await cli.ended, 1);
            assert.match(cli.stdout, /ERROR.*keys: .*same \{tag\} apart/);
        });
    }

    test('they are found where servers do not tell who they are, and nothing of that is left', async () => {
        const mute = ['--rename-command', 'INFO', ''];
        await using one = await RedisServer.start({ args: mute });
        await using other = await RedisServer.start({ args: mute });
        await using proxy = await ShardingProxy.start([one, other], { checked: false });
        await opened(proxy);
        assert.match(warned.join(), /spreads its keys/);
        await using apart = await ShardingProxy.start([one, other], { checked: false, tags: false });
        await rejection(opened(apart), 'NOT_SUPPORTED');
        await using alone = await RedisServer.start({ args: mute });
        await using single = await ShardingProxy.start([alone], { checked: false });
        warned = [];
        const lock = await opened(single);
        assert.notMatch(warned.join(), /spreads its keys/);
        assert.isTrue(await lock.tryAcquireLock(null, 'key', 5000));
        const client = await ownClient(alone);
        assert.sameMembers(await client.keys('*'), [keysOf('key')[0], 'redis-lock:clock']);
        await ended(client);
    });

    test('one server behind a proxy is one server', async () => {
        const [server] = servers;
        if (server === undefined) assert.fail();
        await using proxy = await ShardingProxy.start([server], { checked: true });
        const lock = await opened(proxy);
        assert.notMatch(warned.join(), /spreads its keys/);
        assert.isTrue(await lock.tryAcquireLock(null, 'single', 5000));
        assert.strictEqual(await clients[0]?.exists('redis-lock:clock'), 1);
        await clients[0]?.del('redis-lock:clock');
    });
});
