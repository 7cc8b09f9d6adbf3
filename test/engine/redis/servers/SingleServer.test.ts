import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { commandDone } from '../../../../src/engine/redis/servers/RedisServers';
import { SingleServer } from '../../../../src/engine/redis/servers/SingleServer';
import type { SingleServerOptions } from '../../../../src/engine/redis/servers/SingleServer';
import { acquireScript } from '../../../../src/engine/redis/scripts/acquire';
import { inspectScript } from '../../../../src/engine/redis/scripts/inspect';
import { Script } from '../../../../src/engine/redis/scripts/Script';
import { keysOf } from '../../../../src/engine/redis/slots';
import { RedisServer } from '../../../fixtures/RedisServer';
import { rejection } from '../../../fixtures/rejection';
import { skipWithoutRedis } from '../../../fixtures/sharedServer';
import { until } from '../../../fixtures/until';
import { clientOf, ended, ownClient } from '../../clientOf';

suite('SingleServer', function () {
    this.timeout(20_000);
    let server: RedisServer;
    let raw: Redis;
    let opened: SingleServer[];
    let told: string[];

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        server = await RedisServer.start();
        raw = await ownClient(server);
        opened = [];
        told = [];
    });
    teardown(async () => {
        await Promise.all(opened.map((one) => one.close()));
        await ended(raw);
        await server.stop();
    });

    async function open(options: Partial<SingleServerOptions> = {}): Promise<SingleServer> {
        const settings = { connectTimeout: 5000, commandTimeout: 5000, wait: 'auto', ...options } as const;
        const one = new SingleServer(clientOf(server), settings);
        opened.push(one);
        await one.open({
            message: (text) => told.push(`message ${text}`),
            changed: () => told.push('changed'),
            reconnected: () => told.push('reconnected'),
            disconnected: () => told.push('disconnected'),
            recovered: () => undefined,
            warned: (text) => told.push(`warned ${text}`),
        });
        return one;
    }

    function inspect(one: SingleServer): Promise<unknown> {
        return commandDone((step) => one.run(step), {
            script: inspectScript,
            key: 'key',
            keys: keysOf('key'),
            args: [''],
        });
    }

    test('warns, once it is open, of a server that may evict locks', async () => {
        await raw.config('SET', 'maxmemory', '100mb');
        await raw.config('SET', 'maxmemory-policy', 'allkeys-lru');
        await open();
        assert.match(told.at(-1) ?? '', /^warned .*allkeys-lru/);
        assert.include(told, 'reconnected');
    });

    test('leaves a server that was started a moment ago alone until it has settled', async () => {
        const error = await rejection(open({ settled: 60_000, connectTimeout: 300 }), 'CONNECTION_FAILED');
        assert.match(error.message, /started a moment ago and votes in \d+ ms/);
    });

    test('does not take a server for settled when it may not know since when that runs', async () => {
        await raw.call('ACL', 'SETUSER', 'default', '-info');
        const error = await rejection(open({ settled: 1, connectTimeout: 2000 }), 'NO_PERMISSION');
        assert.include(error.message, 'info');
    });

    test('goes on trying after an open that failed, if it is persistent', async () => {
        await server.kill();
        const opening = open({ persistent: true, connectTimeout: 200 });
        await rejection(opening, 'CONNECTION_FAILED');
        await server.restart();
        await until(() => told.includes('reconnected'), 10_000);
        const [one] = opened;
        if (one === undefined) assert.fail();
        assert.isTrue(one.isReady);
        assert.isOk(await inspect(one));
    });

    test('counts the time since the start in whole seconds, to be on the safe side', async () => {
        await open({ settled: 1500, connectTimeout: 10_000 });
        const [uptime] = /(?<=uptime_in_seconds:)\d+/.exec(await raw.info('server')) ?? assert.fail();
        assert.isAtLeast(Number(uptime), 2);
    });

    test('is not opened at a replica, where a master was asked for', async () => {
        await raw.replicaof('127.0.0.1', 1);
        const error = await rejection(open({ role: 'master', connectTimeout: 400 }), 'CONNECTION_FAILED');
        assert.include(error.message, 'no master');
    });

    test('does not know what became of a step whose answer it does not understand', async () => {
        const one = await open();
        const script = new Script('renew', false, (answer) => (answer === 8 ? answer : undefined));
        const step = { script, key: 'key', keys: ['key'], args: ['holder', '1000'] } as const;
        const error = await rejection(
            commandDone((asked) => one.run(asked), step),
            'CONNECTION_FAILED',
        );
        assert.include(error.message, 'renew script gave an answer that it does not have: 0');
        assert.propertyVal(error, 'unknown', true);
    });

    test('leaves a master that has become a replica, and says why its step failed', async () => {
        const one = await open({ role: 'master', commandTimeout: 500 });
        const [key, queue] = keysOf('key');
        const step = { script: acquireScript, key, keys: [key, queue], args: ['holder:', '1000'] } as const;
        const write = (): Promise<unknown> => commandDone((asked) => one.run(asked), step);
        await raw.replicaof('127.0.0.1', 1);
        const refused = await rejection(write(), 'SERVER_REFUSED');
        assert.include(refused.message, 'READONLY');
        await until(() => told.includes('disconnected'));
        const away = await rejection(write(), 'CONNECTION_FAILED');
        assert.include(away.message, 'named a server that is no master');
        await raw.replicaof('NO', 'ONE');
        await until(async () => (await inspect(one).catch(() => undefined)) !== undefined, 10_000);
    });
});
