import { assert } from 'chai';
import { CLAIM_WINDOW } from '../../../../src/engine/port/protocol';
import { until } from '../../../fixtures/until';
import { TTL } from './Scene';
import type { Scene } from './Scene';

/** What becomes known of a hand-off, and how one is made again. */
export function handingOn(scene: Scene): void {
    test('is told to the one that made it by a release, with the window', async () => {
        const a = await scene.granted('a');
        await scene.wait('b');
        await scene.release(a);
        await until(() => scene.handOffs.length > 0);
        assert.deepEqual(scene.handOffs, [{ key: scene.key, window: CLAIM_WINDOW }]);
    });

    test('is told to the one that made it by finding the key absent, with the window', async () => {
        await scene.granted('a');
        await scene.wait('b', { ttl: 1000 });
        await scene.world.delete(scene.key);
        await scene.busy('c');
        await until(() => scene.handOffs.length > 0);
        assert.strictEqual(scene.handOffs[0]?.key, scene.key);
        assert.approximately(scene.handOffs[0]?.window ?? NaN, 1000, 100);
    });

    test('is told by nothing else', async () => {
        const a = await scene.granted('a');
        await scene.wait('b');
        await scene.busy('c');
        await scene.giveUp('b');
        await scene.release(a);
        await scene.release(a);
        await scene.granted('d');
        assert.isEmpty(scene.handOffs);
    });

    test('is made again when the key is absent, to the first in line', async () => {
        await scene.granted('a');
        await scene.wait('b');
        await scene.wait('c');
        await scene.world.delete(scene.key);
        await scene.store.handOn(scene.key);
        assert.strictEqual(await scene.holder(), 'b');
        await until(() => scene.handOffs.length > 0);
        assert.deepEqual(scene.handOffs, [{ key: scene.key, window: CLAIM_WINDOW }]);
    });

    test('is not made again when somebody has the key, or nobody waits for it', async () => {
        const a = await scene.granted('a');
        await scene.wait('b');
        await scene.store.handOn(scene.key);
        assert.strictEqual(await scene.holder(), 'a');
        await scene.giveUp('b');
        await scene.release(a);
        await scene.store.handOn(scene.key);
        assert.isUndefined(await scene.world.get(scene.key));
        assert.isEmpty(scene.handOffs);
    });

    test('leaves alone a key that holds an empty string', async () => {
        await scene.world.set(scene.key, '', TTL);
        await scene.wait('a');
        await scene.store.handOn(scene.key);
        assert.strictEqual(await scene.world.get(scene.key), '');
    });
}
