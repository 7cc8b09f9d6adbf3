import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import type { Lease } from '../../src';
import { Locks } from '../fixtures/Locks';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';

const TTL = 400;

/** Far more than a busy machine needs. The lateness that was seen is printed. */
const PATIENCE = 2000;

suite('Loss of a lease', function () {
    this.timeout(20_000);
    let server: RedisServer;
    let proxy: TcpProxy;
    let commands: ServerCommands;
    let locks: Locks;

    suiteSetup(skipWithoutRedis);

    setup(async () => {
        server = await RedisServer.start();
        proxy = await TcpProxy.start(server);
        commands = new ServerCommands(server);
        locks = new Locks(proxy);
    });

    teardown(async () => {
        await locks[Symbol.asyncDispose]();
        await commands[Symbol.asyncDispose]();
        await proxy.stop();
        await server.stop();
    });

    const silences: [what: string, begin: () => unknown, end: () => unknown][] = [
        ['the server freezes', () => server.freeze(), () => server.thaw()],
        ['the server is killed for good', () => server.kill(), () => undefined],
        ['the network is cut', () => proxy.refuse().then(() => proxy.cut()), () => undefined],
        ['the network swallows everything', () => proxy.pause(), () => proxy.resume()],
        ['the network swallows requests', () => proxy.pause('toServer'), () => proxy.resume()],
        ['the network swallows answers', () => proxy.pause('toClient'), () => proxy.resume()],
    ];
    for (const [what, begin, end] of silences) {
        test(`is known at the deadline when ${what}`, async () => {
            const lock = await locks.open({ command_timeout: 250 });
            const lease = await lock.acquire(null, 'key', { ttl: TTL });
            const loss = lossOf(lease);
            // Kept alive for a while, so that the deadline is that of a renewal.
            await sleep(TTL / 2);
            assert.isTrue(lease.isHeld());
            // And one that nobody asks.
            const silent = await lock.acquire(null, 'silent', { ttl: TTL, keepAlive: false });
            const silentDeadline = performance.now() + silent.remaining();
            const silentLoss = lossOf(silent);

            await begin();
            let deadline = 0;
            while (lease.isHeld()) {
                deadline = performance.now() + lease.remaining();
                await sleep(1);
            }
            const late = (await loss) - deadline;
            const silentLate = (await silentLoss) - silentDeadline;
            console.log(`      ${late.toFixed(1)} and ${silentLate.toFixed(1)} ms after the deadline`);
            assert.isBelow(late, PATIENCE);
            assert.isBelow(silentLate, PATIENCE);
            assert.isAbove(silentLate, -1);
            assert.strictEqual(lease.remaining(), 0);
            assert.isFalse(await lease.release());
            await end();
        });
    }

    const takings: [what: string, act: () => Promise<unknown>][] = [
        ['the key is deleted', () => commands.client.del('key')],
        ['somebody else takes the key', () => commands.client.set('key', 'somebody', 'PX', 60_000)],
        ['the server loses everything', () => commands.client.flushall()],
        ['the server comes back empty', () => server.restart()],
    ];
    for (const [what, act] of takings) {
        test(`is known by the next renewal when ${what}`, async () => {
            const lock = await locks.open();
            const lease = await lock.acquire(null, 'key', { ttl: 4 * TTL });
            const loss = lossOf(lease);
            const deadline = performance.now() + lease.remaining();
            await act();
            const early = deadline - (await loss);
            console.log(`      ${early.toFixed(0)} ms before the deadline`);
            assert.isAbove(early, 0);
            assert.isFalse(await lease.release());
        });
    }

    test('a lease that somebody else took is not released for them', async () => {
        const lock = await locks.open();
        const lease = await lock.acquire(null, 'key', { ttl: TTL });
        await commands.client.set('key', 'somebody', 'PX', 60_000);
        assert.isFalse(await lease.release());
        assert.strictEqual(await commands.client.get('key'), 'somebody');
    });

    test('is known to the first question after the event loop was blocked, and soon without one', async () => {
        const lock = await locks.open();
        const lease = await lock.acquire(null, 'key', { ttl: TTL });
        const unasked = await lock.acquire(null, 'unasked', { ttl: TTL });
        const loss = lossOf(unasked);
        const { signal } = lease;
        let fired = false;
        signal.addEventListener('abort', () => (fired = true));
        block(2.5 * TTL);
        const unblocked = performance.now();
        assert.isFalse(lease.isHeld());
        assert.isTrue(fired);
        assertLost(signal);
        assert.throws(() => lease.assertHeld(), /ran out/);
        console.log(`      without one ${((await loss) - unblocked).toFixed(1)} ms after the end of the block`);
    });

    test('reaches the body of withLock, which rejects when the body does not notice', async () => {
        const lock = await locks.open();
        let fired = false;
        const outcome = lock.withLock(null, 'key', { ttl: TTL }, async ({ signal }) => {
            signal.addEventListener('abort', () => (fired = true));
            await commands.client.del('key');
            await until(() => signal.aborted);
        });
        await rejection(outcome, 'LOCK_LOST');
        assert.isTrue(fired);
    });

    test('makes a renewal reject', async () => {
        const lock = await locks.open();
        const lease = await lock.acquire(null, 'key', { ttl: 60_000 });
        await commands.client.del('key');
        await rejection(lease.renew(), 'LOCK_LOST');
        assertLost(lease.signal);
        assert.strictEqual(await commands.client.exists('key'), 0);
    });

    test('leaves the key alone, because somebody may have renewed it by the holder', async () => {
        const lock = await locks.open();
        const lease = await lock.acquire(null, 'key', { ttl: TTL, keepAlive: false });
        assert.isTrue(await lock.renew(null, 'key', lease.holder, 60_000));
        await lossOf(lease);
        assert.isFalse(await lease.release());
        assert.strictEqual(await commands.client.get('key'), lease.holder);
    });

    const outages: [what: string, outage: () => Promise<unknown>][] = [
        ['frozen server', async () => (server.freeze(), await sleep(300), server.thaw())],
        ['silent network', async () => (proxy.pause(), await sleep(300), proxy.resume())],
        ['network that is cut while a renewal is under way', loseRenewal],
    ];
    async function loseRenewal(): Promise<void> {
        proxy.pause();
        // A third of the ttl, and a little.
        await sleep(600);
        proxy.cut();
        proxy.resume();
    }
    for (const [what, outage] of outages) {
        test(`does not follow from a short outage: ${what}`, async () => {
            const lock = await locks.open();
            const lease = await lock.acquire(null, 'key', { ttl: 1500 });
            await outage();
            const deadline = performance.now() + lease.remaining();
            await until(() => performance.now() + lease.remaining() > deadline + 50, 5000);
            assert.isTrue(lease.isHeld());
            assert.isFalse(lease.signal.aborted);
            assert.isTrue(await lease.release());
        });
    }
});

/** When the signal fired. */
async function lossOf({ signal }: Lease): Promise<number> {
    const instant = await new Promise<number>((resolve) => {
        signal.addEventListener('abort', () => resolve(performance.now()));
    });
    assertLost(signal);
    return instant;
}

function assertLost(signal: AbortSignal): void {
    assert.isTrue(signal.aborted);
    assert.propertyVal(signal.reason, 'code', 'LOCK_LOST');
}

/** Nothing else in this process runs for so long. */
function block(duration: number): void {
    const end = performance.now() + duration;
    while (performance.now() < end);
}
