import { hostname } from 'node:os';
import { assert } from 'chai';
import { newHolder } from '../../../src/engine/port/holder';

suite('holder', () => {
    test('is new each time', () => {
        const holders = Array.from({ length: 10_000 }, newHolder);
        assert.lengthOf(new Set(holders), holders.length);
    });

    test('tells host and process, in one word', () => {
        const holder = newHolder();
        assert.isTrue(holder.startsWith(`${hostname().replace(/\s/g, '_')}:${process.pid}:`));
        assert.match(holder, /^\S+$/);
    });
});
