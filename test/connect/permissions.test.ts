import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { Redis } from 'ioredis';
import type { RedisLock } from '../../src';
import { Crowd } from '../fixtures/Crowd';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import { lockOf } from '../lock/lockOf';
import type { Settings } from '../lock/lockOf';
import { DOCUMENTED_RULE } from './rights';

/** What the scripts of a lock cannot do without. */
const OF_SCRIPTS = [
    'get',
    'set',
    'del',
    'pttl',
    'pexpire',
    'time',
    'hset',
    'hget',
    'exists',
    'zadd',
    'zrangebyscore',
    'zcount',
    'zscore',
    'zrem',
    'hdel',
];

suite('The rights of a Redis user', function () {
    this.timeout(20_000);
    let server: RedisServer;
    let redis: Redis;
    let made: RedisLock[];

    suiteSetup(skipWithoutRedis);
    suiteSetup(async () => {
        server = await RedisServer.start();
        redis = new Redis(server.port);
    });
    suiteTeardown(async () => {
        redis?.disconnect();
        await server?.stop();
    });
    setup(async () => {
        made = [];
        await redis.flushall();
    });
    teardown(async () => {
        await Promise.all(made.map((lock) => lock.close(null)));
    });

    async function allow(...rules: string[]): Promise<void> {
        await redis.call('ACL', 'SETUSER', 'locks', 'reset', 'on', '>secret', ...rules);
    }

    function make(settings: Settings = {}): RedisLock {
        const credential = { 'credential.username': 'locks', 'credential.password': 'secret' };
        const lock = lockOf(server, {
            ...credential,
            'options.retry_timeout': 60_000,
            'options.connect_timeout': 1000,
            ...settings,
        });
        made.push(lock);
        return lock;
    }

    async function opened(settings: Settings = {}): Promise<RedisLock> {
        const lock = make(settings);
        await lock.open(null);
        return lock;
    }

    test('as documented are enough for everything', async () => {
        assert.isNotEmpty(DOCUMENTED_RULE);
        await allow(...DOCUMENTED_RULE);
        const locks = [
            await opened({ 'options.db_num': 1 }),
            await opened({ 'options.db_num': 1, 'options.yield_after': 3, 'options.retry_timeout': 50 }),
        ];
        const [one, other] = locks;
        const crowd = await Crowd.gather(locks, 'crowd', { count: 6, ttl: 900 });
        await crowd.start();
        await crowd.served(6);
        assert.deepEqual(crowd.resource.order, crowd.line);
        const lease = await one?.acquire(null, ['a', 'b'], { ttl: 300 });
        await rejection(other?.acquireLock(null, 'a', 1000, 50) ?? Promise.resolve(), 'LOCK_TIMEOUT');
        await sleep(400);
        assert.isTrue(lease?.isHeld());
        assert.isTrue(await lease?.release());
        // A holder of another edition is watched.
        const editor = redis.duplicate({ db: 1 });
        await editor.set('foreign', 'token', 'PX', 60_000);
        const waiting = other?.acquire(null, 'foreign', { timeout: 5000 });
        await until(async () => (await one?.inspect(null, 'foreign'))?.waiters.length === 1);
        await editor.del('foreign');
        assert.isTrue((await waiting)?.isHeld());
        editor.disconnect();
        const log = await redis.call('ACL', 'LOG');
        assert.deepEqual(log, [], 'Nothing that was tried was refused.');
    });

    test('of keys may be limited; with less the error names the keys', async () => {
        const rule = DOCUMENTED_RULE.filter((word) => word !== '~*');
        await allow(...rule, '~app:*', '~redis-lock:*');
        const lock = await opened();
        assert.isTrue(await lock.tryAcquireLock(null, 'app:1', 5000));
        await lock.releaseLock(null, 'app:1');
        const error = await rejection(lock.tryAcquireLock(null, 'other', 5000), 'NO_PERMISSION');
        assert.include(error.message, 'other, redis-lock:{other}:q');
    });

    for (const command of OF_SCRIPTS) {
        test(`without ${command} lead to NO_PERMISSION, which names it`, async () => {
            await allow(...DOCUMENTED_RULE);
            const lock = await opened();
            await allow(...DOCUMENTED_RULE, `-${command}`);
            const refused = await rejection(make().open(null), 'NO_PERMISSION');
            assert.match(refused.message, new RegExp(`\\b${command}\\b`));
            const use = async (): Promise<void> => {
                const holder = await lock.acquire(null, 'key', { ttl: 5000 });
                const waiter = lock.acquire(null, 'key', { timeout: 1000 });
                waiter.catch(() => undefined);
                await sleep(20);
                await holder.renew();
                await holder.release();
                await (await waiter).release();
            };
            const error = await rejection(use(), 'NO_PERMISSION');
            assert.strictEqual(error.constructor.name, 'UnauthorizedException');
            assert.match(error.message, new RegExp(`\\b${command}\\b`));
        });
    }

    test('include scan for a list of locks, and for nothing else', async () => {
        await allow(...DOCUMENTED_RULE);
        const lock = await opened();
        await lock.acquire(null, 'key');
        const list = async (): Promise<string[]> => {
            const keys: string[] = [];
            for await (const { key } of lock.list(null)) keys.push(key);
            return keys;
        };
        const error = await rejection(list(), 'NO_PERMISSION');
        assert.match(error.message, /\bscan\b/);
        assert.isTrue((await lock.inspect(null, 'key')).holder !== undefined);
        await allow(...DOCUMENTED_RULE, '+scan');
        assert.deepEqual(await list(), ['key']);
        assert.isString(await lock.forceRelease(null, 'key', { by: 'a test', reason: 'to see it' }));
    });

    for (const command of ['eval', 'ping']) {
        test(`without ${command} lead to NO_PERMISSION, which names it`, async () => {
            await redis.script('FLUSH');
            await allow(...DOCUMENTED_RULE, `-${command}`);
            const lock = make();
            const error = await rejection(
                lock.open(null).then(() => lock.tryAcquireLock(null, 'key', 5000)),
                'NO_PERMISSION',
            );
            assert.match(error.message, new RegExp(`\\b${command}\\b`, 'i'));
        });
    }

    for (const [what, rights] of [
        ['to subscribe', ['-subscribe']],
        ['to publish', ['-publish']],
        ['to the channels', ['resetchannels']],
        ['to INFO and HELLO', ['-info', '-hello']],
        ['to EVALSHA', ['-evalsha']],
    ] as const) {
        test(`without the right ${what} leave waiters in order`, async () => {
            await allow(...DOCUMENTED_RULE, ...rights);
            const locks = [
                await opened({ 'options.retry_timeout': 20 }),
                await opened({ 'options.retry_timeout': 20 }),
            ];
            const crowd = await Crowd.gather(locks, 'crowd', { count: 6, ttl: 5000 });
            await crowd.start();
            await crowd.served(6);
            crowd.resource.check();
            assert.deepEqual(crowd.resource.order, crowd.line);
        });
    }
});
