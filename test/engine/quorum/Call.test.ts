import { assert } from 'chai';
import type { AcquireRequest } from '../../../src/engine/port/LockStore';
import { Call } from '../../../src/engine/quorum/Call';
import { idOf } from '../../fixtures/ids';

const SINCE = 1000;
const TTL = 30_000;

function callOf(isFirst: boolean, request: Partial<AcquireRequest> = {}): Call {
    const whole = { key: 'key', id: idOf('me'), ttl: TTL, ticket: 1, ...request };
    return new Call(whole, () => undefined, SINCE, isFirst);
}

/** How long attempts are made for it. */
function patienceOf(call: Call): number {
    let now = SINCE;
    for (let pause = call.pause(now, 0.5); pause !== undefined; pause = call.pause(now, 0.5)) now += pause;
    return now - SINCE;
}

suite('An acquisition whose turn it is, and that gets no quorum', () => {
    test('tries again after pauses that grow, and are never quite the same', () => {
        const call = callOf(false);
        const pauses = Array.from({ length: 7 }, () => call.pause(SINCE, 0.5));
        assert.deepEqual(pauses, [2, 4, 8, 16, 32, 40, 40]);
        assert.strictEqual(callOf(false).pause(SINCE, 0), 1);
        assert.strictEqual(callOf(false).pause(SINCE, 1), 3);
    });

    test('lets the next in line try after half a second, and is told sooner the first time', () => {
        assert.approximately(patienceOf(callOf(false)), 500, 40);
        assert.approximately(patienceOf(callOf(true)), 50, 40);
    });

    test('lets the next in line try after a third of a short ttl', () => {
        assert.approximately(patienceOf(callOf(false, { ttl: 300 })), 100, 40);
    });

    test('takes a place in every line after 20 ms, if it waits', () => {
        assert.isFalse(callOf(false).linesUp(SINCE + 19));
        assert.isTrue(callOf(false).linesUp(SINCE + 20));
        assert.isFalse(callOf(false, { ticket: undefined }).linesUp(SINCE + 20));
    });

    test('asks again after 100 ms, or when the key runs out', () => {
        assert.deepEqual(
            [30, 100, 5000, Infinity].map((left) => callOf(false).askAgain(left)),
            [30, 100, 100, 100],
        );
    });
});
