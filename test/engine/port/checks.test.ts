import { assert } from 'chai';
import { checkKey, checkPattern, checkSignal, checkTimeout, checkTtl, shown } from '../../../src/engine/port/checks';
import { LockError } from '../../../src/engine/port/errors';

suite('checks', () => {
    test('show a value so that its type is seen', () => {
        const values = ['1000', 'a "b"', 5, NaN, 5n, null, undefined, true, [5], new Date(), {}, () => 5, Symbol('a')];
        assert.deepEqual(values.map(shown), [
            '"1000"',
            '"a \\"b\\""',
            '5',
            'NaN',
            '5',
            'null',
            'undefined',
            'true',
            'an Array',
            'a Date',
            'an Object',
            'a function',
            'a symbol',
        ]);
        assert.strictEqual(shown(Object.create(null)), 'an object');
        assert.isBelow(shown('x'.repeat(10_000)).length, 100);
    });

    test('name the key in the details', () => {
        const checks: readonly ((value: unknown, key: string) => void)[] = [checkTtl, checkTimeout];
        for (const check of checks) {
            try {
                check('1000', 'the key');
                assert.fail('It was not refused.');
            } catch (error) {
                assert.instanceOf(error, LockError);
                assert.strictEqual(error.key, 'the key');
                assert.include(error.message, 'not "1000"');
            }
        }
    });

    test('refuse a key of ours, but let it be looked for', () => {
        assert.throws(() => checkKey('redis-lock:{a}:q'), LockError, 'must not begin with redis-lock:');
        checkKey('my-redis-lock:a');
        checkPattern('redis-lock:*');
    });

    test('take what can be listened to as to a signal', () => {
        const like = { aborted: false, addEventListener: () => undefined, removeEventListener: () => undefined };
        for (const signal of [undefined, AbortSignal.abort(), like]) checkSignal(signal, 'key');
        for (const signal of [null, {}, 'signal', { ...like, aborted: 'no' }, new EventTarget()]) {
            assert.throws(() => checkSignal(signal, 'key'), LockError, 'signal');
        }
    });
});
