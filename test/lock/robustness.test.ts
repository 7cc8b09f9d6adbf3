import { assert } from 'chai';
import type { RedisLock } from '../../src';
import { freePort } from '../fixtures/freePort';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';
import { lockOf } from './lockOf';
import type { Settings } from './lockOf';
import { runInProcess } from './nodeProcess';
import { rejections } from './rejections';

const TTL = 20_000;
const KEY = 'robustness';

suite('Robustness', () => {
    let server: RedisServer;
    let redis: ServerCommands;
    let made: RedisLock[];
    let frozen: boolean;

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        made = [];
        frozen = false;
        server = await RedisServer.start();
        redis = new ServerCommands(server);
    });
    teardown(async () => {
        if (frozen) server.thaw();
        await redis[Symbol.asyncDispose]();
        await Promise.all(made.map((lock) => lock.close(null)));
        await server.stop();
    });

    function make(settings: Settings = {}, address: { host: string; port: number } = server): RedisLock {
        const lock = lockOf(address, { 'options.command_timeout': 500, ...settings });
        made.push(lock);
        return lock;
    }

    function freeze(): void {
        server.freeze();
        frozen = true;
    }

    async function open(settings: Settings = {}): Promise<RedisLock> {
        const lock = make(settings);
        await lock.open(null);
        return lock;
    }

    test('a context that throws costs nobody a lock, nor an answer', async () => {
        const lock = await open();
        const context = {
            get: (): never => {
                throw new Error('This context has nothing to tell.');
            },
        };
        const lease = await lock.acquire(context, KEY);
        await rejection(lock.acquire(context, KEY, { timeout: 0 }), 'LOCK_TIMEOUT');
        await rejection(lock.acquire(context, ''), 'BAD_KEY');
        assert.isTrue(await lease.release());
        assert.throws(() => lease.assertHeld(), /was released/);
        await lock.acquireLock(context, KEY, TTL);
        await lock.releaseLock(context, KEY);
    });

    suite('open', () => {
        test('fails within connect_timeout with a ConnectionException when nobody listens', async () => {
            const lock = make({ 'options.connect_timeout': 400 }, { host: '127.0.0.1', port: await freePort() });
            const started = performance.now();
            const error = await rejection(lock.open('trace-1'), 'CONNECTION_FAILED');
            const took = performance.now() - started;
            assert.isBelow(took, 2400);
            assert.strictEqual(error.constructor.name, 'ConnectionException');
            assert.strictEqual(error.trace_id, 'trace-1');
            assert.match(error.message, /400 ms.*ECONNREFUSED/);
            assert.isFalse(lock.isOpen());
        });

        test('fails within connect_timeout when the server accepts but does not answer', async () => {
            freeze();
            const lock = make({ 'options.connect_timeout': 400 });
            const started = performance.now();
            await rejection(lock.open(null), 'CONNECTION_FAILED');
            assert.isBelow(performance.now() - started, 2400);
        });

        test('waits for a server that comes up within connect_timeout', async () => {
            await server.kill();
            const lock = make({ 'options.connect_timeout': 9000 });
            const opening = lock.open(null);
            await server.restart();
            await opening;
            assert.isTrue(await lock.tryAcquireLock(null, KEY, TTL));
        });

        test('fails at once on a server that refuses to be asked, and says what it refuses', async () => {
            await redis.client.call('ACL', 'SETUSER', 'mute', 'on', '>pass', '~*', '&*', '+@all', '-ping');
            const lock = make({ 'credential.username': 'mute', 'credential.password': 'pass' });
            const error = await rejection(lock.open(null), 'NO_PERMISSION');
            assert.include(error.message, 'ping');
            assert.strictEqual(error.status, 401);
        });
    });

    suite('a missing permission', () => {
        const limited = { 'credential.username': 'limited', 'credential.password': 'pass' };

        function allow(...rights: string[]): Promise<unknown> {
            return redis.client.call(
                'ACL',
                'SETUSER',
                'limited',
                'reset',
                'on',
                '>pass',
                '~*',
                '&*',
                '+@all',
                ...rights,
            );
        }

        for (const command of ['eval', 'set', 'hset', 'zadd', 'pexpire', 'del']) {
            test(`for ${command} is found when the lock is opened, and named`, async () => {
                await allow(`-${command}`);
                const error = await rejection(make(limited).open(null), 'NO_PERMISSION');
                assert.strictEqual(error.constructor.name, 'UnauthorizedException');
                assert.match(error.message, new RegExp(`\\b${command}\\b`, 'i'));
            });
        }

        test('for evalsha alone does not matter', async () => {
            await allow('-evalsha');
            assert.isTrue(await (await open(limited)).tryAcquireLock(null, KEY, TTL));
        });

        for (const [command, call] of [
            ['set', (lock: RedisLock) => lock.tryAcquireLock(null, KEY, TTL)],
            ['hset', (lock: RedisLock) => lock.acquireLock(null, 'taken', TTL, 300)],
            ['zadd', (lock: RedisLock) => lock.acquireLock(null, 'taken', TTL, 300)],
            ['pexpire', (lock: RedisLock) => lock.renew(null, 'taken', 'somebody', 2 * TTL)],
            ['del', (lock: RedisLock) => lock.release(null, 'taken', 'somebody')],
        ] as const) {
            test(`for ${command}, taken away later, is NO_PERMISSION, and the key is as it was`, async () => {
                await allow();
                await redis.client.set('taken', 'somebody', 'PX', TTL);
                const lock = await open(limited);
                await redis.client.call('ACL', 'SETUSER', 'limited', `-${command}`);
                const error = await rejection(call(lock), 'NO_PERMISSION');
                assert.match(error.message, new RegExp(`\\b${command}\\b`));
                assert.strictEqual(await redis.client.get('taken'), 'somebody');
                assert.strictEqual(await redis.client.exists(KEY), 0);
            });
        }

        test('for the key is NO_PERMISSION, and others work', async () => {
            await redis.client.call(
                'ACL',
                'SETUSER',
                'limited',
                'on',
                '>pass',
                '~mine*',
                '~redis-lock:*',
                '&*',
                '+@all',
            );
            const lock = await open({ 'credential.username': 'limited', 'credential.password': 'pass' });
            await rejection(lock.tryAcquireLock(null, KEY, TTL), 'NO_PERMISSION');
            assert.isTrue(await lock.tryAcquireLock(null, 'mine', TTL));
        });

        for (const command of ['publish', 'subscribe', 'client', 'info']) {
            test(`for ${command} does not matter: waiters are served all the same`, async () => {
                await redis.client.call('ACL', 'SETUSER', 'limited', 'on', '>pass', '~*', '&*', '+@all', `-${command}`);
                const settings = { 'credential.username': 'limited', 'credential.password': 'pass' };
                const [one, other] = [await open(settings), await open(settings)];
                await one.tryAcquireLock(null, KEY, TTL);
                const waiting = other.acquireLock(null, KEY, TTL, 9000);
                await until(async () => (await one.inspect(null, KEY)).waiters.length === 1);
                await one.releaseLock(null, KEY);
                await waiting;
                await redis.client.set('taken', 'somebody', 'PX', 300);
                await other.acquireLock(null, 'taken', TTL, 9000);
            });
        }

        for (const command of ['publish', 'subscribe']) {
            test(`for ${command} makes open fail where options.wait is queue`, async () => {
                await redis.client.call('ACL', 'SETUSER', 'limited', 'on', '>pass', '~*', '&*', '+@all', `-${command}`);
                const settings = { 'credential.username': 'limited', 'credential.password': 'pass' };
                const error = await rejection(
                    make({ ...settings, 'options.wait': 'queue' }).open(null),
                    'NO_PERMISSION',
                );
                assert.include(error.message, command);
                assert.include(error.message, 'options.wait');
            });
        }
    });

    suite('a restart of the server', () => {
        test('is survived: what comes after it works, without opening again', async () => {
            const lock = await open();
            assert.isTrue(await lock.tryAcquireLock(null, 'before', TTL));
            await server.restart();
            assert.isTrue(lock.isOpen());
            await until(() => lock.tryAcquireLock(null, KEY, TTL).catch(() => false), 8000);
            await lock.releaseLock(null, KEY);
            assert.isFalse((await redis.client.keys('*')).includes(KEY));
        });

        test('costs a waiter nothing but time', async () => {
            const [one, other] = [await open(), await open()];
            await one.tryAcquireLock(null, KEY, TTL);
            const waiting = other.acquireLock(null, KEY, TTL, 9000);
            await until(async () => (await one.inspect(null, KEY)).waiters.length === 1);
            await server.restart();
            await waiting;
        });

        test('makes calls fail with CONNECTION_FAILED within command_timeout while it lasts', async () => {
            const lock = await open();
            await server.kill();
            const started = performance.now();
            const errors = await rejections(
                [
                    lock.tryAcquireLock('trace-1', KEY, TTL),
                    lock.acquireLock('trace-1', KEY, TTL, 100),
                    lock.tryAcquire('trace-1', KEY),
                    lock.renew('trace-1', KEY, 'holder', TTL),
                    lock.release('trace-1', KEY, 'holder'),
                    lock.inspect('trace-1', KEY),
                ],
                'CONNECTION_FAILED',
            );
            assert.isBelow(performance.now() - started, 3500);
            for (const error of errors) {
                assert.strictEqual(error.constructor.name, 'ConnectionException');
                assert.strictEqual(error.trace_id, 'trace-1');
            }
        });

        test('does not keep the component from being closed while it lasts', async () => {
            const lock = await open();
            await lock.tryAcquireLock(null, KEY, TTL);
            await server.kill();
            // ioredis pauses between two attempts to connect: close at several points of its rhythm.
            await rejection(lock.tryAcquireLock(null, 'other', TTL), 'CONNECTION_FAILED');
            const started = performance.now();
            await lock.close(null);
            assert.isBelow(performance.now() - started, 3500);
        });
    });

    suite('a frozen server', () => {
        test('makes every call fail with CONNECTION_FAILED within command_timeout', async () => {
            const lock = await open();
            await lock.tryAcquireLock(null, 'held', TTL);
            freeze();
            const started = performance.now();
            await rejections(
                [
                    lock.tryAcquireLock(null, KEY, TTL),
                    lock.acquireLock(null, KEY, TTL, 200),
                    lock.releaseLock(null, 'held'),
                    lock.renew(null, KEY, 'holder', TTL),
                    lock.inspect(null, KEY),
                ],
                'CONNECTION_FAILED',
            );
            assert.isBelow(performance.now() - started, 3500);
        });

        test('does not make acquireLock wait for longer than its timeout', async () => {
            const lock = await open({ 'options.command_timeout': 5000 });
            freeze();
            const started = performance.now();
            await rejection(lock.acquireLock(null, KEY, TTL, 100), 'CONNECTION_FAILED');
            assert.isBelow(performance.now() - started, 3000);
        });

        test('does not keep the component from being closed within command_timeout', async () => {
            const lock = await open();
            await lock.tryAcquireLock(null, KEY, TTL);
            const waiting = rejection((await open()).acquireLock(null, KEY, TTL, 60_000));
            await until(async () => (await lock.inspect(null, KEY)).waiters.length === 1);
            freeze();
            const started = performance.now();
            await Promise.all(made.map((one) => one.close(null)));
            assert.isBelow(performance.now() - started, 3500);
            assert.strictEqual((await waiting).code, 'CLOSED');
        });

        test('that thaws is as good as before, and has nothing of the attempts that failed', async () => {
            const lock = await open();
            freeze();
            await rejections(
                [
                    lock.tryAcquireLock(null, KEY, TTL),
                    lock.acquireLock(null, KEY, TTL, 200),
                    lock.tryAcquire(null, KEY),
                ],
                'CONNECTION_FAILED',
            );
            server.thaw();
            // The attempts reach the server now. Each is undone, or refused, because it was given up.
            await until(() => lock.tryAcquireLock(null, KEY, TTL).catch(() => false), 5000);
            const holder = await redis.client.get(KEY);
            await lock.releaseLock(null, KEY);
            assert.isNotNull(holder);
            await until(async () => (await redis.left(`*${KEY}*`)).every((name) => name.endsWith(':w')));
        });
    });

    test('a call whose answer lies in the socket does not fail because the event loop was blocked', async () => {
        const lock = await open();
        await lock.acquireLock(null, 'before', TTL);
        const called = lock.tryAcquireLock(null, KEY, TTL);
        // It is sent at the end of this turn.
        await new Promise((resolve) => setImmediate(resolve));
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
        assert.isTrue(await called);
    });

    suite('an attempt whose outcome is unknown', () => {
        test('is undone when the server did it and only the answer was lost', async () => {
            await using proxy = await TcpProxy.start(server);
            const lock = make({}, proxy);
            await lock.open(null);
            // From now on the server knows the script, so that one message makes the lock.
            await lock.tryAcquireLock(null, 'first', TTL);
            proxy.pause('toClient');
            const failing = rejection(lock.tryAcquireLock(null, KEY, TTL), 'CONNECTION_FAILED');
            await until(async () => (await redis.client.exists(KEY)) === 1);
            await failing;
            proxy.cut();
            proxy.resume();
            await until(async () => (await redis.client.exists(KEY)) === 0, 8000);
        });

        test('is refused when it arrives after it was given up', async () => {
            await using proxy = await TcpProxy.start(server);
            const lock = make({}, proxy);
            await lock.open(null);
            proxy.pause('toServer');
            await rejection(lock.acquireLock(null, KEY, TTL, 100), 'CONNECTION_FAILED');
            proxy.resume();
            // Both arrive, the attempt and its undoing, in whichever order.
            await until(() => lock.tryAcquireLock(null, KEY, TTL).catch(() => false), 8000);
            await lock.releaseLock(null, KEY);
            assert.strictEqual(await redis.client.exists(KEY), 0);
        });
    });

    suite('a process', () => {
        const OPEN = `
            const lock = new RedisLock();
            const other = new RedisLock();
            for (const one of [lock, other]) {
                one.configure(ConfigParams.fromTuples('connection.host', '127.0.0.1', 'connection.port', PORT));
                await one.open(null);
            }
            await lock.tryAcquireLock(null, 'process', 20000);
            await other.acquireLock(null, 'process', 20000, 50).catch(() => 0);
            await lock.releaseLock(null, 'process');
            await lock.acquire(null, 'process');`;

        test('that closes its locks ends by itself', async () => {
            const body = `${OPEN} await lock.close(null); await other.close(null); console.log('closed');`;
            const ended = await runInProcess(body.replace('PORT', String(server.port)));
            assert.deepEqual(ended, { code: 0, signal: null, output: 'closed' });
        });

        test('that closes its locks while the server is gone ends by itself', async () => {
            const body = `${OPEN} process.kill(${server.pid}, 'SIGKILL');
                await lock.releaseLock(null, 'process').catch(() => 0);
                await lock.tryAcquireLock(null, 'other', 20000).catch(() => 0);
                await lock.close(null); await other.close(null); console.log('closed');`;
            const ended = await runInProcess(body.replace('PORT', `${server.port}, 'options.command_timeout', 300`));
            assert.deepEqual(ended, { code: 0, signal: null, output: 'closed' });
        });

        test('whose lock failed to open ends by itself', async () => {
            const port = await freePort();
            const ended = await runInProcess(`
                const lock = new RedisLock();
                lock.configure(ConfigParams.fromTuples('connection.port', ${port}, 'options.connect_timeout', 300));
                await lock.open(null).catch((error) => console.log(error.code));`);
            assert.deepEqual(ended, { code: 0, signal: null, output: 'CONNECTION_FAILED' });
        });
    });
});
