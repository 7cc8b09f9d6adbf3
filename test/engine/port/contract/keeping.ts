import { assert } from 'chai';
import { TTL } from './Scene';
import type { Scene } from './Scene';

/** What a store must do with what stays taken for some time after its release. */
export function keeping(scene: Scene): void {
    const { share } = scene;

    test('stays taken for as long as it is to, and no longer', async () => {
        const a = await scene.granted('a');
        assert.strictEqual(await scene.release(a, undefined, scene.store, 400), 'released');
        assert.isAtMost((await scene.store.inspect(scene.key)).remaining, 400);
        await scene.busy('b', share === undefined ? {} : { share: undefined });
        await scene.world.pass(450);
        await scene.granted('b');
    });

    test('stays taken for longer than its lease would have lasted', async () => {
        const a = await scene.granted('a', { ttl: 200 });
        await scene.release(a, undefined, scene.store, TTL);
        assert.isAbove((await scene.store.inspect(scene.key)).remaining, TTL / 2);
    });

    test('is free at once when its time is over already', async () => {
        const a = await scene.granted('a');
        await scene.release(a, undefined, scene.store, -1);
        await scene.granted('b');
    });

    test('tells the first in line how long it stays taken', async () => {
        const a = await scene.granted('a');
        await scene.wait('b');
        await scene.release(a, undefined, scene.store, 1000);
        if (scene.store.wakes) assert.isAtMost((await scene.firstOf('b')).time, 1000);
        await scene.world.pass(1050);
        assert.isAbove((await scene.granted('b', { ticket: 0 })).fence, a.fence);
    });
}
