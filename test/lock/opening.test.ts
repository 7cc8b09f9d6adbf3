import { getEventListeners } from 'node:events';
import { assert } from 'chai';
import { ConfigParams, Descriptor, References } from 'pip-services4-components-node';
import { ConnectionParams } from 'pip-services4-config-node';
import { RedisLock } from '../../src';
import { ServerCommands } from '../fixtures/ServerCommands';
import { rejection } from '../fixtures/rejection';
import { sharedServer } from '../fixtures/sharedServer';
import type { RedisAddress } from '../fixtures/sharedServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';
import { lockOf } from './lockOf';
import type { Settings } from './lockOf';

const TTL = 20_000;
const TRACE = 'trace-1';

suite('The first use of a lock that was configured and has its references', () => {
    let server: RedisAddress;
    let redis: ServerCommands;
    let proxy: TcpProxy;
    let made: RedisLock[];
    let key: string;
    let counter = 0;

    suiteSetup(async () => {
        server = await sharedServer();
        redis = new ServerCommands(server);
    });
    suiteTeardown(() => redis[Symbol.asyncDispose]());
    setup(async () => {
        counter += 1;
        key = `opening-${process.pid}-${counter}`;
        made = [];
        proxy = await TcpProxy.start(server);
    });
    teardown(async () => {
        await Promise.all(made.map((lock) => lock.close(null)));
        await proxy[Symbol.asyncDispose]();
    });

    /** One that a container has made ready. */
    function ready(settings: Settings = {}): RedisLock {
        const lock = lockOf(proxy, settings);
        lock.setReferences(References.fromTuples());
        made.push(lock);
        return lock;
    }

    for (const [name, use] of [
        ['tryAcquireLock', (lock: RedisLock) => lock.tryAcquireLock(null, key, TTL)],
        ['acquireLock', (lock: RedisLock) => lock.acquireLock(null, key, TTL, 0)],
        ['tryAcquire', (lock: RedisLock) => lock.tryAcquire(null, key)],
        ['acquire', (lock: RedisLock) => lock.acquire(null, key)],
        ['withLock', (lock: RedisLock) => lock.withLock(null, key, {}, () => Promise.resolve())],
        ['renew', (lock: RedisLock) => lock.renew(null, key, 'holder', TTL)],
        ['release', (lock: RedisLock) => lock.release(null, key, 'holder')],
        ['inspect', (lock: RedisLock) => lock.inspect(null, key)],
        ['forceRelease', (lock: RedisLock) => lock.forceRelease(null, key, { by: 'me', reason: 'test' })],
        ['list', (lock: RedisLock) => lock.list(null, key)[Symbol.asyncIterator]().next()],
    ] as const) {
        test(`opens it: ${name}`, async () => {
            const lock = ready();
            assert.isFalse(lock.isOpen());
            await use(lock);
            assert.isTrue(lock.isOpen());
            await lock.close(null);
            assert.strictEqual(await redis.client.exists(key), 0);
        });
    }

    test('listens once to a signal with which very many wait for it, and no longer than they wait', async () => {
        const { signal } = new AbortController();
        const listeners = (): number => getEventListeners(signal, 'abort').length;
        const lock = ready();
        proxy.pause();
        const keys = Array.from({ length: 20 }, (_, at) => `${key}-${at}`);
        const taken = keys.map((one) => lock.tryAcquire(null, one, { signal, ttl: TTL }));
        assert.strictEqual(listeners(), 1);
        proxy.resume();
        for (const lease of await Promise.all(taken)) await lease?.release();
        assert.strictEqual(listeners(), 0);
    });

    test('opens it once for all that use it at the same time', async () => {
        const lock = ready();
        const keys = Array.from({ length: 20 }, (_, at) => `${key}-${at}`);
        const taken = await Promise.all(keys.map((one) => lock.tryAcquireLock(null, one, TTL)));
        assert.notInclude(taken, false);
        const { connections } = proxy;
        assert.isAtMost(connections, 2);
        await lock.inspect(null, key);
        assert.strictEqual(proxy.connections, connections);
    });

    test('makes a later open no error, but not a second one', async () => {
        const lock = ready();
        await lock.tryAcquireLock(null, key, TTL);
        const { connections } = proxy;
        await lock.open(TRACE);
        assert.strictEqual(proxy.connections, connections);
        await rejection(lock.open(TRACE), 'ALREADY_OPENED');
        assert.strictEqual(await redis.client.exists(key), 1);
    });

    test('may come before or while it is opened: all wait for the same opening', async () => {
        const [before, meanwhile] = [ready(), ready()];
        const using = before.tryAcquireLock(null, key, TTL);
        await before.open(null);
        assert.isTrue(await using);
        await before.releaseLock(null, key);
        const opening = meanwhile.open(null);
        assert.isTrue(await meanwhile.tryAcquireLock(null, key, TTL));
        await opening;
        await rejection(meanwhile.open(null), 'ALREADY_OPENED');
    });

    test('is told why it fails, each with its trace id, and the next one tries again', async () => {
        const lock = ready({ 'options.connect_timeout': 300 });
        await proxy.refuse();
        const failing = [TRACE, 'trace-2'].map(async (trace) => {
            const error = await rejection(lock.acquire(trace, key), 'CONNECTION_FAILED');
            assert.strictEqual(error.trace_id, trace);
        });
        await Promise.all(failing);
        assert.isFalse(lock.isOpen());
        await proxy.accept();
        assert.isTrue(await lock.tryAcquireLock(TRACE, key, TTL));
    });

    test('opens it also after an open that failed', async () => {
        const lock = ready({ 'options.connect_timeout': 300 });
        await proxy.refuse();
        await rejection(lock.open(TRACE), 'CONNECTION_FAILED');
        await proxy.accept();
        assert.isTrue(await lock.tryAcquireLock(TRACE, key, TTL));
        await lock.open(TRACE);
    });

    test('does not open what was closed: before, meanwhile and after', async () => {
        const before = ready();
        await before.close(null);
        await rejection(before.acquire(TRACE, key), 'CLOSED');
        const meanwhile = ready();
        proxy.pause();
        const using = [meanwhile.acquire(TRACE, key), meanwhile.tryAcquireLock(null, key, TTL)];
        const refused = using.map((one) => rejection(one, 'CLOSED'));
        await until(() => proxy.connections > 0);
        await meanwhile.close(null);
        await Promise.all(refused);
        proxy.resume();
        await rejection(meanwhile.inspect(TRACE, key), 'CLOSED');
        await until(() => proxy.connections === 0);
        await meanwhile.open(null);
        assert.isTrue(await meanwhile.tryAcquireLock(null, key, TTL));
    });

    test('rejects at once when its signal aborts while it waits, and the others go on', async () => {
        const lock = ready();
        proxy.pause();
        const caller = new AbortController();
        const other = lock.tryAcquireLock(null, key, TTL);
        const aborted = rejection(lock.acquire(TRACE, key, { signal: caller.signal }), 'LOCK_ABORTED');
        await until(() => proxy.connections > 0);
        caller.abort(new Error('of the caller'));
        const error = await aborted;
        assert.strictEqual(error.trace_id, TRACE);
        proxy.resume();
        assert.isTrue(await other);
        await rejection(lock.acquire(TRACE, key, { signal: AbortSignal.abort() }), 'LOCK_ABORTED');
    });

    test('that only releases connects to nobody: nothing is held', async () => {
        const lock = ready();
        await lock.releaseLock(null, key);
        assert.isFalse(lock.isOpen());
        assert.strictEqual(proxy.connections, 0);
    });

    test('checks what it is given all the same', async () => {
        for (const bad of [null, 'text', 5]) {
            await rejection(ready().acquire(TRACE, key, bad as never), 'BAD_PARAMETER');
        }
        await rejection(ready().acquire(TRACE, key, { signal: {} as never }), 'BAD_PARAMETER');
        await rejection(ready().acquire(TRACE, key, { ttl: '500' as never }), 'BAD_TTL');
    });

    test('does not open one that nobody configured, or that has no references', async () => {
        const unconfigured = new RedisLock();
        unconfigured.setReferences(References.fromTuples());
        for (const lock of [unconfigured, lockOf(proxy)]) {
            await rejection(lock.acquire(TRACE, key), 'NOT_OPENED');
            await rejection(lock.releaseLock(TRACE, key), 'NOT_OPENED');
        }
        assert.strictEqual(proxy.connections, 0);
    });
});

suite('Closing a lock that is being opened', () => {
    test('waits for no discovery that never answers, and the lock can be opened again', async () => {
        const { host, port } = await sharedServer();
        const found = ConnectionParams.fromTuples('host', host, 'port', port);
        let isSilent = true;
        const never = new Promise<ConnectionParams[]>(() => undefined);
        const discovery = { resolveAll: () => (isSilent ? never : Promise.resolve([found])) };
        const lock = new RedisLock();
        lock.configure(ConfigParams.fromTuples('connection.discovery_key', 'redis'));
        lock.setReferences(References.fromTuples(new Descriptor('test', 'discovery', 'slow', '*', '1.0'), discovery));
        const opening = rejection(lock.open(null), 'CLOSED');
        await new Promise(setImmediate);
        await lock.close(null);
        await opening;
        isSilent = false;
        await lock.open(null);
        assert.isTrue(lock.isOpen());
        await lock.close(null);
    });
});
