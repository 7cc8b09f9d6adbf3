import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { Redis } from 'ioredis';
import { ConfigParams } from 'pip-services4-components-node';
import { DIAGNOSTICS_CHANNEL, RedisLock } from '../../src';
import type { LockEvent } from '../../src';
import { freePort } from '../fixtures/freePort';
import { PERMITS, READER, lockOfKind } from '../fixtures/kinds';
import { KeepAliveThreads, block } from '../fixtures/keepAliveThreads';
import type { Start } from '../fixtures/keepAliveThreads';
import { Locks } from '../fixtures/Locks';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import { WorkerProcess } from '../fixtures/WorkerProcess';
import { runInProcess } from './nodeProcess';

const TTL = 2000;
const THREAD = { keep_alive_thread: true, ttl: TTL };

const WORKER = `const { parentPort } = require('node:worker_threads');
    const hang = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`;

/** Before it works; when it is told of a lease; in the middle of a renewal. */
const HANGS = [
    'hang();',
    "parentPort.on('message', ({ kind }) => kind === 'kept' && hang());",
    `const { Socket } = require('node:net');
    const { write } = Socket.prototype;
    Socket.prototype.write = function (data, ...rest) {
        if (String(data).includes('hung:')) hang();
        return write.call(this, data, ...rest);
    };`,
];

