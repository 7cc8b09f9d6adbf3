import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { ConfigParams, Context } from 'pip-services4-components-node';
import { RedisLock } from '../../src';
import type { LockError } from '../../src';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import { health } from './health';
import { underLock } from './lostLock';
import { REDIS_LOCK, redisLockProvider } from './nestProvider';
import { observeLocks } from './openTelemetry';
import { copyUnderLock } from './recipes';

suite('The recipes', () => {
    let server: RedisServer;
    let lock: RedisLock;

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        server = await RedisServer.start();
        lock = configured();
        await lock.open(null);
    });
    teardown(async () => {
        await lock.close(null);
        await server.stop();
    });

    function configured(...options: unknown[]): RedisLock {
        const { host, port } = server;
        const made = new RedisLock();
        made.configure(ConfigParams.fromTuples('connection.host', host, 'connection.port', port, ...options));
        return made;
    }

    test('give a module of NestJS its lock, which is free when the module ends', async () => {
        const before = process.env['REDIS_URI'];
        process.env['REDIS_URI'] = `redis://${server.host}:${server.port}`;
        try {
            assert.strictEqual(redisLockProvider.provide, REDIS_LOCK);
            const provided = await redisLockProvider.useFactory();
            await provided.acquire(null, 'module');
            assert.isString((await lock.inspect(null, 'module')).holder);
            await provided.onModuleDestroy();
            assert.isUndefined((await lock.inspect(null, 'module')).holder);
        } finally {
            if (before === undefined) delete process.env['REDIS_URI'];
            else process.env['REDIS_URI'] = before;
        }
    });

    test('tell a meter of OpenTelemetry what happens, until they are ended', async () => {
        const told: unknown[] = [];
        const end = observeLocks({
            createCounter: (name) => ({ add: (value, { kind }) => told.push([name, value, kind]) }),
            createHistogram: (name, { unit }) => ({ record: (value) => told.push([name, unit, typeof value]) }),
        });
        await (await lock.acquire(null, 'metered')).release();
        assert.deepEqual(told, [
            ['redis_lock.events', 1, 'acquired'],
            ['redis_lock.wait_time', 'ms', 'number'],
            ['redis_lock.events', 1, 'released'],
            ['redis_lock.hold_time', 'ms', 'number'],
        ]);
        end();
        await (await lock.acquire(null, 'metered')).release();
        assert.lengthOf(told, 4);
    });

    test('tell whether the lock is ready', async () => {
        assert.deepEqual(await health(lock), { ready: true });
        const hasty = configured('options.command_timeout', 300);
        try {
            await hasty.open(null);
            server.freeze();
            const frozen = await health(hasty);
            server.thaw();
            assert.isFalse(frozen.ready);
            assert.include(frozen.reason, 'CONNECTION_FAILED');
            await until(async () => (await health(hasty)).ready, 8000);
        } finally {
            await hasty.close(null);
        }
        assert.deepEqual(await health(hasty), { ready: false, reason: 'the lock is not open' });
    });

    test('tell a user of ILock that its lock is lost, and not that another one is', async () => {
        const [context, other] = [Context.fromTraceId('one'), Context.fromTraceId('two')];
        const error = await underLock(lock, context, 'mine', 1500, async (lost) => {
            await lock.acquireLock(other, 'theirs', 50, 1000);
            await lock.acquireLock(context, 'also mine', 50, 1000);
            await sleep(300);
            assert.isFalse(lost.aborted);
            await until(() => lost.aborted, 5000);
            return lost.reason as LockError;
        });
        assert.strictEqual(error.code, 'LOCK_LOST');
        assert.strictEqual(error.key, 'mine');
    });

    test('end a download when the lock is lost, and save nothing', async () => {
        const slow = createServer(() => undefined).listen(0, '127.0.0.1');
        await once(slow, 'listening');
        const { port } = slow.address() as AddressInfo;
        let saved = false;
        const running = copyUnderLock(lock, `http://127.0.0.1:${port}`, () => Promise.resolve(void (saved = true)));
        try {
            await until(async () => (await lock.inspect(null, 'copy')).holder !== undefined);
            await lock.forceRelease(null, 'copy', { by: 'a test', reason: 'to see it' });
            await rejection(running, 'LOCK_LOST');
            assert.isFalse(saved);
        } finally {
            slow.close();
            slow.closeAllConnections();
            await running.catch(() => undefined);
        }
    });
});
