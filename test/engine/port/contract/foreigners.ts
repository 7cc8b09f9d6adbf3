import { assert } from 'chai';
import { until } from '../../../fixtures/until';
import { TTL } from './Scene';
import type { Scene } from './Scene';

/** What a store must do where the holder is none of this library. */
export function foreigners(scene: Scene): void {
    test('keeps everybody out until its lease ends', async () => {
        await scene.world.set(scene.key, 'stranger', 1000);
        assert.deepInclude(await scene.busy('a'), { holder: 'stranger', foreign: true });
        await scene.world.pass(1050);
        await scene.granted('a');
    });

    test('keeps everybody out until it deletes the key', async () => {
        await scene.world.set(scene.key, 'stranger', TTL);
        await scene.wait('a');
        await scene.world.delete(scene.key);
        await scene.granted('a', { ticket: 0 });
    });

    test('whose key never expires remains for ever', async () => {
        await scene.world.set(scene.key, 'stranger', Infinity);
        assert.strictEqual((await scene.busy('a')).remaining, Infinity);
        assert.strictEqual((await scene.store.inspect(scene.key)).remaining, Infinity);
    });

    test('is left alone by renew, release and give-up', async () => {
        const { holder } = await scene.granted('a');
        await scene.world.set(scene.key, 'stranger', TTL);
        assert.deepEqual(await scene.store.renew(scene.key, holder, TTL), { kind: 'gone' });
        assert.strictEqual(await scene.release({ holder }), 'gone');
        assert.strictEqual(await scene.giveUp('a'), 'gone');
        assert.strictEqual(await scene.world.get(scene.key), 'stranger');
    });

    test('has no fence, and is followed by a greater one', async () => {
        const { fence } = await scene.granted('a');
        await scene.world.set(scene.key, 'stranger', TTL);
        assert.isUndefined((await scene.store.inspect(scene.key)).fence);
        await scene.world.delete(scene.key);
        assert.isAbove((await scene.granted('b')).fence, fence);
    });

    test('is one that was chosen: it may be released by another program', async () => {
        await scene.granted('a of job');
        assert.deepInclude(await scene.busy('b'), { holder: 'job', foreign: true });
    });
}

/** What a store must do that looks out for them. */
export function watched(scene: Scene): void {
    test('is looked out for: its delete is told', async () => {
        await scene.world.set(scene.key, 'stranger', TTL);
        assert.isTrue(await scene.store.watch(scene.key, 'stranger'));
        assert.isEmpty(scene.changes);
        await scene.world.delete(scene.key);
        await until(() => scene.changes.includes(scene.key));
    });

    test('is looked out for: its expiry is told when the server sees it', async () => {
        await scene.world.set(scene.key, 'stranger', 200);
        assert.isTrue(await scene.store.watch(scene.key, 'stranger'));
        await scene.world.pass(250);
        // A server with many keys may take a while to see it, unless somebody asks.
        await scene.world.get(scene.key);
        await until(() => scene.changes.includes(scene.key));
    });

    test('is looked out for: a release through this library is told', async () => {
        const a = await scene.granted('a of job');
        const other = await scene.another();
        assert.isTrue(await other.watch(scene.key, 'job'));
        await scene.release(a);
        await until(() => scene.changes.includes(scene.key));
    });

    test('that has gone before it is looked out for is told at once', async () => {
        assert.isTrue(await scene.store.watch(scene.key, 'stranger'));
        await until(() => scene.changes.includes(scene.key));
    });

    test('of another key is not told', async () => {
        await scene.world.set(scene.key, 'stranger', TTL);
        await scene.store.watch(scene.key, 'stranger');
        await scene.world.set(`${scene.key}:other`, 'stranger', TTL);
        await scene.world.delete(`${scene.key}:other`);
        await scene.world.delete(scene.key);
        await until(() => scene.changes.length > 0);
        assert.notInclude(scene.changes, `${scene.key}:other`);
    });
}

export function unwatched(scene: Scene): void {
    test('that cannot be looked out for says so', async () => {
        await scene.world.set(scene.key, 'stranger', TTL);
        assert.isFalse(await scene.store.watch(scene.key, 'stranger'));
    });
}
