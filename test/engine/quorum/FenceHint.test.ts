import { assert } from 'chai';
import { FenceHint } from '../../../src/engine/quorum/FenceHint';

suite('FenceHint', () => {
    let hint: FenceHint;

    setup(() => {
        hint = new FenceHint();
    });

    test('knows nothing before the first grant', () => {
        assert.isUndefined(hint.next(1000));
    });

    test('is ahead of what the slowest node would give, and moves on with our clock', () => {
        hint.learn(1000, [5_000_000, 5_000_300]);
        assert.isAtLeast(hint.next(1000) ?? NaN, 5_000_300);
        assert.isAtLeast(hint.next(1007) ?? NaN, 5_007_300);
    });

    test('is greater each time, also within a moment', () => {
        hint.learn(1000, [5_000_000]);
        const hints = [hint.next(1000), hint.next(1000), hint.next(999)].map(Number);
        assert.deepEqual(
            hints,
            [...new Set(hints)].sort((a, b) => a - b),
        );
    });

    test('learns of a node that was later than it', () => {
        hint.learn(1000, [5_000_000]);
        hint.learn(2000, [6_002_000, 6_009_000]);
        assert.isAtLeast(hint.next(3000) ?? NaN, 7_009_000);
    });

    test('follows nodes whose clocks were set back', () => {
        hint.learn(1000, [5_000_000_000]);
        hint.learn(2000, [1_000, 3_000]);
        assert.isBelow(hint.next(3000) ?? NaN, 5_003_000_000 + 1_000_000);
        hint = new FenceHint();
        hint.learn(1000, [5_000_000_000]);
        hint.next(1001);
        hint.learn(2000, [1_000, 3_000]);
        const [after, later] = [hint.next(3000), hint.next(10_000_000)];
        assert.isDefined(after);
        assert.isDefined(later);
    });

    test('is not driven up by fences on which the nodes agree', () => {
        hint.learn(1000, [5_000_000]);
        const before = Number(hint.next(1000));
        for (let time = 0; time < 100; time++) hint.learn(1000, [9_000_000, 9_000_000]);
        assert.isBelow(Number(hint.next(1000)) - before, 10);
    });
});
