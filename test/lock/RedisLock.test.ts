import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { ConfigParams, Context, Descriptor, References } from 'pip-services4-components-node';
import type { IOpenable } from 'pip-services4-components-node';
import { ConnectionParams } from 'pip-services4-config-node';
import { RedisLock } from '../../src';
import type { ILock, LockContext } from '../../src';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { sharedServer } from '../fixtures/sharedServer';
import type { RedisAddress } from '../fixtures/sharedServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';
import { lockOf } from './lockOf';
import type { Settings } from './lockOf';
import { rejections } from './rejections';

const TTL = 20_000;

/** What callers give as context, and the trace id that is to be found in it. */
const CONTEXTS: [name: string, context: LockContext, traceId: string | null][] = [
    ['an IContext', Context.fromTraceId('trace-1'), 'trace-1'],
    ['an IContext of older code', Context.fromTuples('traceId', 'trace-2'), 'trace-2'],
    ['an IContext without a trace id', new Context(), null],
    ['a string', 'trace-3', 'trace-3'],
    ['an empty string', '', null],
    ['null', null, null],
    ['undefined', undefined, null],
];

suite('RedisLock', () => {
    let server: RedisAddress;
    let redis: ServerCommands;
    let made: RedisLock[];
    let key: string;
    let counter = 0;

    suiteSetup(async () => {
        server = await sharedServer();
        redis = new ServerCommands(server);
    });
    suiteTeardown(() => redis[Symbol.asyncDispose]());
    setup(() => {
        counter += 1;
        key = `redis-lock-${process.pid}-${counter}`;
        made = [];
    });
    teardown(async () => {
        await Promise.all(made.map((lock) => lock.close(null)));
    });

    function make(settings: Settings = {}, address = server): RedisLock {
        const lock = lockOf(address, settings);
        made.push(lock);
        return lock;
    }

    async function open(settings: Settings = {}): Promise<RedisLock> {
        const lock = make(settings);
        await lock.open(null);
        return lock;
    }

    /** Every method that needs an open component. */
    function calls(lock: RedisLock, context: LockContext): [name: string, call: () => Promise<unknown>][] {
        return [
            ['tryAcquireLock', () => lock.tryAcquireLock(context, key, TTL)],
            ['acquireLock', () => lock.acquireLock(context, key, TTL, 100)],
            ['releaseLock', () => lock.releaseLock(context, key)],
            ['tryAcquire', () => lock.tryAcquire(context, key)],
            ['acquire', () => lock.acquire(context, key)],
            ['withLock', () => lock.withLock(context, key, {}, () => Promise.resolve())],
            ['lead', () => lock.lead(context, key, {}, () => Promise.resolve())],
            ['renew', () => lock.renew(context, key, 'holder', TTL)],
            ['release', () => lock.release(context, key, 'holder')],
            ['inspect', () => lock.inspect(context, key)],
            ['ping', () => lock.ping(context)],
        ];
    }

    suite('as a component', () => {
        test('is opened, used and closed by the interfaces of the toolkit', async () => {
            const lock = make();
            const openable: IOpenable = lock;
            const asLock: ILock = lock;
            lock.setReferences(References.fromTuples());
            const context = Context.fromTraceId('trace-1');
            assert.isFalse(openable.isOpen());
            await openable.open(context);
            assert.isTrue(openable.isOpen());
            assert.isTrue(await asLock.tryAcquireLock(context, key, TTL));
            await asLock.releaseLock(context, key);
            await asLock.acquireLock(context, key, TTL, 100);
            await openable.close(context);
            assert.isFalse(openable.isOpen());
        });

        test('without a configuration does not open', async () => {
            const lock = new RedisLock();
            const error = await rejection(lock.open('trace-1'), 'NO_CONNECTION');
            assert.strictEqual(error.trace_id, 'trace-1');
            assert.isFalse(lock.isOpen());
        });

        test('tells of a wrong option when it is configured, and keeps the settings it has', async () => {
            const lock = await open({ 'options.ttl': 5000 });
            const wrong = ConfigParams.fromTuples('connection.host', 'localhost', 'options.ttl', '5s');
            const error = await rejection(
                Promise.resolve().then(() => lock.configure(wrong)),
                'BAD_OPTION',
            );
            assert.strictEqual(error.details?.getAsString('option'), 'options.ttl');
            const lease = await lock.acquire(null, key);
            assert.isAtMost(lease.remaining(), 5000);
        });

        test('that is open refuses to be opened again, with one connection as before', async () => {
            await using proxy = await TcpProxy.start(server);
            const lock = make({}, proxy);
            await lock.open(null);
            const { connections } = proxy;
            const error = await rejection(lock.open('trace-1'), 'ALREADY_OPENED');
            assert.strictEqual(error.trace_id, 'trace-1');
            assert.strictEqual(proxy.connections, connections);
            assert.isTrue(lock.isOpen());
            assert.isTrue(await lock.tryAcquireLock(null, key, TTL));
            await lock.close(null);
            await until(() => proxy.connections === 0);
        });

        test('that is being opened refuses to be opened again', async () => {
            const lock = make();
            const opening = lock.open(null);
            await rejection(lock.open(null), 'ALREADY_OPENED');
            await opening;
            assert.isTrue(lock.isOpen());
        });

        test('may be closed before it was opened, twice, and at the same time', async () => {
            const lock = make();
            await lock.close(null);
            await lock.open(null);
            await Promise.all([lock.close(null), lock.close(null)]);
            await lock.close(null);
            assert.isFalse(lock.isOpen());
        });

        test('can be opened again after it was closed', async () => {
            const lock = await open();
            assert.isTrue(await lock.tryAcquireLock(null, key, TTL));
            await lock.close(null);
            await lock.open(null);
            assert.isTrue(lock.isOpen());
            assert.isTrue(await lock.tryAcquireLock(null, key, TTL), 'The first one was released by close');
            await lock.releaseLock(null, key);
            assert.strictEqual(await redis.client.exists(key), 0);
        });

        test('can be opened again after it failed to open', async () => {
            const lock = make({ 'options.connect_timeout': 300, 'connection.port': 1 });
            await rejection(lock.open(null), 'CONNECTION_FAILED');
            assert.isFalse(lock.isOpen());
            const { host, port } = server;
            lock.configure(ConfigParams.fromTuples('connection.host', host, 'connection.port', port));
            await lock.open(null);
            assert.isTrue(await lock.tryAcquireLock(null, key, TTL));
        });

        test('that is closed while it is being opened ends closed, at once, without a connection', async () => {
            await using proxy = await TcpProxy.start(server);
            proxy.pause();
            const lock = make({}, proxy);
            const opening = rejection(lock.open(null), 'CLOSED');
            await until(() => proxy.connections > 0);
            const started = performance.now();
            await lock.close(null);
            assert.isBelow(performance.now() - started, 2000);
            await opening;
            assert.isFalse(lock.isOpen());
            proxy.resume();
            await until(() => proxy.connections === 0);
        });

        test('that is closed in the turn in which it is opened ends closed, and neither waits for a silent server', async () => {
            await using proxy = await TcpProxy.start(server);
            proxy.pause();
            const lock = make({}, proxy);
            const started = performance.now();
            const opening = rejection(lock.open(null), 'CLOSED');
            await lock.close(null);
            await opening;
            assert.isBelow(performance.now() - started, 2000);
            assert.isFalse(lock.isOpen());
            proxy.cut();
            proxy.resume();
            await until(() => proxy.connections === 0);
        });

        test('that is closed while its server is being looked up ends closed, and connects to nobody', async () => {
            await using proxy = await TcpProxy.start(server);
            let answer = (_found: ConnectionParams): void => undefined;
            const found = new Promise<ConnectionParams>((resolve) => (answer = resolve));
            const discovery = { resolveAll: () => found.then((one) => [one]) };
            const lock = new RedisLock();
            lock.configure(ConfigParams.fromTuples('connection.discovery_key', 'redis'));
            lock.setReferences(
                References.fromTuples(new Descriptor('test', 'discovery', 'slow', '*', '1.0'), discovery),
            );
            const opening = rejection(lock.open(null), 'CLOSED');
            await new Promise(setImmediate);
            const closing = lock.close(null);
            answer(ConnectionParams.fromTuples('host', proxy.host, 'port', proxy.port));
            await Promise.all([opening, closing]);
            assert.isFalse(lock.isOpen());
            assert.strictEqual(proxy.connections, 0);
        });

        test('that is opened while it is being closed is open in the end', async () => {
            const lock = await open();
            const closing = lock.close(null);
            await lock.open(null);
            await closing;
            assert.isTrue(lock.isOpen());
            assert.isTrue(await lock.tryAcquireLock(null, key, TTL));
        });

        test('that is closed, opened and closed at once is closed in the end', async () => {
            const lock = await open();
            const [, opening] = await Promise.allSettled([lock.close(null), lock.open(null), lock.close(null)]);
            assert.strictEqual(opening.status, 'rejected');
            assert.isFalse(lock.isOpen());
            await rejection(lock.tryAcquireLock(null, key, TTL));
        });

        test('sends away who waits and frees what is held when it is closed', async () => {
            const [one, other] = [await open(), await open()];
            await one.tryAcquireLock(null, key, TTL);
            await other.tryAcquireLock(null, `${key}-2`, TTL);
            const waiting = Promise.all([
                rejection(other.acquireLock('trace-1', key, TTL, 8000), 'CLOSED'),
                rejection(other.acquire('trace-1', key, { timeout: Infinity }), 'CLOSED'),
                rejection(
                    other.withLock('trace-1', key, {}, () => Promise.resolve()),
                    'CLOSED',
                ),
            ]);
            await until(async () => (await one.inspect(null, key)).waiters.length === 3);
            await other.close(null);
            for (const error of await waiting) assert.strictEqual(error.trace_id, 'trace-1');
            assert.strictEqual(await redis.client.exists(`${key}-2`), 0);
            assert.lengthOf((await one.inspect(null, key)).waiters, 0);
        });

        test('that is closed while calls are under way settles each of them and leaves nothing behind', async () => {
            const lock = await open();
            const keys = Array.from({ length: 50 }, (_, at) => `${key}-${at}`);
            const underWay = Promise.allSettled(
                keys.flatMap((one) => [
                    lock.tryAcquireLock(null, one, TTL),
                    lock.acquireLock(null, one, TTL, 5000),
                    lock.releaseLock(null, one),
                ]),
            );
            await lock.close(null);
            const rejected = (await underWay).filter((outcome) => outcome.status === 'rejected');
            for (const { reason } of rejected) await rejection(Promise.reject<unknown>(reason as Error), 'CLOSED');
            assert.strictEqual(await redis.client.exists(...keys), 0);
        });
    });

    suite('before open and after close', () => {
        test('every method says NOT_OPENED, with the trace id', async () => {
            for (const [name, call] of calls(make(), 'trace-1')) {
                const error = await rejection(call(), 'NOT_OPENED');
                assert.strictEqual(error.trace_id, 'trace-1', name);
                assert.strictEqual(error.status, 500);
            }
        });

        test('every method says NOT_OPENED when open has failed', async () => {
            const lock = make({ 'options.connect_timeout': 200, 'connection.port': 1 });
            await rejection(lock.open(null), 'CONNECTION_FAILED');
            for (const [, call] of calls(lock, null)) await rejection(call(), 'NOT_OPENED');
        });

        test('every method says CLOSED, but releaseLock: what it is to release was released by close', async () => {
            const lock = await open();
            await lock.tryAcquireLock('trace-1', key, TTL);
            await lock.close(null);
            for (const [name, call] of calls(lock, 'trace-1')) {
                if (name === 'releaseLock') {
                    await call();
                    continue;
                }
                const error = await rejection(call(), 'CLOSED');
                assert.strictEqual(error.trace_id, 'trace-1', name);
            }
        });
    });

    for (const [name, context, traceId] of CONTEXTS) {
        suite(`with ${name} as context`, () => {
            test('every method does its work', async () => {
                const lock = make();
                await lock.open(context);
                assert.isTrue(await lock.tryAcquireLock(context, key, TTL));
                assert.strictEqual(await redis.client.exists(key), 1);
                await lock.releaseLock(context, key);
                assert.strictEqual(await redis.client.exists(key), 0);
                await lock.acquireLock(context, key, TTL, 100);
                const { holder = '' } = await lock.inspect(context, key);
                assert.strictEqual(await redis.client.get(key), holder);
                assert.isTrue(await lock.renew(context, key, holder, TTL));
                assert.isTrue(await lock.release(context, key, holder));
                assert.strictEqual(await lock.withLock(context, key, {}, () => Promise.resolve(7)), 7);
                const lease = await lock.tryAcquire(context, key);
                assert.isTrue(await lease?.release());
                assert.isTrue(await (await lock.acquire(context, key)).release());
                await lock.close(context);
            });

            test(`exceptions carry ${traceId === null ? 'no trace id' : `the trace id ${traceId}`}`, async () => {
                const lock = await open();
                for (const error of await rejections([
                    lock.tryAcquireLock(context, '', TTL),
                    lock.acquireLock(context, key, 0, 100),
                    lock.tryAcquire(context, key, { ttl: 0 }),
                    lock.acquire(context, key, { timeout: -1 }),
                    lock.renew(context, key, '', TTL),
                    lock.release(context, '', 'holder'),
                    lock.inspect(context, ''),
                    lock.open(context),
                ])) {
                    assert.strictEqual(error.trace_id || null, traceId);
                    assert.isString(error.code);
                }
            });
        });
    }

    suite('tryAcquireLock and releaseLock', () => {
        test('take a free key for the ttl and give it back', async () => {
            const lock = await open();
            assert.isTrue(await lock.tryAcquireLock(null, key, 5000));
            assert.match((await redis.client.get(key)) ?? '', /^[^:]+:\d+:.+:.+$/);
            const left = await redis.client.pttl(key);
            assert.isTrue(left > 1000 && left <= 5000, String(left));
            await lock.releaseLock(null, key);
            assert.strictEqual(await redis.client.exists(key), 0);
        });

        test('say false for a key that another component holds, and leave it alone', async () => {
            const [one, other] = [await open(), await open()];
            assert.isTrue(await one.tryAcquireLock(null, key, TTL));
            const holder = await redis.client.get(key);
            assert.isFalse(await other.tryAcquireLock(null, key, TTL));
            await other.releaseLock(null, key);
            assert.strictEqual(await redis.client.get(key), holder);
        });

        test('say false for a key that the same component holds, also to the same call chain', async () => {
            const lock = await open();
            const context = Context.fromTraceId('trace-1');
            assert.isTrue(await lock.tryAcquireLock(context, key, TTL));
            assert.isFalse(await lock.tryAcquireLock(context, key, TTL));
            assert.isFalse(await lock.tryAcquireLock(null, key, TTL));
        });

        test('store a different holder for each acquisition', async () => {
            const lock = await open();
            const holders = new Set<string | null>();
            for (let times = 0; times < 3; times++) {
                await lock.tryAcquireLock(null, key, TTL);
                holders.add(await redis.client.get(key));
                await lock.releaseLock(null, key);
            }
            assert.strictEqual(holders.size, 3);
        });

        test('resolve for what is not held: never, no more, by nobody', async () => {
            const lock = await open();
            await lock.releaseLock(null, key);
            await lock.tryAcquireLock(null, key, TTL);
            await lock.releaseLock(null, key);
            await lock.releaseLock(null, key);
            await lock.releaseLock(null, '');
        });

        test('let the key run out after its ttl', async () => {
            const [one, other] = [await open(), await open()];
            assert.isTrue(await one.tryAcquireLock(null, key, 200));
            await until(() => other.tryAcquireLock(null, key, TTL));
            await one.releaseLock(null, key);
            assert.strictEqual(await redis.client.exists(key), 1);
        });

        test('keep the key alive until it is released, with keep_alive', async () => {
            const lock = await open({ 'options.keep_alive': true });
            await lock.tryAcquireLock(null, key, 300);
            const started = performance.now();
            await until(() => performance.now() - started > 900);
            assert.strictEqual(await redis.client.exists(key), 1);
            await lock.releaseLock(null, key);
            assert.strictEqual(await redis.client.exists(key), 0);
        });

        test('write the key as it is, whatever it is made of', async () => {
            const lock = await open();
            for (const odd of ['ä ö', '{a}b', 'a}b{', '\n', '💡', 'x'.repeat(10_000)]) {
                const name = key + odd;
                assert.isTrue(await lock.tryAcquireLock(null, name, TTL));
                assert.strictEqual(await redis.client.exists(name), 1);
                await lock.releaseLock(null, name);
                assert.strictEqual(await redis.client.exists(name), 0);
            }
        });

        test('write the key behind the key_prefix, when there is one', async () => {
            const lock = await open({ 'options.key_prefix': 'prefix:' });
            assert.isTrue(await lock.tryAcquireLock(null, key, TTL));
            assert.strictEqual(await redis.client.exists(`prefix:${key}`), 1);
            assert.strictEqual(await redis.client.exists(key), 0);
            assert.isTrue(await (await open()).tryAcquireLock(null, key, TTL));
            await lock.releaseLock(null, key);
            assert.strictEqual(await redis.client.exists(`prefix:${key}`), 0);
        });
    });

    suite('acquireLock', () => {
        test('takes a free key at once', async () => {
            const lock = await open();
            await lock.acquireLock(null, key, TTL, 0);
            assert.strictEqual(await redis.client.exists(key), 1);
        });

        test('waits until the key is released, and then has it', async () => {
            const [one, other] = [await open(), await open()];
            await one.tryAcquireLock(null, key, TTL);
            const waiting = other.acquireLock(null, key, TTL, 8000);
            await until(async () => (await one.inspect(null, key)).waiters.length === 1);
            const before = await redis.client.get(key);
            await one.releaseLock(null, key);
            await waiting;
            const after = await redis.client.get(key);
            assert.isNotNull(after);
            assert.notStrictEqual(after, before);
        });

        test('waits until the key runs out, and then has it', async () => {
            const [one, other] = [await open(), await open()];
            await one.tryAcquireLock(null, key, 150);
            await other.acquireLock(null, key, TTL, 8000);
            assert.isAbove(await redis.client.pttl(key), 1000);
        });

        test('says LOCK_TIMEOUT with key, holder and remaining time, when the key was busy to the end', async () => {
            const [one, other] = [await open(), await open()];
            await one.tryAcquireLock(null, key, TTL);
            const holder = await redis.client.get(key);
            const error = await rejection(other.acquireLock('trace-1', key, TTL, 150), 'LOCK_TIMEOUT');
            assert.strictEqual(error.constructor.name, 'ConflictException');
            assert.strictEqual(error.status, 409);
            assert.strictEqual(error.trace_id, 'trace-1');
            assert.strictEqual(error.details?.getAsString('key'), key);
            assert.strictEqual(error.details?.getAsString('holder'), holder);
            const remaining = error.details?.getAsDouble('remaining') ?? 0;
            assert.isTrue(remaining > 1000 && remaining <= TTL, String(remaining));
            assert.include(error.message, key);
            assert.include(error.message, '150 ms');
            assert.strictEqual(await redis.client.get(key), holder);
        });

        for (const wait of ['queue', 'poll']) {
            test(`keeps the timeout, neither giving up before nor long after, when waiters ${wait}`, async () => {
                const [one, other] = [
                    await open(),
                    await open({ 'options.wait': wait, 'options.retry_timeout': 1000 }),
                ];
                await one.tryAcquireLock(null, key, TTL);
                for (const timeout of [0, 100, 250]) {
                    const started = performance.now();
                    await rejection(other.acquireLock(null, key, TTL, timeout), 'LOCK_TIMEOUT');
                    const took = performance.now() - started;
                    assert.isAtLeast(took, timeout - 2);
                    assert.isBelow(took, timeout + 700);
                }
            });
        }

        test('tries a last time at the deadline: a key that got free between two polls is taken', async () => {
            const lock = await open({ 'options.wait': 'poll', 'options.retry_timeout': 10_000 });
            // The last try has a few milliseconds to be answered: on a busy machine not every one is.
            await until(async () => {
                await redis.client.set(key, 'somebody', 'PX', 100);
                return lock.acquireLock(null, key, TTL, 300).then(
                    () => true,
                    () => false,
                );
            }, 8000);
            assert.notStrictEqual(await redis.client.get(key), 'somebody');
        });

        test('gives up after retries × retry_timeout, when that is sooner than the timeout', async () => {
            const [one, other] = [await open(), await open({ 'options.retries': 3, 'options.retry_timeout': 50 })];
            await one.tryAcquireLock(null, key, TTL);
            const started = performance.now();
            await rejection(other.acquireLock(null, key, TTL, 60_000), 'LOCK_TIMEOUT');
            await rejection(other.acquireLock(null, key, TTL), 'LOCK_TIMEOUT');
            assert.isAtLeast(performance.now() - started, 298);
        });

        test('gives up after three pauses, when neither timeout nor retries are given', async () => {
            const [one, other] = [await open(), await open({ 'options.retry_timeout': 50 })];
            await one.tryAcquireLock(null, key, TTL);
            const started = performance.now();
            await rejection(other.acquireLock(null, key, TTL), 'LOCK_TIMEOUT');
            await rejection(other.acquire(null, key), 'LOCK_TIMEOUT');
            assert.isAtLeast(performance.now() - started, 298);
        });

        test('tries once with a timeout of 0, or with no retries', async () => {
            const [one, other] = [await open(), await open({ 'options.retries': 0 })];
            await other.acquireLock(null, key, TTL, 5000);
            await rejection(one.acquireLock(null, key, TTL, 0), 'LOCK_TIMEOUT');
            await other.releaseLock(null, key);
            await one.acquireLock(null, key, TTL, 0);
            await rejection(other.acquireLock(null, key, TTL, 60_000), 'LOCK_TIMEOUT');
        });

        test('leaves no place in line when it gave up', async () => {
            const [one, other] = [await open(), await open()];
            await one.tryAcquireLock(null, key, TTL);
            await rejection(other.acquireLock(null, key, TTL, 150), 'LOCK_TIMEOUT');
            await until(async () => (await one.inspect(null, key)).waiters.length === 0);
            await one.releaseLock(null, key);
            assert.strictEqual(await redis.client.exists(key), 0);
        });
    });

    suite('ping', () => {
        test('is one command, tells how long it took, and leaves nothing in Redis', async () => {
            await using own = await RedisServer.start();
            await using commands = new ServerCommands(own);
            const lock = make({}, own);
            await lock.open(null);
            // The first one loads the script.
            await lock.ping(null);
            await commands.reset();
            const took = await lock.ping(null);
            assert.isAtLeast(took, 0);
            assert.isBelow(took, 1000);
            assert.strictEqual(await commands.scripts(), 1);
            assert.strictEqual(await commands.client.dbsize(), 0);
            await lock.close(null);
        });

        test('says that Redis does not answer, within command_timeout', async () => {
            await using proxy = await TcpProxy.start(server);
            const lock = make({ 'options.command_timeout': 200 }, proxy);
            await lock.open(null);
            proxy.pause();
            const started = performance.now();
            const error = await rejection(lock.ping('trace-1'), 'CONNECTION_FAILED');
            assert.strictEqual(error.trace_id, 'trace-1');
            assert.isBelow(performance.now() - started, 1500);
            proxy.resume();
            await lock.close(null);
        });

        test('is answered by a server that lets the user have some keys only', async () => {
            await using own = await RedisServer.start();
            await using commands = new ServerCommands(own);
            await commands.client.call(
                'ACL',
                'SETUSER',
                'some',
                'on',
                '>secret',
                '~order:*',
                '~redis-lock:{order:*',
                '&*',
                '+@all',
            );
            const lock = make({ 'credential.username': 'some', 'credential.password': 'secret' }, own);
            await lock.open(null);
            assert.isAtLeast(await lock.ping(null), 0);
            await lock.close(null);
        });
    });

    suite('withLock without options', () => {
        test('runs its work under a lease that is kept alive, and waits as acquireLock does', async () => {
            const lock = await open({ 'options.retry_timeout': 50, 'options.ttl': 400 });
            const worked = await lock.withLock(null, key, async (lease) => {
                await rejection(
                    lock.withLock(null, key, () => Promise.resolve()),
                    'LOCK_TIMEOUT',
                );
                await sleep(700);
                lease.assertHeld();
                return 7;
            });
            assert.strictEqual(worked, 7);
            assert.strictEqual(await redis.client.exists(key), 0);
        });

        test('takes nothing when there is no work', async () => {
            const lock = await open();
            const wrong = [[{}], [{}, 'text'], [undefined], ['text']] as never[][];
            const loose = lock as unknown as { withLock(...all: unknown[]): Promise<unknown> };
            for (const parameters of wrong) {
                const error = await rejection(loose.withLock('trace-1', key, ...parameters), 'BAD_PARAMETER');
                assert.strictEqual(error.trace_id, 'trace-1');
            }
            assert.strictEqual(await redis.client.exists(key), 0);
        });
    });

    suite('parameters', () => {
        const badTtls: unknown[] = [0, -1, 1.5, NaN, Infinity, 2 ** 31, '1000', null];
        for (const ttl of badTtls) {
            test(`a ttl of ${JSON.stringify(ttl)} (${String(ttl)}) is BAD_TTL, and nothing is taken`, async () => {
                const lock = await open();
                const wrong = ttl as number;
                for (const error of await rejections(
                    [
                        lock.tryAcquireLock(null, key, wrong),
                        lock.acquireLock(null, key, wrong, 100),
                        lock.tryAcquire(null, key, { ttl: wrong }),
                        lock.acquire(null, key, { ttl: wrong }),
                        lock.withLock(null, key, { ttl: wrong }, () => Promise.resolve()),
                        lock.renew(null, key, 'holder', wrong),
                    ],
                    'BAD_TTL',
                )) {
                    assert.strictEqual(error.status, 400);
                    assert.strictEqual(error.details?.getAsString('key'), key);
                    assert.include(error.message, String(ttl));
                }
                assert.strictEqual(await redis.client.exists(key), 0);
            });
        }

        test('a ttl may be up to 2147483647 ms', async () => {
            const lock = await open();
            assert.isTrue(await lock.tryAcquireLock(null, key, 2 ** 31 - 1));
            assert.isAbove(await redis.client.pttl(key), 2 ** 31 - 60_000);
        });

        const badKeys: unknown[] = ['', null, undefined, 42, '\ud800', {}];
        for (const bad of badKeys) {
            test(`a key of ${JSON.stringify(bad) ?? 'undefined'} is BAD_KEY`, async () => {
                const lock = await open();
                const wrong = bad as string;
                const errors = await rejections(
                    [
                        lock.tryAcquireLock(null, wrong, TTL),
                        lock.acquireLock(null, wrong, TTL, 100),
                        lock.tryAcquire(null, wrong),
                        lock.acquire(null, wrong),
                        lock.tryAcquire(null, [key, wrong]),
                        lock.renew(null, wrong, 'holder', TTL),
                        lock.release(null, wrong, 'holder'),
                        lock.inspect(null, wrong),
                    ],
                    'BAD_KEY',
                );
                for (const { status } of errors) assert.strictEqual(status, 400);
            });
        }

        test('no key at all is BAD_KEY', async () => {
            const lock = await open();
            await rejection(lock.tryAcquire(null, []), 'BAD_KEY');
        });

        for (const timeout of [2 ** 31, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE]) {
            test(`a timeout of ${timeout} is as long as it takes`, async () => {
                const lock = await open();
                const lease = await lock.acquire(null, key);
                const waiting = [
                    lock.acquire(null, key, { timeout }).then((next) => next.release()),
                    lock.acquireLock(null, key, TTL, timeout),
                ];
                await until(async () => (await lock.inspect(null, key)).waiters.length === 2);
                await lease.release();
                await Promise.all(waiting);
                await lock.releaseLock(null, key);
            });
        }

        for (const timeout of [-1, NaN, -Infinity]) {
            test(`a timeout of ${timeout} is BAD_TIMEOUT`, async () => {
                const lock = await open();
                const retrying = await open({ 'options.retries': 3 });
                const errors = await rejections(
                    [
                        lock.acquireLock(null, key, TTL, timeout),
                        lock.acquire(null, key, { timeout }),
                        lock.withLock(null, key, { timeout }, () => Promise.resolve()),
                    ],
                    'BAD_TIMEOUT',
                );
                for (const { status } of errors) assert.strictEqual(status, 400);
                await rejection(retrying.acquireLock(null, key, TTL, timeout), 'BAD_TIMEOUT');
                assert.strictEqual(await redis.client.exists(key), 0);
            });
        }

        for (const holder of ['', 'two\nlines', '\udfff']) {
            test(`a holder of ${JSON.stringify(holder)} is BAD_HOLDER`, async () => {
                const lock = await open();
                const errors = await rejections(
                    [
                        lock.tryAcquire(null, key, { holder }),
                        lock.acquire(null, key, { holder }),
                        lock.renew(null, key, holder, TTL),
                        lock.release(null, key, holder),
                    ],
                    'BAD_HOLDER',
                );
                for (const { status } of errors) assert.strictEqual(status, 400);
            });
        }

        test('options.ttl is the length of a lease that does not say its own', async () => {
            const lock = await open({ 'options.ttl': 4000 });
            await lock.acquire(null, key, { keepAlive: false });
            const left = await redis.client.pttl(key);
            assert.isTrue(left > 1000 && left <= 4000, String(left));
            assert.isTrue(await lock.renew(null, key, (await redis.client.get(key)) ?? ''));
        });

        test('options.max_held and options.max_waiting are TOO_MANY beyond', async () => {
            const lock = await open({ 'options.max_held': 2, 'options.max_waiting': 1 });
            await lock.tryAcquireLock(null, `${key}-1`, TTL);
            const waiting = rejection(lock.acquireLock(null, `${key}-1`, TTL, 8000), 'CLOSED');
            await rejection(lock.acquireLock(null, `${key}-1`, TTL, 8000), 'TOO_MANY');
            await lock.close(null);
            await waiting;
            await lock.open(null);
            await lock.tryAcquireLock(null, `${key}-1`, TTL);
            await lock.tryAcquireLock(null, `${key}-2`, TTL);
            const error = await rejection(lock.tryAcquireLock(null, `${key}-3`, TTL), 'TOO_MANY');
            assert.include(error.message, 'max_held');
            await lock.releaseLock(null, `${key}-2`);
            assert.isTrue(await lock.tryAcquireLock(null, `${key}-3`, TTL));
        });
    });

    suite('a key of another type', () => {
        test('is WRONG_TYPE for every method, which names it, and stays as it is', async () => {
            const lock = await open();
            await redis.client.rpush(key, 'a', 'b');
            for (const [name, call] of calls(lock, 'trace-1')) {
                if (name === 'releaseLock' || name === 'ping') continue;
                const error = await rejection(call(), 'WRONG_TYPE');
                assert.strictEqual(error.details?.getAsString('key'), key);
                assert.strictEqual(error.trace_id, 'trace-1');
                assert.include(error.message, key);
            }
            assert.deepEqual(await redis.client.lrange(key, 0, -1), ['a', 'b']);
            await redis.client.del(key);
        });

        test('does not harm the other calls of the same turn', async () => {
            const lock = await open();
            await redis.client.rpush(key, 'a');
            const wrong = rejection(lock.tryAcquireLock(null, key, TTL), 'WRONG_TYPE');
            const keys = Array.from({ length: 40 }, (_, at) => `${key}-${at}`);
            const right = await Promise.all(keys.map((one) => lock.tryAcquireLock(null, one, TTL)));
            await wrong;
            assert.notInclude(right, false);
            await redis.client.del(key);
        });
    });
});
