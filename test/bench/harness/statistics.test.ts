import { assert } from 'chai';
import { handOffs } from './handOffs';
import { seeded, shuffled } from './random';
import { inversions, jain, median, percentile, spread } from './statistics';

suite('The statistics of the benchmarks', () => {
    test('the median is in the middle, and of an even number between the two there', () => {
        assert.strictEqual(median([9, 1, 5]), 5);
        assert.strictEqual(median([4, 1, 10, 2]), 3);
        assert.strictEqual(median([7]), 7);
        assert.isNaN(median([]));
        assert.deepEqual(spread([3, 1, 2]), { median: 2, least: 1, most: 3 });
    });

    test('a percentile is a value of the list', () => {
        const hundred = Array.from({ length: 100 }, (_, at) => 100 - at);
        assert.strictEqual(percentile(hundred, 50), 50);
        assert.strictEqual(percentile(hundred, 99), 99);
        assert.strictEqual(percentile(hundred, 100), 100);
        assert.strictEqual(percentile([3], 1), 3);
        assert.isNaN(percentile([], 50));
    });

    test("Jain's index is 1 for equal shares and 1 / n for one who has all", () => {
        assert.strictEqual(jain([2, 2, 2, 2]), 1);
        assert.strictEqual(jain([0, 0, 5, 0]), 0.25);
        assert.closeTo(jain([1, 2, 3]), 36 / 42, 1e-9);
        assert.isNaN(jain([0, 0]));
    });

    test('an inversion is a grant to one while somebody waits who asked earlier', () => {
        const inOrder = [0, 20, 40].map((asked) => ({ asked, got: asked + 100 }));
        assert.strictEqual(inversions(inOrder, 10), 0);
        // The second overtakes the first, the third does not.
        const overtaken = [
            { asked: 0, got: 150 },
            { asked: 20, got: 120 },
            { asked: 40, got: 160 },
        ];
        assert.strictEqual(inversions(overtaken, 10), 1);
        assert.strictEqual(inversions(overtaken, 20), 0);
        assert.strictEqual(inversions(overtaken, 10, 21), 0);
        // Who is never served was overtaken by everybody that asked later.
        assert.strictEqual(inversions([...inOrder, { asked: 10, got: Infinity }], 5), 2);
    });

    test('hand-offs are timed from a release to the next grant, and fairness counts whole rounds', () => {
        const hold = (member: number, got: number): object => ({ member, asked: got - 10, got, released: got + 2 });
        const holds = [0, 1, 0, 1, 0].map((member, at) => hold(member, 100 + 5 * at));
        const report = { holds, pending: [], cpu: 0 } as never;
        const found = handOffs(report, 2, 100);
        assert.deepEqual([found.grants, found.p50, found.p99, found.jain, found.starved], [5, 3, 3, 1, 0]);
        assert.strictEqual(handOffs(report, 3, 110).starved, 1);
        assert.isNaN(handOffs(report, 10, 100).jain);
        const barging = [hold(0, 100), { member: 0, asked: 103, got: 104, released: 106 }];
        assert.isNaN(handOffs({ holds: barging, pending: [], cpu: 0 } as never, 2, 0).p50);
    });

    test('the order is the same for the same seed, and holds everybody', () => {
        const items = Array.from({ length: 20 }, (_, at) => at);
        assert.deepEqual(shuffled(items, seeded(7)), shuffled(items, seeded(7)));
        assert.notDeepEqual(shuffled(items, seeded(7)), shuffled(items, seeded(8)));
        assert.sameMembers(shuffled(items, seeded(7)), items);
    });
});
