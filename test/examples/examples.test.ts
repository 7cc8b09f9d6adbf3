import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { Redis } from 'ioredis';
import { ConfigParams, Descriptor, References } from 'pip-services4-components-node';
import { RedisLock } from '../../src';
import { KeepAliveThreads, block } from '../fixtures/keepAliveThreads';
import { rejection } from '../fixtures/rejection';
import { type RedisAddress, sharedServer } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import { transfer } from './awaitUsing';
import { blockingWork } from './blockingWork';
import { engineOnly } from './engineOnly';
import { fromLimit, fromRedlock, lockOfMutexes } from './moving';
import { openedLock } from './ownClient';
import { GuardedResource } from './GuardedResource';
import { guardedWrite } from './guardedWrite';
import { begin, finish } from './handOver';
import { freeAbandoned } from './inspection';
import { longWork } from './longWork';
import { twoProcesses } from './memory';
import { MemoryLock } from './memoryLock';
import { keepTicking, onceADay, setBalance, skipIfBusy } from './recipes';
import { Scheduler } from './singleton';

suite('Examples', () => {
    let address: RedisAddress;
    let lock: RedisLock;

    setup(async () => {
        address = await sharedServer();
        lock = new RedisLock();
        lock.configure(ConfigParams.fromTuples('connection.host', address.host, 'connection.port', address.port));
        await lock.open(null);
    });

    teardown(() => lock.close(null));

    test('a computation blocks the event loop for longer than the ttl, and its result is written', async () => {
        using threads = new KeepAliveThreads();
        const patient = new RedisLock();
        const options = { keep_alive_thread: true };
        patient.configure(ConfigParams.fromValue({ connection: { host: address.host, port: address.port }, options }));
        await patient.open(null);
        try {
            await threads.ready();
            const saved: number[] = [];
            const save = (result: number, fence: number): Promise<void> =>
                Promise.resolve(void saved.push(result, fence));
            const compute = (): number => {
                block(5000);
                return 42;
            };
            await blockingWork(patient, compute, save);
            assert.strictEqual(saved[0], 42);
        } finally {
            await patient.close(null);
        }
    });

    test('work is skipped while somebody else does it', async () => {
        let done = 0;
        const refresh = async (): Promise<void> => {
            done += 1;
            assert.isFalse(await skipIfBusy(lock, () => Promise.reject(new Error('Nobody else may be here.'))));
        };
        assert.isTrue(await skipIfBusy(lock, refresh));
        assert.isTrue(await skipIfBusy(lock, () => Promise.resolve(void (done += 1))));
        assert.strictEqual(done, 2);
    });

    test('a leader ticks until it is stopped', async () => {
        const stop = new AbortController();
        const fences: number[] = [];
        const tick = (fence: number): Promise<void> => Promise.resolve(void (fences.push(fence) === 3 && stop.abort()));
        await rejection(keepTicking(lock, tick, stop.signal), 'LOCK_ABORTED');
        assert.lengthOf(fences, 3);
        assert.lengthOf(new Set(fences), 1);
    });

    test('a scheduler works in one instance, and in the next when that closes', async () => {
        const ticks: string[] = [];
        const references = References.fromTuples(
            new Descriptor('pip-services', 'lock', 'redis', 'default', '1.0'),
            lock,
        );
        const schedulers = ['one', 'other'].map(
            (name) => new Scheduler(() => Promise.resolve(void ticks.push(name)), 10),
        );
        for (const one of schedulers) one.setReferences(references);
        const [one, other] = schedulers;
        await one?.open(null);
        await until(() => ticks.length >= 3);
        await other?.open(null);
        await until(() => ticks.length >= 10);
        assert.deepEqual([...new Set(ticks)], ['one']);
        await one?.close();
        await until(() => ticks.includes('other'));
        await other?.close();
        assert.isUndefined((await lock.inspect(null, 'scheduler')).holder);
    });

    test('a report is made once a day, though two hosts want to make it one after the other', async () => {
        let made = 0;
        const report = (): Promise<void> => Promise.resolve(void (made += 1));
        await onceADay(lock, 'monday', report);
        await onceADay(lock, 'monday', report);
        await onceADay(lock, 'tuesday', report);
        assert.strictEqual(made, 2);
    });

    test('a write carries its fence, and fails when no row has a smaller one', async () => {
        const fences: unknown[] = [];
        const query = (_sql: string, [, fence]: readonly unknown[]): Promise<number> =>
            Promise.resolve(fences.push(fence));
        await setBalance(lock, query, 7, 100);
        await setBalance(lock, query, 7, 200);
        const [first, second] = fences;
        assert.isAbove(Number(second), Number(first));
        await rejection(setBalance(lock, () => Promise.resolve(0), 7, 300));
    });

    test('a lock in memory excludes between two processes, without Redis', async () => {
        assert.deepEqual(await twoProcesses(), [true, true]);
    });

    test('a component gets an ILock in memory', async () => {
        const memory = await MemoryLock.open();
        assert.isTrue(await memory.tryAcquireLock(null, 'key', 10_000));
        assert.isFalse(await memory.tryAcquireLock(null, 'key', 10_000));
        await rejection(memory.acquireLock(null, 'key', 10_000, 1), 'LOCK_TIMEOUT');
        const waiting = memory.acquireLock(null, 'key', 10_000, 5000);
        await memory.releaseLock(null, 'key');
        await waiting;
        await memory.releaseLock(null, 'key');
        assert.isTrue(await memory.tryAcquireLock(null, 'key', 10_000));
        await memory.close();
    });

    test('long work does every step while its lock is kept alive', async () => {
        const steps: number[] = [];
        const done = await longWork(lock, (n) => Promise.resolve(void steps.push(n)));
        assert.strictEqual(done, 5);
        assert.deepEqual(steps, [0, 1, 2, 3, 4]);
    });

    test('long work stops when its lock is taken away, and the caller is told', async () => {
        const error = await rejection(
            longWork(lock, async (n) => {
                if (n > 0) return;
                const { holder } = await lock.inspect(null, 'report');
                assert.isTrue(await lock.release(null, 'report', holder ?? ''));
            }),
            'LOCK_LOST',
        );
        assert.strictEqual(error.status, 409);
    });

    test('two transfers in opposite directions both come to their end', async () => {
        let inside = 0;
        const move = async (): Promise<void> => {
            inside += 1;
            assert.strictEqual(inside, 1);
            await new Promise(setImmediate);
            inside -= 1;
        };
        await Promise.all([transfer(lock, 'anna', 'bert', move), transfer(lock, 'bert', 'anna', move)]);
        assert.isUndefined((await lock.inspect(null, 'anna')).holder);
    });

    test('a guarded resource refuses the write of an earlier holder that comes late', async () => {
        const resource = new GuardedResource();
        const late = await lock.acquire(null, 'document');
        await late.release();
        await guardedWrite(lock, resource, 'of the later holder');
        assert.throws(() => resource.write('too late', late.fence), /Refused/);
        assert.strictEqual(resource.value, 'of the later holder');
    });

    test('a lock that was handed over is given back by the other side', async () => {
        let holder = '';
        await begin(lock, (told) => (holder = told));
        assert.strictEqual((await lock.inspect(null, 'upload:7')).holder, holder);
        assert.isTrue(await finish(lock, holder));
        assert.isUndefined((await lock.inspect(null, 'upload:7')).holder);
    });

    test('locks are looked at, and left alone where nobody waits for them', async () => {
        const lease = await lock.acquire(null, 'nightly:report');
        await freeAbandoned(lock);
        assert.isTrue(lease.isHeld());
        assert.isTrue(await lease.release());
    });

    test('what was done with redlock is done under both locks', async () => {
        let fence = 0;
        await fromRedlock(lock, async (told) => {
            fence = told;
            assert.isString((await lock.inspect(null, 'account:2')).holder);
        });
        assert.isAbove(fence, 0);
    });

    test('a semaphore that moved lets in as many as its limit says', async () => {
        let [inside, most] = [0, 0];
        const work = async (): Promise<void> => {
            most = Math.max(most, ++inside);
            await sleep(20);
            inside -= 1;
        };
        await Promise.all(Array.from({ length: 12 }, () => fromLimit(lock, work)));
        assert.strictEqual(most, 5);
    });

    test('a mutex of redis-semaphore is excluded, and excludes', async () => {
        const moved = lockOfMutexes(`redis://${address.host}:${address.port}`);
        await moved.open(null);
        const lease = await moved.acquire(null, 'moved');
        const client = new Redis(address.port, address.host);
        assert.isNull(await client.set('mutex:moved', 'uuid', 'PX', 10_000, 'NX'));
        await lease.release();
        assert.strictEqual(await client.set('mutex:moved', 'uuid', 'PX', 10_000, 'NX'), 'OK');
        assert.isNull(await moved.tryAcquire(null, 'moved'));
        await client.del('mutex:moved');
        client.disconnect();
        await moved.close(null);
    });

    test('a client of your own is used, and left open', async () => {
        const client = new Redis(address.port, address.host);
        const own = await openedLock(client);
        assert.isTrue(await own.tryAcquireLock(null, 'own client', 10000));
        await own.close(null);
        assert.strictEqual(await client.ping(), 'PONG');
        client.disconnect();
    });

    test('the engine gives leases without the toolkit', async () => {
        assert.isAbove(await engineOnly(address.host, address.port), 0);
    });
});
