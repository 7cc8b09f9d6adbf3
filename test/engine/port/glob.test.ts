import { assert } from 'chai';
import { globOf } from '../../../src/engine/port/glob';

suite('A pattern of keys', () => {
    const rows: [pattern: string, fits: string[], others: string[]][] = [
        ['*', ['', 'a', 'a:b', 'li\nne', '🔒'], []],
        ['a', ['a'], ['', 'A', 'aa', 'b']],
        ['order:*', ['order:', 'order:1'], ['order', 'my order:1']],
        ['*:1', [':1', 'order:1'], ['order:11']],
        ['a?c', ['abc', 'a?c', 'a🔒c'], ['ac', 'abbc']],
        ['a\\*', ['a*'], ['ab', 'a\\*']],
        ['a\\\\*', ['a\\', 'a\\b'], ['a*']],
        ['a\\', ['a\\'], ['a']],
        ['.[x](y)+^$|{1,2}/', ['.[x](y)+^$|{1,2}/'], ['ax']],
    ];
    for (const [pattern, fits, others] of rows) {
        test(`${pattern} fits ${fits.map((one) => JSON.stringify(one)).join(', ')}, not ${others.join(', ')}`, () => {
            for (const one of fits) assert.isTrue(globOf(pattern)(one), one);
            for (const one of others) assert.isFalse(globOf(pattern)(one), one);
        });
    }
});
