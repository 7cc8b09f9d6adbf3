import { assert } from 'chai';
import fc from 'fast-check';
import { deadlineOf } from '../../../src/engine/port/validity';

suite('validity', () => {
    test('counts from before the request was sent, less 1 % and 2 ms', () => {
        assert.strictEqual(deadlineOf(1000, 10_000), 1000 + 10_000 - 100 - 2);
    });

    test('of a very short lease is over before it begins', () => {
        assert.isBelow(deadlineOf(1000, 2), 1000);
    });

    test('is always shorter than the ttl, and grows with it', () => {
        const ttls = fc.tuple(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.integer({ min: 1, max: 2 ** 31 - 1 }));
        fc.assert(
            fc.property(ttls, ([a, b]) => {
                assert.isAtMost(deadlineOf(0, a), a - 2);
                assert.strictEqual(deadlineOf(0, a) < deadlineOf(0, b), a < b);
            }),
        );
    });
});
