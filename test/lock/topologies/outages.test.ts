import { format } from 'node:util';
import { assert } from 'chai';
import { Descriptor, References } from 'pip-services4-components-node';
import type { RedisLock } from '../../../src';
import { refusing } from '../../fixtures/CommandFilter';
import { ownServer } from '../../fixtures/ownServer';
import { rejection } from '../../fixtures/rejection';
import type { RedisAddress } from '../../fixtures/sharedServer';
import { TcpProxy } from '../../fixtures/TcpProxy';
import { until } from '../../fixtures/until';
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
    const own = ownServer();

    test('does not starve the event loop while the password is wrong, and is served when it is right', async () => {
        const lock = await own.locks.open();
        await own.commands.client.config('SET', 'requirepass', 'secret');
        await own.commands.disconnectOthers();
        await rejection(lock.tryAcquireLock(null, 'key', 5000).then(() => lock.tryAcquireLock(null, 'key', 5000)));
        const caller = new Impatient(() => lock.acquire(null, 'password', { timeout: 10_000 }));
        await new Promise((resolve) => setTimeout(resolve, 1000));
        assert.isAbove(caller.ticks, 50);
        assert.isAbove(caller.failures, 0);
        assert.isBelow(caller.failures, 50);
        await own.commands.client.config('SET', 'requirepass', '');
        await caller.served;
    });

    test('does not starve the event loop while the server is away, and is served when it is back', async () => {
        const lock = await own.locks.open({ command_timeout: 200 });
        await own.server.kill();
        const caller = new Impatient(() => lock.acquire(null, 'away', { timeout: 10_000 }));
        await new Promise((resolve) => setTimeout(resolve, 1000));
        assert.isAbove(caller.ticks, 50);
        await own.server.restart();
        await caller.served;
    });
});

