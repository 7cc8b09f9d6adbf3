import { assert } from 'chai';
import type { Scene } from './Scene';

/** What a store must do for those who wait. */
export function waiting(scene: Scene): void {
    test('takes places in the order of arrival', async () => {
        await scene.granted('a');
        const ranks = [await scene.wait('b'), await scene.wait('c'), await scene.wait('d')];
        assert.deepEqual(
            ranks.map(({ rank }) => rank),
            [0, 1, 2],
        );
        const tickets = ranks.map(({ ticket }) => ticket);
        assert.deepEqual(
            tickets,
            [...new Set(tickets)].sort((a, b) => a - b),
        );
    });

    test('keeps the place of a waiter that asks again', async () => {
        await scene.granted('a');
        const { ticket } = await scene.wait('b');
        await scene.wait('c');
        assert.deepInclude(await scene.wait('b', { ticket }), { ticket, rank: 0 });
        assert.deepInclude(await scene.wait('b'), { ticket, rank: 0 });
    });

    test('gives the old place back to a waiter that was dropped meanwhile', async () => {
        await scene.granted('a');
        const { ticket } = await scene.wait('b');
        await scene.wait('c');
        await scene.giveUp('b');
        assert.strictEqual((await scene.wait('b', { ticket })).rank, 0);
    });

    test('is told a fence: grants so far have none that is greater, later ones a greater one', async () => {
        const { fence } = await scene.granted('a');
        const busy = await scene.wait('b');
        assert.isAtLeast(busy.fence, fence);
        await scene.world.delete(scene.key);
        assert.isAbove((await scene.granted('b', { ticket: busy.ticket })).fence, busy.fence);
    });

    test('is never overtaken by a plain try', async () => {
        await scene.granted('a');
        await scene.wait('b');
        await scene.world.delete(scene.key);
        assert.strictEqual(await scene.seen(await scene.busy('c')), 'b');
        assert.strictEqual(await scene.holder(), 'b');
    });

    test('is never overtaken by a later waiter', async () => {
        await scene.granted('a');
        await scene.wait('b');
        await scene.wait('c');
        await scene.world.delete(scene.key);
        assert.strictEqual(await scene.seen(await scene.wait('c')), 'b');
    });

    test('is over with the grant', async () => {
        await scene.granted('a');
        await scene.wait('b');
        await scene.world.delete(scene.key);
        await scene.granted('b', { ticket: 0 });
        assert.isEmpty(await scene.line());
    });
}
