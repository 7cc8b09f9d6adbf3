import { assert } from 'chai';
import fc from 'fast-check';
import { clockOfKey, clockOfSlot, hasItsTag, hashTag, keysOf, slotOf } from '../../../src/engine/redis/slots';
import { ended, ownClient } from '../clientOf';
import { sharedServer } from '../../fixtures/sharedServer';

const KNOWN: Readonly<Record<string, number>> = {
    '': 0,
    foo: 12182,
    bar: 5061,
    '123456789': 12739,
    'foo{bar}': 5061,
    '{bar}foo': 5061,
    '{bar}{foo}': 5061,
    'foo{}{bar}': 8363,
    'foo{{bar}}zap': 4015,
};

const ODD = [
    'a}b',
    '{}x',
    '{a',
    'a{}b',
    '}{',
    '}',
    '{',
    '{}',
    '{}{a}',
    'a{b',
    'a{b}c',
    '{{a}}',
    '}a{b}',
    ':q',
    '{a}:q',
];

suite('slots', () => {
    for (const [key, slot] of Object.entries(KNOWN)) {
        test(`the slot of ${JSON.stringify(key)} is ${slot}`, () => {
            assert.strictEqual(slotOf(key), slot);
        });
    }

    test('of keys that are not ASCII are those of their UTF-8', () => {
        assert.strictEqual(slotOf('ключ'), slotOf(`{ключ}`));
        assert.notStrictEqual(slotOf('ключ'), slotOf('клюв'));
    });

    test('are those that a server computes', async () => {
        const client = await ownClient(await sharedServer());
        const support = await client.call('CLUSTER', 'KEYSLOT', 'foo').catch(() => undefined);
        const keys = support === undefined ? [] : [...Object.keys(KNOWN), ...ODD, 'ключ', '🔒{🔑}'];
        for (const key of keys) assert.strictEqual(await client.call('CLUSTER', 'KEYSLOT', key), slotOf(key), key);
        await ended(client);
    });

    suite('the hash tag', () => {
        const tags = { 'a{b}c': 'b', '{a}{b}': 'a', 'a{}b{c}': 'a{}b{c}', 'a{b': 'a{b', 'a}b{c}': 'c', '{{a}}': '{a' };
        for (const [key, tag] of Object.entries(tags)) {
            test(`of ${key} is ${tag}`, () => {
                assert.strictEqual(hashTag(key), tag);
            });
        }
    });

    suite('the keys of a lock', () => {
        test('are the key of the user and three beside it', () => {
            const sides = ['redis-lock:{orders}:q', 'redis-lock:{orders}:w', 'redis-lock:{orders}:h'];
            assert.deepEqual([...keysOf('orders')], ['orders', ...sides]);
        });

        test('keep the hash tag of the user', () => {
            const sides = ['redis-lock:{b}:a{b}c:q', 'redis-lock:{b}:a{b}c:w', 'redis-lock:{b}:a{b}c:h'];
            assert.deepEqual([...keysOf('a{b}c')], ['a{b}c', ...sides]);
        });

        for (const key of ODD) {
            test(`are in one slot for ${key}`, () => {
                for (const one of keysOf(key)) assert.strictEqual(slotOf(one), slotOf(key), one);
            });
        }

        /** Many braces, and anything else. */
        const keys = fc.oneof(
            fc.string({ unit: fc.constantFrom('{', '}', 'a', 'b', ':', 'q'), minLength: 1, maxLength: 12 }),
            fc.string({ unit: 'binary', minLength: 1 }),
        );

        test('are in one slot for every key', () => {
            fc.assert(
                fc.property(keys, (key) => {
                    for (const one of keysOf(key)) assert.strictEqual(slotOf(one), slotOf(key));
                }),
                { numRuns: 2000 },
            );
        });

        test('have one tag, whatever hashes it, but where a brace of the key is in the way', () => {
            fc.assert(
                fc.property(keys, (key) => {
                    const tags = new Set([...keysOf(key), clockOfKey(key)].map(hashTag));
                    assert.strictEqual(tags.size === 1, hasItsTag(key));
                }),
                { numRuns: 2000 },
            );
        });

        test('are other ones for every other key', () => {
            fc.assert(
                fc.property(fc.uniqueArray(keys, { minLength: 2, maxLength: 30 }), (all) => {
                    const sides = all.flatMap((key) => [...keysOf(key).slice(1), clockOfKey(key)]);
                    assert.lengthOf(new Set(sides), sides.length);
                }),
                { numRuns: 2000 },
            );
        });

        test('are always the same', () => {
            for (const key of ODD) assert.deepEqual(keysOf(key), keysOf(key));
        });
    });

    test('the clock of a slot is in that slot, and the same for every key of it', () => {
        const key = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom(...ODD));
        fc.assert(
            fc.property(key, (one) => {
                assert.strictEqual(slotOf(clockOfSlot(one)), slotOf(one));
            }),
        );
        assert.strictEqual(clockOfSlot('{tag}:a'), clockOfSlot('{tag}:b'));
        assert.notStrictEqual(clockOfSlot('a'), clockOfSlot('b'));
    });
});
