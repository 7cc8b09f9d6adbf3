import { assert } from 'chai';
import { nextRenewal, nextTry, onGrid } from '../../../src/engine/lease/renewalTimes';

const TTL = 30_000;

suite('A lease is renewed', () => {
    test('at a third of its ttl, counted from when the last renewal was sent', () => {
        assert.strictEqual(nextRenewal(TTL, TTL, 0), 10_000);
        assert.strictEqual(nextRenewal(TTL, TTL, 3000), 7000);
        assert.strictEqual(nextRenewal(TTL, TTL, 20_000), 0);
    });

    test('at a third of what is left, where that is more than the ttl', () => {
        assert.strictEqual(nextRenewal(TTL, 2 * TTL, 0), 20_000);
    });

    test('before half of what is left is over, where that is less than the ttl', () => {
        assert.strictEqual(nextRenewal(TTL, 4000, 0), 2000);
    });

    test('several times more before its deadline after a failure, the nearer the faster', () => {
        const pauses: number[] = [];
        for (let left = 3000; left > 1000; left -= nextTry(3000, left)) pauses.push(Math.round(nextTry(3000, left)));
        assert.deepEqual(pauses, [300, 300, 300, 300, 300, 300, 300]);
        assert.strictEqual(nextTry(3000, 400), 100);
    });

    test('each second at least after a failure, however long it lasts', () => {
        assert.strictEqual(nextTry(10 * TTL, 10 * TTL), 1000);
    });

    test('at multiples of 10 ms, never later than is due and never before now', () => {
        assert.strictEqual(onGrid(103, 104), 200);
        assert.strictEqual(onGrid(103, 4), 107);
        assert.strictEqual(onGrid(103, Infinity), Infinity);
    });
});
