import { assert } from 'chai';
import type { RedisLock } from '../../../src';
import { RedisServer } from '../../fixtures/RedisServer';
import { rejection } from '../../fixtures/rejection';
import { ServerCommands } from '../../fixtures/ServerCommands';
import { skipWithoutRedis } from '../../fixtures/sharedServer';
import { until } from '../../fixtures/until';
import { lockContract } from '../lockContract';
import { lockOf } from '../lockOf';
import type { Settings } from '../lockOf';

suite('A lock that its replicas have to have', function () {
    this.timeout(30_000);
    let master: RedisServer;
    let replica: RedisServer;
    let redis: ServerCommands;
    let made: RedisLock[];

    suiteSetup(skipWithoutRedis);
    suiteSetup(async () => {
        const args = ['--repl-diskless-sync-delay', '0'];
        master = await RedisServer.start({ args });
        replica = await RedisServer.start({ args: [...args, '--replicaof', master.host, String(master.port)] });
        redis = new ServerCommands(master);
        await linked();
    });
    suiteTeardown(async () => {
        await redis?.[Symbol.asyncDispose]();
        await Promise.all([replica?.stop(), master?.stop()]);
    });
    setup(() => {
        made = [];
    });
    teardown(async () => {
        replica.thaw();
        await linked();
        await Promise.all(made.map((lock) => lock.close(null)));
    });

    /** Settles when the replica confirms. */
    async function linked(): Promise<void> {
        await until(async () => (await redis.client.set('probe', '1'), await redis.client.wait(1, 200)) === 1, 15_000);
    }

    function make(settings: Settings = {}): RedisLock {
        const lock = lockOf(master, { 'options.acks': 1, 'options.acks_timeout': 400, ...settings });
        made.push(lock);
        return lock;
    }

    async function opened(settings: Settings = {}): Promise<RedisLock> {
        const lock = make({ 'options.retry_timeout': 60_000, ...settings });
        await lock.open(null);
        return lock;
    }

    lockContract('With options.acks', (settings) =>
        lockOf(master, { 'options.acks': 1, 'options.acks_timeout': 5000, ...settings }),
    );

    test('is there when it is granted', async () => {
        const lock = await opened({ 'options.acks_timeout': 5000 });
        await using commands = new ServerCommands(replica);
        for (let time = 0; time < 20; time++) {
            const lease = await lock.acquire(null, `there:${time}`);
            assert.strictEqual(await commands.client.get(`there:${time}`), lease.holder);
        }
    });

    test('is taken back with NOT_REPLICATED when they do not confirm it in time', async () => {
        const lock = await opened();
        replica.freeze();
        const started = performance.now();
        const error = await rejection(lock.acquire(null, 'key', { timeout: 5000 }), 'NOT_REPLICATED');
        assert.isAtLeast(performance.now() - started, 350);
        assert.strictEqual(error.constructor.name, 'ConnectionException');
        assert.include(error.message, 'Only 0 replicas');
        assert.strictEqual(await redis.client.get('key'), null);
        await rejection(lock.tryAcquire(null, 'key'), 'NOT_REPLICATED');
        replica.thaw();
        await until(async () => (await lock.tryAcquire(null, 'key').catch(() => null)) !== null, 10_000);
    });

    test('counts no more replicas than there are', async () => {
        const lock = await opened({ 'options.acks': 2 });
        assert.include((await rejection(lock.tryAcquire(null, 'two'), 'NOT_REPLICATED')).message, 'Only 1 replicas');
    });

    test('that is handed on counts only when they have it, and goes on to the next who can have it', async () => {
        const [holder, impatient, patient] = [
            await opened(),
            await opened({ 'options.acks_timeout': 300 }),
            await opened({ 'options.acks_timeout': 20_000 }),
        ];
        const lease = await holder.acquire(null, 'handed', { ttl: 20_000 });
        const first = rejection(impatient.acquire(null, 'handed', { timeout: 10_000 }), 'NOT_REPLICATED');
        await until(async () => (await holder.inspect(null, 'handed')).waiters.length === 1);
        const second = patient.acquire(null, 'handed', { timeout: 20_000 });
        await until(async () => (await holder.inspect(null, 'handed')).waiters.length === 2);
        replica.freeze();
        assert.isTrue(await lease.release());
        await first;
        replica.thaw();
        assert.isAbove((await second).fence, lease.fence);
    });

    test('does not keep other calls waiting while one waits for them', async () => {
        const lock = await opened({ 'options.acks_timeout': 2500 });
        replica.freeze();
        const slow = rejection(lock.tryAcquire(null, 'slow'), 'NOT_REPLICATED');
        await until(async () => (await redis.client.get('slow')) !== null);
        const started = performance.now();
        for (let time = 0; time < 20; time++) await lock.inspect(null, 'slow');
        assert.isBelow(performance.now() - started, 2000);
        await slow;
    });

    test('waits for many grants at once, not for one after the other', async () => {
        const lock = await opened({ 'options.acks_timeout': 5000 });
        await redis.reset();
        const keys = Array.from({ length: 200 }, (_, at) => `many:${at}`);
        await Promise.all(keys.map((key) => lock.acquire(null, key)));
        const waits = Number(/cmdstat_wait:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1]);
        assert.isAtMost(waits, 50);
    });
});
