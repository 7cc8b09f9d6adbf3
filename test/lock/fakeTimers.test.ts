import { assert } from 'chai';
import { install } from '@sinonjs/fake-timers';
import type { RedisLock } from '../../src';
import { Locks } from '../fixtures/Locks';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { skipWithoutRedis } from '../fixtures/sharedServer';

// As they are now: whatever is done to them later.
const { setTimeout: setRealTimeout } = globalThis;

// Node.js itself needs the nextTick of the process to read from a socket. In jest, what is faked is a copy.
const FAKED = [
    'setTimeout',
    'clearTimeout',
    'setInterval',
    'setImmediate',
    'queueMicrotask',
    'Date',
    'performance',
] as const;

suite('Fake timers of a user', () => {
    let server: RedisServer;
    let locks: Locks;
    let lock: RedisLock;
    let fakes: ReturnType<typeof install> | undefined;

    suiteSetup(skipWithoutRedis);

    setup(async () => {
        server = await RedisServer.start();
        locks = new Locks(server);
        lock = await locks.open();
    });

    teardown(async () => {
        restore();
        await locks?.[Symbol.asyncDispose]();
        await server?.stop();
    });

    function fake(): void {
        fakes = install({ toFake: [...FAKED] });
    }

    function restore(): void {
        fakes?.uninstall();
        fakes = undefined;
    }

    function sleep(time: number): Promise<void> {
        return new Promise((resolve) => setRealTimeout(resolve, time));
    }

    test('leave a call, a hand-off and a close as they are', async () => {
        fake();
        const lease = await lock.acquire(null, 'key', { timeout: 1000 });
        const second = lock.acquire(null, 'key', { timeout: 5000 });
        await sleep(50);
        await lease.release();
        assert.isTrue((await second).isHeld());
        await lock.close(null);
    });

    test('let a waiter time out that came before, and one that came meanwhile', async () => {
        await lock.acquire(null, 'key');
        const before = rejection(lock.acquire(null, 'key', { timeout: 200 }), 'LOCK_TIMEOUT');
        await sleep(50);
        fake();
        const meanwhile = rejection(lock.acquire(null, 'key', { timeout: 200 }), 'LOCK_TIMEOUT');
        await before;
        await meanwhile;
    });

    test('let a waiter time out that comes after them', async () => {
        await lock.acquire(null, 'key');
        fake();
        const meanwhile = rejection(lock.acquire(null, 'key', { timeout: 200 }), 'LOCK_TIMEOUT');
        await sleep(20);
        restore();
        await rejection(lock.acquire(null, 'key', { timeout: 100 }), 'LOCK_TIMEOUT');
        await meanwhile;
    });

    test('keep a lease alive that began before, and one that began meanwhile', async () => {
        const before = await lock.acquire(null, 'before', { ttl: 600 });
        fake();
        const meanwhile = await lock.acquire(null, 'meanwhile', { ttl: 600 });
        await sleep(700);
        restore();
        await sleep(700);
        assert.isTrue(before.isHeld());
        assert.isTrue(meanwhile.isHeld());
        assert.strictEqual((await lock.inspect(null, 'before')).holder, before.holder);
    });

    test('neither end nor lengthen a lease', async () => {
        const lease = await lock.acquire(null, 'key', { ttl: 600, keepAlive: false });
        fake();
        fakes?.tick(3_600_000);
        assert.isTrue(lease.isHeld());
        await sleep(650);
        assert.isFalse(lease.isHeld());
    });
});