suite('The keep-alive thread', function () {
    this.timeout(120_000);
    let server: RedisServer;
    let locks: Locks;
    let commands: ServerCommands;
    let threads: KeepAliveThreads | undefined;
    let warnings: string[];

    const listener = (message: unknown): void => {
        const event = message as LockEvent;
        if (event.kind === 'warning') warnings.push(event.message);
    };

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        server = await RedisServer.start();
        locks = new Locks(server);
        commands = new ServerCommands(server);
        warnings = [];
        subscribe(DIAGNOSTICS_CHANNEL, listener);
    });
    teardown(async () => {
        unsubscribe(DIAGNOSTICS_CHANNEL, listener);
        threads?.[Symbol.dispose]();
        threads = undefined;
        await locks[Symbol.asyncDispose]();
        await commands[Symbol.asyncDispose]();
        await server.stop();
    });

    /** A lock whose thread can renew. */
    async function opened(options: Readonly<Record<string, string | number | boolean>> = {}): Promise<RedisLock> {
        threads = new KeepAliveThreads();
        const lock = await locks.open({ ...THREAD, ...options });
        await threads.ready();
        return lock;
    }

    /** Other programs run in the place of the thread. */
    function instead(start: Start): void {
        threads = new KeepAliveThreads(start);
    }

    test('keeps a lease while the event loop is blocked, although others want the key', async () => {
        const lock = await opened();
        await using thief = await WorkerProcess.start(server);
        const lease = await lock.acquire(null, 'key');
        const stolen = thief.acquire('key', { ttl: 60_000 });
        await until(async () => (await lock.inspect(null, 'key')).waiters.length === 1);
        block(3 * TTL);
        assert.isTrue(lease.isHeld());
        assert.isAbove(lease.remaining(), 0);
        assert.isFalse(lease.signal.aborted);
        assert.strictEqual((await lock.inspect(null, 'key')).holder, lease.holder);
        assert.isTrue(await lease.release());
        assert.isAbove((await stolen).fence, lease.fence);
    });

    test('lets a lease run out when the event loop is blocked for longer than max_block', async () => {
        const lock = await opened({ max_block: 500 });
        await using thief = await WorkerProcess.start(server);
        const lease = await lock.acquire(null, 'key');
        const stolen = thief.acquire('key', { ttl: 60_000 });
        await until(async () => (await lock.inspect(null, 'key')).waiters.length === 1);
        block(3 * TTL);
        assert.isFalse(lease.isHeld());
        assert.strictEqual(lease.remaining(), 0);
        assert.isTrue(lease.signal.aborted);
        assert.isAbove((await stolen).fence, lease.fence);
        assert.isFalse(await lease.release());
    });

    test('has a loss known in the first instruction after a block', async () => {
        const lock = await opened();
        const lease = await lock.acquire(null, 'key');
        await commands.client.set('key', 'somebody else');
        block(TTL);
        assert.isFalse(lease.isHeld());
        assert.include((lease.signal.reason as Error).message, 'was taken or deleted');
    });

    for (const kind of [READER, PERMITS]) {
        test(`keeps a lease${kind.name}, too`, async () => {
            const lock = lockOfKind(await opened(), kind);
            const [one, other] = await Promise.all(['key', 'other'].map((key) => lock.acquire(null, key)));
            block(2 * TTL);
            assert.isTrue(one?.isHeld());
            assert.isTrue(other?.isHeld());
            const { holders, mode } = await lock.inspect(null, 'key');
            assert.strictEqual(mode, 'shared');
            assert.deepEqual(
                holders.map(({ holder }) => holder),
                [one?.holder],
            );
        });
    }

    test('keeps a lease that became a shared one', async () => {
        const lock = await opened();
        const lease = await lock.acquire(null, 'key');
        await lease.downgrade();
        block(2 * TTL);
        assert.isTrue(lease.isHeld());
        assert.strictEqual((await lock.inspect(null, 'key')).mode, 'shared');
        assert.isTrue(await lease.release());
    });

    test('renews nothing after a release', async () => {
        const lock = await opened();
        const lease = await lock.acquire(null, 'key');
        await lease.release();
        await commands.client.set('key', lease.holder, 'PX', TTL);
        block(TTL / 2 + 200);
        const left = await commands.client.pttl('key');
        assert.isBelow(left, TTL / 2);
    });

    test('leaves the main thread alone when it ends, with a warning, and is started again', async () => {
        const lock = await opened();
        const lease = await lock.acquire(null, 'key');
        await threads?.workers[0]?.terminate();
        await until(() => warnings.length > 0);
        assert.match(warnings[0] ?? '', /^The keep-alive thread ended\. Until it works, .* by the main thread alone/);
        await threads?.ready(2);
        assert.isTrue(lease.isHeld());
        block(2 * TTL);
        assert.isTrue(lease.isHeld());
        assert.deepEqual(warnings.slice(1), ['The keep-alive thread works now.']);
        assert.isTrue(await lease.release());
    });

    test('leaves the main thread alone when it fails, and says why', async () => {
        instead((_, options) => ['throw new Error("It is broken.");', { ...options, eval: true }]);
        const lock = await locks.open(THREAD);
        const lease = await lock.acquire(null, 'key');
        await until(() => warnings.length > 0, 20_000);
        assert.match(warnings[0] ?? '', /^The keep-alive thread failed: It is broken\. Until it works/);
        await until(() => (threads?.workers.length ?? 0) > 1, 20_000);
        assert.isTrue(lease.isHeld());
        assert.lengthOf(warnings, 1);
    });

    test('leaves the main thread alone wherever it hangs, with a warning, and is started again', async () => {
        let started = 0;
        instead((file, options) => {
            const hang = HANGS[started];
            started += 1;
            if (hang === undefined) return [file, options];
            return [`${WORKER} ${hang} require(${JSON.stringify(file)});`, { ...options, eval: true }];
        });
        const ttl = 2 * TTL;
        const line: RedisLock[] = [];
        for (const [at] of HANGS.entries()) {
            line.push(await locks.open({ ...THREAD, ttl }));
            await until(() => started === at + 1);
        }
        await threads?.ready(HANGS.length - 1);
        const leases = await Promise.all(line.map((lock, at) => lock.acquire(null, `hung:${at}`)));
        // Long enough for a renewal of the thread.
        block(0.7 * ttl);
        const silent = (): number => warnings.filter((warning) => warning.includes('shows no sign of life')).length;
        await until(() => silent() === HANGS.length, 60_000);
        assert.isTrue(leases.every((lease) => lease.isHeld()));
        await threads?.ready(2 * HANGS.length - 1);
        block(1.5 * ttl);
        assert.isTrue(leases.every((lease) => lease.isHeld()));
        for (const lease of leases) assert.isTrue(await lease.release());
    });

    test('leaves the main thread alone when it cannot connect, with a warning, and tries on', async () => {
        const port = await freePort();
        instead((file, { workerData, ...options }) => {
            const { plan, ...work } = workerData as { plan: object };
            const targets = [{ address: { host: '127.0.0.1', port }, tls: false }];
            return [file, { ...options, workerData: { ...work, plan: { ...plan, targets } } }];
        });
        const lock = await locks.open({ ...THREAD, connect_timeout: 300 });
        const lease = await lock.acquire(null, 'key');
        await until(() => warnings.length > 0, 20_000);
        assert.match(warnings[0] ?? '', /^The keep-alive thread cannot connect, and tries on: .*ECONNREFUSED/);
        await sleep(1.5 * TTL);
        assert.isTrue(lease.isHeld());
        await using late = await RedisServer.start({ port });
        assert.isTrue(late.isRunning);
        await threads?.ready();
        assert.deepEqual(warnings.slice(1), ['The keep-alive thread works now.']);
    });

    test('has the credentials, the database and the prefix', async () => {
        await commands.client.call('ACL', 'SETUSER', 'locker', 'on', '>secret', '+@all', '~*', '&*');
        await commands.client.config('SET', 'requirepass', 'other');
        threads = new KeepAliveThreads();
        const lock = new RedisLock();
        const uri = `redis://locker:secret@${server.host}:${server.port}/5`;
        const options = { ttl: TTL, keep_alive_thread: true, key_prefix: 'app:' };
        lock.configure(ConfigParams.fromValue({ connection: { uri }, options }));
        await lock.open(null);
        await threads.ready();
        const lease = await lock.acquire(null, 'key');
        block(2 * TTL);
        assert.isTrue(lease.isHeld());
        assert.strictEqual((await lock.inspect(null, 'key')).holder, lease.holder);
        await lock.close(null);
    });

    test('connects as a client that is given does', async () => {
        threads = new KeepAliveThreads();
        const client = new Redis({ port: server.port, db: 3 });
        const lock = new RedisLock(client);
        lock.configure(ConfigParams.fromTuples('options.keep_alive_thread', true, 'options.ttl', TTL));
        try {
            await lock.open(null);
            await threads.ready();
            const lease = await lock.acquire(null, 'key');
            block(2 * TTL);
            assert.isTrue(lease.isHeld());
            await lease.release();
        } finally {
            await lock.close(null);
            client.disconnect();
        }
    });

    test('is refused with a client of which it cannot have one like it', async () => {
        const client = new Redis({
            port: server.port,
            lazyConnect: true,
            tls: { checkServerIdentity: () => undefined },
        });
        const lock = new RedisLock(client);
        lock.configure(ConfigParams.fromTuples('options.keep_alive_thread', true));
        const error = await rejection(lock.open(null), 'BAD_OPTION');
        assert.match(error.message, /options\.keep_alive_thread .*its tls cannot be passed to a thread/);
        client.disconnect();
    });

    test('keeps no process alive, and ends when the lock is closed', async () => {
        const { code, output } = await runInProcess(
            `const lock = new RedisLock();
            lock.configure(ConfigParams.fromTuples('connection.port', ${server.port}, 'options.keep_alive_thread', true));
            await lock.open(null);
            const lease = await lock.acquire(null, 'key');
            await new Promise((resolve) => setTimeout(resolve, 500));
            await lock.close(null);
            console.log('closed', lease.isHeld());`,
            20_000,
        );
        assert.deepEqual({ code, output }, { code: 0, output: 'closed false' });
    });

    test('is not loaded where nobody asked for it', async () => {
        const { output } = await runInProcess(
            `const lock = new RedisLock();
            lock.configure(ConfigParams.fromTuples('connection.port', ${server.port}));
            await lock.open(null);
            await (await lock.acquire(null, 'key')).release();
            await lock.close(null);
            console.log(process.moduleLoadList.includes('NativeModule internal/worker'));`,
            20_000,
        );
        assert.strictEqual(output, 'false');
    });
});
