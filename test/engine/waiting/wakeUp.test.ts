import { assert } from 'chai';
import type { Busy } from '../../../src/engine/port/LockStore';
import { foreignWakeUp, isFresh, lastTryOf, retryPause, wakeUp } from '../../../src/engine/waiting/wakeUp';
import type { Sleeper, WakeUp } from '../../../src/engine/waiting/wakeUp';

const HEARTBEAT = 10_000;
const BUSY: Busy = {
    kind: 'busy',
    sentAt: 0,
    remaining: 5000,
    fence: 1,
    ticket: 1,
    rank: 0,
    foreign: false,
    holder: 'other',
};

function wakesUp(busy: Partial<Busy>, sleeper: Partial<Sleeper> = {}): WakeUp {
    const usual: Sleeper = { wakes: true, retryTimeout: 100, sinceStandIn: Infinity, random: 1 };
    return wakeUp({ ...BUSY, ...busy }, { ...usual, ...sleeper });
}

suite('A waiter wakes up', () => {
    test('2 ms after the expiry, as the first in line', () => {
        assert.deepEqual(wakesUp({ rank: 0, remaining: 5000 }), { delay: 5002, standsIn: false });
    });

    test('after the expiry plus 50 ms for each before it, to stand in for them', () => {
        assert.deepEqual(wakesUp({ rank: 1, remaining: 1000 }), { delay: 1052, standsIn: true });
        assert.deepEqual(wakesUp({ rank: 7, remaining: 1000 }), { delay: 1352, standsIn: true });
    });

    test('no more often than each 250 ms for each before it, to stand in for them', () => {
        assert.deepEqual(wakesUp({ rank: 1, remaining: 100 }, { sinceStandIn: 0 }), { delay: 250, standsIn: true });
        assert.deepEqual(wakesUp({ rank: 2, remaining: 100 }, { sinceStandIn: 200 }), { delay: 300, standsIn: true });
        assert.deepEqual(wakesUp({ rank: 9, remaining: 100 }, { sinceStandIn: 0 }), { delay: 2250, standsIn: true });
        assert.deepEqual(wakesUp({ rank: 50, remaining: 100 }, { sinceStandIn: 0 }).delay, HEARTBEAT);
    });

    test('at its heartbeat, if the key does not expire before', () => {
        for (const rank of [0, 3, 500]) {
            assert.deepEqual(wakesUp({ rank, remaining: Infinity }), { delay: HEARTBEAT, standsIn: false });
        }
    });

    test('more often, if it is about to be the first: those before it and the holder may die together', () => {
        for (const rank of [1, 2]) assert.strictEqual(wakesUp({ rank, remaining: Infinity }).delay, 3000);
    });

    test('a little sooner than its heartbeat and not always the same, so that processes do not fall into step', () => {
        const delays = [0, 0.5, 1].map((random) => wakesUp({ rank: 5, remaining: Infinity }, { random }).delay);
        assert.deepEqual(delays, [9000, 9500, 10_000]);
    });

    test('at each retry_timeout, about, where nobody is woken', () => {
        const delays = [0, 0.5, 1].map((random) => wakesUp({ rank: 4 }, { wakes: false, random }).delay);
        assert.deepEqual(delays, [75, 100, 125]);
    });

    test('each second at least, where nobody is woken: it would miss its turn', () => {
        assert.strictEqual(wakesUp({}, { wakes: false, retryTimeout: 60_000 }).delay, 1000);
    });

    test('at each retry_timeout, about, as the first behind a foreign holder that cannot be watched', () => {
        assert.deepEqual(
            [0, 1].map((random) => foreignWakeUp(BUSY, 100, random)),
            [75, 125],
        );
        assert.strictEqual(foreignWakeUp({ ...BUSY, remaining: 10 }, 100, 0.5), 12);
    });

    test('after a failure in 100 ms, about, and later with each further one, up to a second', () => {
        const pauses = [1, 2, 3, 4, 5, 1000].map((failures) => retryPause(failures, 0.5));
        assert.deepEqual(pauses, [100, 200, 400, 800, 1000, 1000]);
        assert.deepEqual([retryPause(1, 0), retryPause(1, 1)], [50, 150]);
    });

    test('for its last try a twentieth of its time before the end, but 5 to 50 ms, and not in the first half', () => {
        assert.deepEqual([4, 20, 300, 5000, Infinity].map(lastTryOf), [2, 15, 285, 4950, Infinity]);
    });
});

suite('The answer that a waiter had last', () => {
    test('is fresh for half a second, or a quarter of a shorter ttl', () => {
        assert.deepEqual(
            [500, 501].map((age) => isFresh(age, 30_000)),
            [true, false],
        );
        assert.deepEqual(
            [100, 101].map((age) => isFresh(age, 400)),
            [true, false],
        );
    });
});
