import { hostname } from 'node:os';
import { assert } from 'chai';
import { checkHolder } from '../../../src/engine/port/checks';
import { chosenHolder, holderOf, nameOf, newId, readHolder } from '../../../src/engine/port/holder';

suite('holder', () => {
    test('is of a new acquisition each time', () => {
        const ids = Array.from({ length: 10_000 }, () => newId());
        assert.lengthOf(new Set(ids), ids.length);
        assert.notStrictEqual(newId('mine'), newId('mine'));
    });

    test('tells host, process and fence, in one word', () => {
        const holder = holderOf(newId(), 1234);
        assert.match(holder, /^\S+$/);
        const host = hostname().replace(/\s/g, '_');
        assert.deepEqual(readHolder(holder), { host, pid: process.pid, fence: 1234 });
    });

    test('is stored as it is, if it was chosen', () => {
        const id = newId('mine');
        assert.strictEqual(chosenHolder(id), 'mine');
        assert.strictEqual(holderOf(id, 1234), 'mine');
        assert.strictEqual(nameOf(id), 'mine');
    });

    test('is known but for its fence before it is granted, if it was not chosen', () => {
        const id = newId();
        assert.isUndefined(chosenHolder(id));
        assert.strictEqual(holderOf(id, 1234), `${nameOf(id)}:1234`);
    });

    test('is one line of text, so that no chosen one is taken for an id', () => {
        for (const holder of ['', 'a\nb', 'a\rb', '\ud800', 7, undefined]) assert.throws(() => checkHolder(holder));
        assert.doesNotThrow(() => checkHolder(holderOf(newId(), 1)));
    });
});
