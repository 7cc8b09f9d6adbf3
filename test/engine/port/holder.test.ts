import { assert } from 'chai';
import crypto from 'node:crypto';
import { hostname } from 'node:os';
import { checkHolder } from '../../../src/engine/port/checks';
import { Locker } from '../../../src/engine/locker/Locker';
import { chosenHolder, holderOf, nameOf, newId, readHolder } from '../../../src/engine/port/holder';
import { MemoryStore } from '../../../src/testing/MemoryStore';

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

    suite('of processes that go on from one snapshot', () => {
        const pid = Object.getOwnPropertyDescriptor(process, 'pid') ?? {};

        teardown(() => Object.defineProperty(process, 'pid', pid));

        test('differs in its random part', () => {
            const randoms = [1, 2, 2, 1].map((value) => {
                Object.defineProperty(process, 'pid', { ...pid, value });
                const [, its, random] = newId().split(':');
                assert.strictEqual(its, String(value));
                return random;
            });
            assert.strictEqual(randoms[1], randoms[2]);
            assert.lengthOf(new Set(randoms), 3);
        });

        test('differs in its random part when each has opened its lock again, though the generator was copied', async () => {
            const { randomBytes } = crypto;
            crypto.randomBytes = (size: number) => Buffer.alloc(size);
            try {
                const randoms: (string | undefined)[] = [];
                for (let copy = 0; copy < 3; copy++) {
                    const locker = new Locker(new MemoryStore());
                    await locker.open();
                    const lease = await locker.acquire('key');
                    randoms.push(lease.holder.split(':')[2]);
                    await locker.close();
                }
                assert.lengthOf(new Set(randoms), 3);
            } finally {
                crypto.randomBytes = randomBytes;
            }
        });

        test('is not drawn before it is needed', () => {
            const path = require.resolve('../../../src/engine/port/holder');
            const before = require.cache[path];
            const { randomBytes } = crypto;
            let draws = 0;
            crypto.randomBytes = (size: number) => {
                draws += 1;
                return randomBytes(size);
            };
            delete require.cache[path];
            try {
                const loaded = require(path) as { newId: typeof newId };
                assert.strictEqual(draws, 0);
                loaded.newId();
                loaded.newId();
                assert.strictEqual(draws, 1);
            } finally {
                require.cache[path] = before;
                crypto.randomBytes = randomBytes;
            }
        });
    });
});
