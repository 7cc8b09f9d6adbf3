import { assert } from 'chai';
import type { Redis } from 'ioredis';
import type { RedisLock } from '../../../src';
import { RedisServer } from '../../fixtures/RedisServer';
import { rejection } from '../../fixtures/rejection';
import { skipWithoutRedis } from '../../fixtures/sharedServer';
import { ended, ownClient } from '../../engine/clientOf';
import { lockOf } from '../lockOf';
import type { Settings } from '../lockOf';

/** A caller that tries again at once, whatever it is told, until it is served. */
class Impatient {
    failures = 0;
    /** Turns of the event loop meanwhile. */
    ticks = 0;
    readonly served: Promise<void>;
    private readonly _ticking = setInterval(() => (this.ticks += 1), 10);

    constructor(call: () => Promise<unknown>) {
        this.served = this._run(call);
    }

    private async _run(call: () => Promise<unknown>): Promise<void> {
        for (;;) {
            try {
                // oxlint-disable-next-line no-await-in-loop
                await call();
                clearInterval(this._ticking);
                return;
            } catch {
                this.failures += 1;
                // A loop that starves the event loop would never end; nor would this test.
                if (this.failures > 20_000) throw new Error('Nobody lets the event loop turn.');
            }
        }
    }
}

suite('A caller that tries again at once', function () {
    this.timeout(30_000);
    let server: RedisServer;
    let raw: Redis;
    let made: RedisLock[];

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        server = await RedisServer.start();
        raw = await ownClient(server);
        made = [];
    });
    teardown(async () => {
        await Promise.all(made.map((lock) => lock.close(null)));
        await ended(raw);
        await server.stop();
    });

    async function opened(settings: Settings = {}): Promise<RedisLock> {
        const lock = lockOf(server, settings);
        made.push(lock);
        await lock.open(null);
        return lock;
    }

    /** Ends every connection but our own. */
    async function disconnectAll(): Promise<void> {
        await raw.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        await raw.call('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'yes');
    }

    test('does not starve the event loop while the password is wrong, and is served when it is right', async () => {
        const lock = await opened();
        await raw.config('SET', 'requirepass', 'secret');
        await disconnectAll();
        await rejection(lock.tryAcquireLock(null, 'key', 5000).then(() => lock.tryAcquireLock(null, 'key', 5000)));
        const caller = new Impatient(() => lock.acquire(null, 'password', { timeout: 10_000 }));
        await new Promise((resolve) => setTimeout(resolve, 1000));
        assert.isAbove(caller.ticks, 50);
        assert.isAbove(caller.failures, 0);
        assert.isBelow(caller.failures, 50);
        await raw.config('SET', 'requirepass', '');
        await caller.served;
    });

    test('does not starve the event loop while the server is away, and is served when it is back', async () => {
        const lock = await opened({ 'options.command_timeout': 200 });
        await server.kill();
        const caller = new Impatient(() => lock.acquire(null, 'away', { timeout: 10_000 }));
        await new Promise((resolve) => setTimeout(resolve, 1000));
        assert.isAbove(caller.ticks, 50);
        await server.restart();
        await caller.served;
    });
});
