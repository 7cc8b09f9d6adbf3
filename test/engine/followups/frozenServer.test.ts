import { assert } from 'chai';
import { Locker } from '../../../src/engine/locker/Locker';
import { WAITER_LEASE } from '../../../src/engine/port/protocol';
import { RedisStore } from '../../../src/engine/redis/RedisStore';
import { SingleServer } from '../../../src/engine/redis/servers/SingleServer';
import { FastClock } from '../../fixtures/FastClock';
import { ownServer } from '../../fixtures/ownServer';
import { until } from '../../fixtures/until';
import { clientOf } from '../clientOf';

/** In the time of the lockers that is a second. In that of the server it is longer than the test. */
const TTL = 20_000;
const TIMES = 20;

suite('A server that stands still for longer than waiters live and leases last', () => {
    let clock: FastClock;
    let lockers: Locker[];

    setup(() => {
        clock = new FastClock(TIMES);
        lockers = [];
    });
    teardown(() => Promise.all(lockers.map((locker) => locker.close())));
    // Behind the hooks above: its server ends last.
    const own = ownServer();

    async function opened(): Promise<Locker> {
        const timeouts = { connectTimeout: TIMES * 10_000, commandTimeout: TIMES * 300 };
        const server = new SingleServer(clientOf(own.server), { ...timeouts, wait: 'auto' }, clock);
        const locker = new Locker(new RedisStore(server, { keyPrefix: '' }, clock), { ttl: TTL }, undefined, clock);
        lockers.push(locker);
        await locker.open();
        return locker;
    }

    test('has nothing left of what was given up meanwhile, when it goes on', async () => {
        const [one, other] = [await opened(), await opened()];
        const before = await one.acquire('free:1', { timeout: Infinity });
        await before.release();
        const controller = new AbortController();
        const { signal } = controller;
        const settled = (promise: Promise<unknown>): Promise<unknown> => promise.catch(() => undefined);
        own.server.freeze();
        // On their way when it stands still. What it had before would be over by then: its own clock does not run faster here.
        const tries = [1, 2, 3].map((at) => settled(one.acquire(`free:${at}`, { timeout: Infinity, signal })));
        // They are written to the socket in this turn.
        setImmediate(() => controller.abort());
        await Promise.all(tries);
        await clock.pass(2 * WAITER_LEASE);
        own.server.thaw();
        await until(async () => (await own.commands.left()).length === 0, TTL / 2);
        const next = await other.acquire('free:1', { timeout: Infinity });
        assert.isAbove(next.fence, before.fence);
    });
});
