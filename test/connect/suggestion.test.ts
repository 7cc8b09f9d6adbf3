import { assert } from 'chai';
import { didYouMean, nearest } from '../../src/connect/suggestion';

const KNOWN = ['retry_timeout', 'retries', 'ttl', 'host', 'port', 'protocol', 'key_prefix'];

suite('A suggestion for a misspelt name', () => {
    for (const [slip, given, meant] of [
        ['a letter is missing', 'retry_timout', 'retry_timeout'],
        ['a letter is too much', 'hosst', 'host'],
        ['a letter is wrong', 'tt1', 'ttl'],
        ['two letters are swapped', 'hots', 'host'],
        ['it has capitals', 'retryTimeout', 'retry_timeout'],
        ['it has another sign between its words', 'RETRY-TIMEOUT', 'retry_timeout'],
        ['it is longer', 'hostname', 'host'],
        ['it is shorter', 'key_pre', 'key_prefix'],
        ['three of twelve letters are wrong', 'retri_timut', 'retry_timeout'],
    ] as const) {
        test(`is found where ${slip}`, () => {
            assert.deepEqual(nearest(given, KNOWN), [meant]);
        });
    }

    for (const far of ['', '.', 'weight', 'role', 'tls', 'pst', 'name', 'r']) {
        test(`is not made up for "${far}"`, () => {
            assert.deepEqual(nearest(far, KNOWN), []);
        });
    }

    test('names the nearest first, and three at most', () => {
        assert.deepEqual(nearest('prot', KNOWN), ['port', 'protocol']);
        assert.deepEqual(nearest('aaaa', ['aaab', 'aaaa1', 'aaaa', 'aaac']), ['aaaa', 'aaab', 'aaaa1']);
    });

    test('is a question about one, two or three names, or nothing', () => {
        assert.strictEqual(didYouMean([]), '');
        assert.strictEqual(didYouMean(['a']), ' Did you mean a?');
        assert.strictEqual(didYouMean(['a', 'b']), ' Did you mean a or b?');
        assert.strictEqual(didYouMean(['a', 'b', 'c']), ' Did you mean a, b or c?');
    });
});
