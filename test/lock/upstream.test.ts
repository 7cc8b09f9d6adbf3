import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { Context } from 'pip-services4-components-node';
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
const KEY = 'upstream';

/** One test for each defect of pip-services4-redis-node's RedisLock. */
suite('What is wrong with the upstream RedisLock and right with this', () => {
    let server: RedisServer;
    let redis: ServerCommands;
    let made: RedisLock[];

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        made = [];
        server = await RedisServer.start();
        redis = new ServerCommands(server);
    });
    teardown(async () => {
        await redis[Symbol.asyncDispose]();
        await Promise.all(made.map((lock) => lock.close(null)));
        await server.stop();
    });

    function make(settings: Settings = {}, address: { host: string; port: number } = server): RedisLock {
        const lock = lockOf(address, { 'options.command_timeout': 500, ...settings });
        made.push(lock);
        return lock;
    }

    async function open(settings: Settings = {}): Promise<RedisLock> {
        const lock = make(settings);
        await lock.open(null);
        return lock;
    }

    test('retry_timeout is ignored: here it is the pause between attempts', async () => {
        await redis.client.set(KEY, 'somebody', 'PX', TTL);
        const attempts: number[] = [];
        for (const pause of [20, 5000]) {
            const lock = await open({ 'options.wait': 'poll', 'options.retry_timeout': pause });
            await redis.reset();
            await rejection(lock.acquireLock(null, KEY, TTL, 400), 'LOCK_TIMEOUT');
            attempts.push(await redis.scripts());
        }
        const [often = 0, seldom = 0] = attempts;
        // The first one, the last one, and the one that leaves the line; and those that had to be sent as text.
        assert.isAtMost(seldom, 5);
        assert.isAtLeast(often, seldom + 2);
        assert.isAtMost(often, seldom + 400 / 15);
    });

    test('retries means reconnects: here they bound the attempts of acquireLock', async () => {
        const lock = await open({ 'options.retries': 4, 'options.retry_timeout': 30 });
        await redis.client.set(KEY, 'somebody', 'PX', TTL);
        const error = await rejection(lock.acquireLock(null, KEY, TTL, 60_000), 'LOCK_TIMEOUT');
        assert.include(error.message, '120 ms');
        for (let times = 0; times < 6; times++) {
            await server.restart();
            await until(() => lock.tryAcquireLock(null, `${KEY}-${times}`, TTL).catch(() => false), 8000);
        }
    });

    test('one token per instance frees the lock of another caller: here each acquisition has its own', async () => {
        const lock = await open();
        const [one, other] = [Context.fromTraceId('one'), Context.fromTraceId('other')];
        await lock.tryAcquireLock(one, KEY, 200);
        await until(() => lock.tryAcquireLock(other, KEY, TTL));
        const holder = await redis.client.get(KEY);
        await lock.releaseLock(one, KEY);
        assert.strictEqual(await redis.client.get(KEY), holder);
    });

    test('WATCH on a shared connection deletes the lock of a stranger: here concurrent releases hurt nobody', async () => {
        const lock = await open();
        const keys = Array.from({ length: 200 }, (_, at) => `${KEY}-${at}`);
        await Promise.all(keys.map((key) => lock.tryAcquireLock(null, key, TTL)));
        // As if the server had lost every other key, and somebody had taken it, without our knowing.
        const strangers = keys.filter((_, at) => at % 2 === 1);
        await Promise.all(strangers.map((key) => redis.client.set(key, 'stranger', 'PX', TTL)));
        await Promise.all(keys.map((key) => lock.releaseLock(null, key)));
        assert.deepEqual(
            await redis.client.mget(...strangers),
            strangers.map(() => 'stranger'),
        );
        assert.strictEqual(await redis.client.exists(...keys), strangers.length);
    });

    test('username and database are ignored, and an ACL user hangs: here they are used', async () => {
        await redis.client.call('ACL', 'SETUSER', 'worker', 'on', '>pass', '~*', '&*', '+@all');
        await redis.client.call('ACL', 'SETUSER', 'default', 'resetpass', '>other');
        const credential = { 'credential.username': 'worker', 'credential.password': 'pass' };
        const lock = await open({ ...credential, 'options.db_num': 5 });
        await lock.tryAcquireLock(null, KEY, TTL);
        assert.strictEqual(await redis.client.exists(KEY), 0);
        await redis.client.select(5);
        assert.strictEqual(await redis.client.exists(KEY), 1);
    });

    test('TLS is ignored: here a server that does not speak it is refused', async () => {
        const settings = { 'options.connect_timeout': 300, 'options.tls.reject_unauthorized': false };
        await rejection(make(settings).open(null), 'CONNECTION_FAILED');
    });

    test('open resolves without a connection: here it fails when there is none', async () => {
        const lock = make({ 'options.connect_timeout': 300 }, { host: '127.0.0.1', port: await freePort() });
        await rejection(lock.open(null), 'CONNECTION_FAILED');
        assert.isFalse(lock.isOpen());
    });

    test('the process dies of ECONNREFUSED: here it lives on', async () => {
        const port = await freePort();
        const ended = await runInProcess(`
            const lock = new RedisLock();
            lock.configure(ConfigParams.fromTuples('connection.port', ${port}, 'options.connect_timeout', 200));
            await lock.open(null).catch((error) => console.log(error.code));
            await new Promise((resolve) => setTimeout(resolve, 300));
            console.log('alive');`);
        assert.deepEqual(ended, { code: 0, signal: null, output: 'CONNECTION_FAILED\nalive' });
    });

    test('after a restart of the server every call fails for ever: here they work again', async () => {
        const lock = await open();
        await server.restart();
        await until(() => lock.tryAcquireLock(null, KEY, TTL).catch(() => false), 8000);
        assert.isTrue(lock.isOpen());
        await lock.releaseLock(null, KEY);
        assert.strictEqual(await redis.client.exists(KEY), 0);
    });

    test('a frozen server hangs calls for ever: here they fail', async () => {
        const lock = await open();
        server.freeze();
        await rejections(
            [lock.tryAcquireLock(null, KEY, TTL), lock.acquireLock(null, KEY, TTL, 200)],
            'CONNECTION_FAILED',
        );
        server.thaw();
    });

    test('opening twice leaks a connection: here it is refused', async () => {
        await using proxy = await TcpProxy.start(server);
        const lock = make({}, proxy);
        await lock.open(null);
        const { connections } = proxy;
        await rejection(lock.open(null), 'ALREADY_OPENED');
        assert.strictEqual(proxy.connections, connections);
        await lock.close(null);
        await until(() => proxy.connections === 0);
    });

    test('raw errors of the client leak out: here every error is an exception of the toolkit with a code', async () => {
        const lock = await open();
        await redis.client.rpush(KEY, 'no lock');
        const failing = [
            lock.tryAcquireLock('trace-1', KEY, TTL),
            lock.acquireLock('trace-1', KEY, TTL, 3000),
            lock.acquireLock('trace-1', '', TTL, 3000),
            make({ 'credential.username': 'nobody', 'credential.password': 'wrong' }).open('trace-1'),
        ];
        const errors = await rejections(failing);
        await server.kill();
        errors.push(...(await rejections([lock.tryAcquireLock('trace-1', 'other', TTL)])));
        const codes = errors.map(({ code }) => code);
        assert.deepEqual(codes, ['WRONG_TYPE', 'WRONG_TYPE', 'BAD_KEY', 'WRONG_PASSWORD', 'CONNECTION_FAILED']);
        for (const error of errors) {
            assert.match(error.constructor.name, /Exception$/);
            assert.strictEqual(error.trace_id, 'trace-1');
            assert.isNumber(error.status);
        }
    });

    test('a bad ttl and an empty key are not checked: here they are', async () => {
        const lock = await open();
        const badTtls = [0, -1, 1.5, NaN].map((ttl) => lock.tryAcquireLock(null, KEY, ttl));
        await rejections(badTtls, 'BAD_TTL');
        await rejections([lock.tryAcquireLock(null, '', TTL), lock.acquireLock(null, '', TTL, 3000)], 'BAD_KEY');
        assert.strictEqual(await redis.client.dbsize(), 0);
    });

    test('a timeout of 80 ms overshoots to 100 and ends without a last try: here the last try is at the end', async () => {
        const lock = await open({ 'options.wait': 'poll', 'options.retry_timeout': 60_000 });
        // Only the last try can see that the key is free again.
        await until(async () => {
            await redis.client.set(KEY, 'somebody', 'PX', 100);
            return lock.acquireLock(null, KEY, TTL, 300).then(
                () => true,
                () => false,
            );
        }, 8000);
        await lock.releaseLock(null, KEY);
        await redis.client.set(KEY, 'somebody', 'PX', TTL);
        const error = await rejection(lock.acquireLock(null, KEY, TTL, 400), 'LOCK_TIMEOUT');
        assert.include(error.message, '400 ms');
    });

    test('close keeps held locks until they run out: here it releases them', async () => {
        const lock = await open();
        await lock.tryAcquireLock(null, KEY, TTL);
        await lock.close(null);
        assert.strictEqual(await redis.client.exists(KEY), 0);
    });

    test('the documented example does not run: here it does', async () => {
        const source = readFileSync(join(__dirname, '..', '..', '..', 'src', 'lock', 'RedisLock.ts'), 'utf8');
        const [, lines = ''] = /### Example ###\n \*\n((?: \*( {5}.*)?\n)+)/.exec(source) ?? [];
        const example = lines
            .replace(/^ \*/gm, '')
            .replace("'localhost'", "'127.0.0.1'")
            .replace('6379', String(server.port));
        assert.include(example, 'withLock');
        const ended = await runInProcess(`
            const context = Context.fromTraceId('trace-1');
            ${example}
            await lock.close(context);
            console.log('ran');`);
        assert.deepEqual(ended, { code: 0, signal: null, output: 'ran' });
        assert.isAtLeast((await redis.calls()).get('evalsha') ?? 0, 2);
    });
});
