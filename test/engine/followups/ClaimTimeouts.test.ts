import { assert } from 'chai';
import { ClaimTimeouts } from '../../../src/engine/followups/ClaimTimeouts';
import { newId } from '../../../src/engine/port/holder';
import { Locker } from '../../../src/engine/locker/Locker';
import { acquireFrom } from '../../fixtures/asks';
import { FakeStore } from '../../fixtures/FakeStore';
import { listenerOf } from '../../fixtures/listenerOf';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

const WINDOW = 2000;

/** What the window may be over later here than there, ms. */
const MARGIN = 5;

suite('ClaimTimeouts', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let timeouts: ClaimTimeouts;

    setup(() => {
        clock = new VirtualClock();
        store = new FakeStore(clock);
        timeouts = new ClaimTimeouts(store, clock);
    });

    /** Which keys were handed on again, and when. */
    function made(): readonly (readonly [key: string, at: number])[] {
        return store.handOns.map(({ request, at }) => [request.key, at]);
    }

    test('hand a key on again when the window is over, and not before', async () => {
        const start = clock.now();
        timeouts.follow('key', WINDOW);
        await clock.advance(WINDOW);
        assert.deepEqual(made(), []);
        await clock.advance(10 * WINDOW);
        assert.deepEqual(made(), [['key', start + WINDOW + MARGIN]]);
        assert.strictEqual(clock.timers, 0);
    });

    test('follow the last one of a key', async () => {
        const start = clock.now();
        for (let count = 0; count < 5; count++) {
            timeouts.follow('key', WINDOW);
            await clock.advance(1000);
        }
        await clock.advance(10 * WINDOW);
        assert.deepEqual(made(), [['key', start + 4000 + WINDOW + MARGIN]]);
    });

    test('follow each key by itself, with one timer', async () => {
        for (const [at, key] of ['a', 'b', 'c'].entries()) timeouts.follow(key, WINDOW - 100 * at);
        assert.strictEqual(clock.timers, 1);
        await clock.advance(WINDOW + MARGIN);
        assert.deepEqual(
            made().map(([key]) => key),
            ['c', 'b', 'a'],
        );
    });

    test('leave it at one failure', async () => {
        store.holding = true;
        timeouts.follow('key', WINDOW);
        await clock.advance(WINDOW + MARGIN);
        store.handOns[0]?.fail();
        await clock.advance(10 * WINDOW);
        assert.lengthOf(store.handOns, 1);
        assert.strictEqual(clock.timers, 0);
    });

    test('are forgotten on close', async () => {
        timeouts.follow('key', WINDOW);
        timeouts.close();
        assert.strictEqual(clock.timers, 0);
        await clock.advance(10 * WINDOW);
        assert.isEmpty(store.handOns);
    });

    suite('of a locker', () => {
        /** Processes that hear of their grants and do nothing. */
        let frozen: FakeStore;

        setup(async () => {
            frozen = store.another();
            await frozen.open(listenerOf());
        });

        test('cost one window for each waiter that is frozen', async () => {
            const locker = new Locker(store, { ttl: 30_000 }, undefined, clock);
            await locker.open();
            const held = await locker.acquire('key');
            for (const id of ['x', 'y', 'z']) {
                await acquireFrom(frozen, { key: 'key', id: newId(id), ttl: 30_000, ticket: 0 });
            }
            const waiting = locker.acquire('key', { timeout: 60_000 });
            await settled();
            const start = clock.now();
            let servedAt = Infinity;
            const served = waiting.then((lease) => {
                servedAt = clock.now();
                return lease;
            });
            await held.release();
            await clock.advance(4 * WINDOW);
            assert.isAtMost(servedAt, start + 3 * (WINDOW + MARGIN) + 20);
            assert.isAtLeast(servedAt, start + 3 * WINDOW);
            await (await served).release();
            await locker.close();
            assert.strictEqual(clock.timers, 0);
        });

        test('are forgotten when it is closed', async () => {
            const locker = new Locker(store, { ttl: 30_000 }, undefined, clock);
            await locker.open();
            const held = await locker.acquire('key');
            await acquireFrom(frozen, { key: 'key', id: newId('x'), ttl: 30_000, ticket: 0 });
            await held.release();
            await settled();
            assert.strictEqual(clock.timers, 1);
            await locker.close();
            assert.strictEqual(clock.timers, 0);
        });

        test('are not followed after close', async () => {
            const locker = new Locker(store, { ttl: 30_000 }, undefined, clock);
            await locker.open();
            await locker.acquire('key');
            await acquireFrom(frozen, { key: 'key', id: newId('x'), ttl: 30_000, ticket: 0 });
            await locker.close();
            await settled();
            assert.strictEqual(store.holderOf('key'), 'x');
            assert.strictEqual(clock.timers, 0);
        });
    });
});