suite('An outage', function () {
    this.timeout(40_000);
    const own = ownServer();
    let proxy: TcpProxy;
    /** What an operator reads. */
    let warned: string[];
    let informed: string[];
    /** Ends each connection at this command. */
    let fatal: string | undefined;

    setup(async () => {
        proxy = await TcpProxy.start(own.server, ([command]) => {
            if (command?.toUpperCase() !== fatal) return null;
            setImmediate(() => proxy.cut());
            return '';
        });
        warned = [];
        informed = [];
        fatal = undefined;
    });
    teardown(() => proxy.stop());

    async function opened(settings: Settings = {}, at: RedisAddress = proxy): Promise<RedisLock> {
        const lock = own.locks.add(lockOf(at, settings));
        const logger = {
            debug: () => undefined,
            info: (_context: unknown, message: string, ...args: unknown[]) => informed.push(format(message, ...args)),
            warn: (_context: unknown, message: string, ...args: unknown[]) => warned.push(format(message, ...args)),
        };
        lock.setReferences(References.fromTuples(new Descriptor('test', 'logger', 'array', '*', '1.0'), logger));
        await lock.open(null);
        return lock;
    }

    function sleep(time: number): Promise<void> {
        return new Promise((resolve) => setTimeout(resolve, time));
    }

    for (const command of ['HELLO', 'PING', 'INFO', 'PUBLISH']) {
        test(`of a proxy that ends each connection at ${command} is told once, and tried with pauses`, async () => {
            const one = await opened({ 'options.command_timeout': 500 });
            const before = proxy.accepted;
            fatal = command;
            const begun = performance.now();
            proxy.cut();
            await until(() => proxy.accepted - before >= 6, 20_000);
            // 50, 100, 200, 400, 800 ms, and each pause may be half as long.
            assert.isAtLeast(performance.now() - begun, 700);
            assert.lengthOf(warned, 1);
            assert.include(warned[0], `ended the connection at ${command}`);
            assert.isEmpty(informed);
            const refused = await rejection(one.tryAcquireLock(null, 'key', 5000), 'CONNECTION_FAILED');
            assert.include(refused.message, `ended the connection at ${command}`);
            fatal = undefined;
            await until(async () => one.tryAcquireLock(null, 'key', 5000).catch(() => false), 10_000);
            assert.lengthOf(warned, 1);
            assert.lengthOf(informed, 1);
            assert.match(informed[0] ?? '', /^Redis works again after \d+ ms\.$/);
        });
    }

    test('of a server that became a replica is told once, with its word, and tried with pauses', async () => {
        const one = await opened({ 'options.command_timeout': 500 });
        await own.commands.client.replicaof('127.0.0.1', 1);
        const before = proxy.accepted;
        let over = false;
        const caller = (async () => {
            while (!over) {
                // oxlint-disable-next-line no-await-in-loop
                await one.tryAcquireLock(null, 'key', 5000).catch(() => false);
            }
        })();
        await sleep(4000);
        over = true;
        await caller;
        assert.isAtMost(proxy.accepted - before, 12);
        assert.lengthOf(warned, 1);
        assert.include(warned[0], 'READONLY');
        await own.commands.client.replicaof('NO', 'ONE');
        await until(async () => one.tryAcquireLock(null, 'key', 5000).catch(() => false), 10_000);
        await until(async () => {
            await (await one.tryAcquire(null, 'other'))?.release();
            return informed.length > 0;
        }, 10_000);
        assert.lengthOf(warned, 1);
        assert.lengthOf(informed, 1);
    });

    test('of a server that is full is told once, and its end once', async () => {
        const one = await opened();
        await own.commands.client.config('SET', 'maxmemory', '1');
        for (let time = 0; time < 5; time++) {
            // oxlint-disable-next-line no-await-in-loop
            const refused = await rejection(one.tryAcquireLock(null, 'key', 5000), 'SERVER_REFUSED');
            assert.include(refused.message, 'OOM');
        }
        assert.lengthOf(warned, 1);
        assert.include(warned[0], 'OOM');
        await own.commands.client.config('SET', 'maxmemory', '0');
        await until(async () => {
            await (await one.tryAcquire(null, 'other'))?.release();
            return informed.length > 0;
        }, 10_000);
        assert.lengthOf(warned, 1);
    });

    test('is what a lost lease tells of', async () => {
        const one = await opened();
        const lease = await one.acquire(null, 'key', { ttl: 1500 });
        await own.commands.client.call('ACL', 'SETUSER', 'default', '-pexpire');
        await until(() => lease.signal.aborted, 10_000);
        const { reason } = lease.signal;
        assert.strictEqual(reason.code, 'LOCK_LOST');
        assert.match(reason.message, /ran out: key\. Its last renewal failed: .*pexpire/);
        assert.include(String(reason.cause), 'pexpire');
    });

    test('of a server that has no room for a client is told by its word', async () => {
        await own.commands.client.config('SET', 'maxclients', '1');
        const refused = await rejection(opened({ 'options.connect_timeout': 1500 }), 'SERVER_REFUSED');
        assert.match(refused.message, /max number of clients/);
    });

    test('of messages alone makes waiters poll, is told, and is over when there is room again', async () => {
        await using older = await TcpProxy.start(own.server, refusing('HELLO'));
        // Ours, and the one of commands; messages take a third.
        await own.commands.client.config('SET', 'maxclients', '2');
        const one = await opened({ 'options.retry_timeout': 20, 'options.connect_timeout': 4000 }, older);
        assert.lengthOf(warned, 1);
        assert.match(warned[0] ?? '', /poll: .*max number of clients/);
        const lease = await one.acquire(null, 'key', { ttl: 20_000 });
        const waiting = one.acquire(null, 'key', { timeout: 20_000 });
        await until(async () => (await one.inspect(null, 'key')).waiters.length === 1);
        await lease.release();
        await (await waiting).release();
        await own.commands.client.config('SET', 'maxclients', '100');
        await until(() => informed.length > 0, 40_000);
        assert.deepEqual(informed, ['Waiters are woken again.']);
        assert.lengthOf(warned, 1);
    });

    test('is none of an idle connection that the server ends and that is back at once', async () => {
        const one = await opened();
        for (let time = 0; time < 3; time++) {
            proxy.cut();
            // oxlint-disable-next-line no-await-in-loop
            await sleep(200);
            // oxlint-disable-next-line no-await-in-loop
            assert.isTrue(await one.tryAcquireLock(null, `key:${time}`, 5000));
        }
        await sleep(1200);
        assert.isEmpty(warned);
        assert.isEmpty(informed);
    });
});
