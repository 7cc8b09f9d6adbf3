import { channel } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { DIAGNOSTICS_CHANNEL } from '../../src';
import type { Lease, LockEvent } from '../../src';
import { ownServer } from '../fixtures/ownServer';
import { rejection } from '../fixtures/rejection';
import { until } from '../fixtures/until';

const KEY = 'patience';

/** What a callback does that keeps the event loop busy, ms. */
function block(time: number): void {
    const end = performance.now() + time;
    while (performance.now() < end);
}

suite('Patience', function () {
    this.timeout(30_000);
    const own = ownServer();

    /** The server refuses to write, as a master does that has lost its replicas. */
    async function refuse(whether: boolean): Promise<void> {
        await own.commands.client.config('SET', 'min-replicas-to-write', whether ? '1' : '0');
    }

    suite('with a server that refuses to work for a while', () => {
        test('a first attempt is retried until it succeeds', async () => {
            const { locks } = own;
            const lock = await locks.open();
            await refuse(true);
            const acquiring = lock.acquire(null, KEY, { timeout: 10_000 });
            await sleep(500);
            await refuse(false);
            assert.isTrue((await acquiring).isHeld());
        });

        test('an acquisition whose time is over names the cause', async () => {
            const { locks } = own;
            const lock = await locks.open();
            await refuse(true);
            const error = await rejection(lock.acquire(null, KEY, { timeout: 400 }), 'SERVER_REFUSED');
            assert.include(error.message, 'timeout of 400 ms');
            assert.include(error.message, 'NOREPLICAS');
            await refuse(false);
            assert.isNotNull(await lock.tryAcquire(null, KEY));
        });

        test('a plain try fails', async () => {
            const { locks } = own;
            const lock = await locks.open();
            await refuse(true);
            await rejection(lock.tryAcquire(null, KEY), 'SERVER_REFUSED');
        });

        test('the commands are those of a retry and not of a loop, and the outage is told once', async () => {
            const { locks } = own;
            const lock = await locks.open();
            const warnings: LockEvent[] = [];
            const listen = (event: unknown): void => {
                const { kind } = event as LockEvent;
                if (kind === 'warning' || kind === 'unreachable') warnings.push(event as LockEvent);
            };
            const events = channel(DIAGNOSTICS_CHANNEL);
            await refuse(true);
            await own.commands.reset();
            events.subscribe(listen);
            const waits = Array.from({ length: 10 }, (_, at) => lock.acquire(null, `${KEY} ${at}`, { timeout: 2000 }));
            await Promise.all(waits.map((wait) => rejection(wait, 'SERVER_REFUSED')));
            events.unsubscribe(listen);
            assert.isAtMost(await own.commands.scripts(), 10 * 12);
            assert.lengthOf(warnings, 1);
        });
    });

    suite('with a server that is gone', () => {
        test('callers that try again and again leave the event loop time to connect', async () => {
            const { locks } = own;
            const lock = await locks.open({ command_timeout: 500 });
            let ticks = 0;
            const ticking = setInterval(() => (ticks += 1), 10);
            let lease: Lease | null = null;
            let failures = 0;
            await own.server.kill();
            const restarted = sleep(1000).then(() => own.server.restart());
            while (lease === null) {
                lease = await lock.tryAcquire(null, KEY).catch(() => {
                    failures += 1;
                    return null;
                });
            }
            clearInterval(ticking);
            await restarted;
            assert.isAbove(failures, 0);
            assert.isAbove(ticks, 20);
        });

        test('a caller that has time waits until it is back', async () => {
            const { locks } = own;
            const lock = await locks.open({ command_timeout: 500 });
            await own.server.kill();
            const acquiring = lock.acquire(null, KEY, { timeout: 20_000 });
            await sleep(1500);
            await own.server.restart();
            assert.isTrue((await acquiring).isHeld());
        });
    });

    test('many callers may wait with one AbortSignal', async () => {
        const { locks } = own;
        const lock = await locks.open();
        const other = await locks.open();
        const held = await other.acquire(null, KEY);
        const warnings: Error[] = [];
        const listen = (warning: Error): void => void warnings.push(warning);
        process.on('warning', listen);
        const stop = new AbortController();
        const waits = Array.from({ length: 30 }, () =>
            lock.acquire(null, KEY, { signal: stop.signal, timeout: Infinity }),
        );
        await until(async () => (await other.inspect(null, KEY)).waiters.length === 30);
        stop.abort();
        await Promise.all(waits.map((wait) => rejection(wait, 'LOCK_ABORTED')));
        await sleep(10);
        process.off('warning', listen);
        assert.isEmpty(warnings);
        assert.isTrue(await held.release());
    });

    test('a lease that waited for its key is for all of its ttl, even if its owner keeps the event loop busy', async () => {
        const { locks } = own;
        const lock = await locks.open();
        const other = await locks.open();
        const first = await other.acquire(null, KEY);
        const waiting = lock.acquire(null, KEY, { ttl: 10_000, timeout: 5000, keepAlive: false });
        await until(async () => (await other.inspect(null, KEY)).waiters.length === 1);
        const remaining = waiting.then((lease) => {
            block(2500);
            return lease.remaining();
        });
        await first.release();
        assert.strictEqual(await remaining, 0, 'nothing was read yet');
        assert.isAbove(await own.commands.client.pttl(KEY), 6000);
        assert.strictEqual(await own.commands.client.get(KEY), (await waiting).holder);
    });

    test('a lock that is closed in the turn in which its lease goes to a local waiter leaves no key', async () => {
        const { locks } = own;
        const lock = await locks.open({ local_grants: 8 });
        let lease = await lock.acquire(null, KEY);
        // The first may have reserved nothing for those after it.
        const next = lock.acquire(null, KEY);
        await sleep(50);
        await lease.release();
        lease = await next;
        const waiting = rejection(lock.acquire(null, KEY, { timeout: 10_000 }), 'CLOSED');
        await sleep(50);
        const released = lease.release();
        await lock.close(null);
        assert.isTrue(await released);
        await waiting;
        assert.deepEqual(await own.commands.left(), []);
    });
});
