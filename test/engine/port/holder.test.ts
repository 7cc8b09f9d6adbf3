import { assert } from 'chai';
import crypto from 'node:crypto';
import { hostname } from 'node:os';
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

    suite('of processes that go on from one snapshot', () => {
        const pid = Object.getOwnPropertyDescriptor(process, 'pid') ?? {};

        teardown(() => Object.defineProperty(process, 'pid', pid));

        test('differs in its random part', () => {
            const randoms = [1, 2, 2, 1].map((value) => {
                Object.defineProperty(process, 'pid', { ...pid, value });
                const [, its, random] = newHolder().split(':');
                assert.strictEqual(its, String(value));
                return random;
            });
            assert.strictEqual(randoms[1], randoms[2]);
            assert.lengthOf(new Set(randoms), 3);
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
                const loaded = require(path) as { newHolder: typeof newHolder };
                assert.strictEqual(draws, 0);
                loaded.newHolder();
                loaded.newHolder();
                assert.strictEqual(draws, 1);
            } finally {
                require.cache[path] = before;
                crypto.randomBytes = randomBytes;
            }
        });
    });
});
