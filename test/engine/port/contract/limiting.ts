import { assert } from 'chai';
import { READER } from '../../../../src/engine/port/LockStore';
import { SHARED } from '../../../../src/engine/port/protocol';
import { rejection } from '../../../fixtures/rejection';
import { acquireFrom } from '../../../fixtures/asks';
import { TTL } from './Scene';
import type { Scene } from './Scene';

const read = { share: READER };

/** What a store must do that counts permits. */
export function limiting(scene: Scene): void {
    const of = (limit: number, permits = 1): { share: { limit: number; permits: number } } => ({
        share: { limit, permits },
    });

    test('lets in as many as there are permits', async () => {
        const a = await scene.granted('a', of(3));
        await scene.granted('b', of(3, 2));
        assert.strictEqual((await scene.busy('c', of(3))).holder, SHARED);
        await scene.release(a);
        await scene.granted('c', of(3));
        await scene.busy('d', of(3));
    });

    test('lets in no more of many that come at once, through several stores', async () => {
        const processes = [scene.store, await scene.another(), await scene.another()];
        const answers = await Promise.all(
            Array.from({ length: 60 }, (_, at) =>
                acquireFrom(processes[at % 3] ?? scene.store, scene.request(`holder${at}`, of(10))),
            ),
        );
        assert.lengthOf(
            answers.filter(({ kind }) => kind === 'granted'),
            10,
        );
    });

    test('gives all permits that one asks for, or none, and lets nobody pass it', async () => {
        const a = await scene.granted('a', of(3));
        const b = await scene.granted('b', of(3));
        await scene.wait('large', of(3, 3));
        await scene.wait('small', of(3));
        await scene.busy('try', of(3));
        await scene.release(a);
        assert.deepEqual(await scene.line(), ['large', 'small']);
        await scene.release(b);
        const large = await scene.granted('large', { ...of(3, 3), ticket: 0 });
        assert.deepEqual(await scene.line(), ['small']);
        await scene.release(large);
        await scene.granted('small', { ...of(3), ticket: 0 });
    });

    test('counts those no more whose lease ran out, though others are renewed', async () => {
        await scene.granted('dies', { ...of(2), ttl: 300 });
        const b = await scene.granted('b', of(2));
        assert.isAtMost((await scene.busy('c', of(2))).remaining, 300);
        await scene.store.renew(scene.key, b.holder, TTL, true);
        await scene.world.pass(350);
        await scene.granted('c', of(2));
        await scene.busy('d', of(2));
    });

    test('counts a reader as one, and keeps out one that wants it alone', async () => {
        const a = await scene.granted('a', read);
        await scene.granted('b', of(2));
        await scene.busy('c', of(2));
        await scene.busy('w');
        await scene.granted('d', read);
        await scene.release(a);
        await scene.busy('c', of(2));
    });

    test('goes by the limit of each caller for its own admission', async () => {
        await scene.granted('a', of(3));
        await scene.granted('b', of(3));
        await scene.busy('lower', of(2));
        assert.deepEqual((await scene.store.inspect(scene.key)).holders.length, 2);
        await scene.granted('c', of(3));
        await scene.granted('higher', of(5));
    });

    test('tells of another limit that was seen, and of none where all agree', async () => {
        await scene.granted('a', of(1));
        assert.isUndefined((await scene.wait('b', of(1))).limit);
        assert.strictEqual((await scene.wait('c', of(2))).limit, 1);
    });

    test('tells how many permits each has, or waits for', async () => {
        await scene.granted('a', of(5, 2));
        await scene.granted('b', of(5));
        await scene.wait('c', of(5, 3));
        const { holders, waiters } = await scene.store.inspect(scene.key);
        assert.lengthOf(waiters, 1);
        assert.deepInclude(waiters[0], { mode: 'shared', permits: 3, limit: 5 });
        assert.deepEqual(
            holders.map(({ holder, permits }) => [scene.named(holder), permits]),
            [
                ['a', 2],
                ['b', 1],
            ],
        );
    });
}

/** What a store must do that cannot count permits. */
export function notLimiting(scene: Scene): void {
    test('refuses a limit, and says why', async () => {
        const share = { limit: 2, permits: 1 };
        const error = await rejection(acquireFrom(scene.store, scene.request('a', { share })), 'BAD_PARAMETER');
        assert.match(error.message, /quorum/);
        assert.isUndefined(await scene.world.get(scene.key));
    });
}
