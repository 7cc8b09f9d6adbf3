import { assert } from 'chai';
import type { LockInfo } from '../../../../src/engine/port/LockStore';
import { TTL } from './Scene';
import type { Scene } from './Scene';

/** What list must tell. */
export function listing(scene: Scene): void {
    async function listed(pattern: string): Promise<LockInfo[]> {
        const found: LockInfo[] = [];
        for await (const info of scene.store.list(pattern)) found.push(info);
        return found.sort((a, b) => (a.key < b.key ? -1 : 1));
    }

    test('tells every key that is held and fits the pattern, whatever it looks like, once', async () => {
        const odd = ['plain', '{tag}ged', 'a}b', '{}x', '{a', 'a{b}c{d}', 'ключ ✓', '{{x}}', 'x:q', '{y}:w', 'li\nne'];
        const keys = odd.map((one) => `${one}:${scene.key}`).sort();
        const others = await scene.another();
        for (const key of keys) await scene.granted('a', { key }, others);
        await scene.granted('a', { key: `other:${scene.key}:1` });
        const found = await listed(`*:${scene.key}`);
        assert.deepEqual(
            found.map((info) => info.key),
            keys,
        );
        for (const info of found) assert.deepEqual({ ...info, ...(await about(info)) }, info);
    });

    test('tells none that was given back, ran out or was deleted', async () => {
        await scene.release(await scene.granted('a'));
        await scene.granted('a', { key: `${scene.key}:1`, ttl: 30 });
        await scene.granted('a', { key: `${scene.key}:2` });
        await scene.world.delete(`${scene.key}:2`);
        await scene.world.pass(60);
        assert.isEmpty(await listed(`${scene.key}*`));
    });

    test('tells more than one page of them', async () => {
        const keys = Array.from({ length: 1200 }, (_, at) => `${scene.key}:${at}`);
        await Promise.all(keys.map((key) => scene.granted('a', { key })));
        const found = await listed(`${scene.key}:*`);
        assert.sameMembers(
            found.map((info) => info.key),
            keys,
        );
        assert.lengthOf(await listed(`${scene.key}:11?`), 10);
        await Promise.all(keys.map((key) => scene.world.delete(key)));
    });

    test('tells a holder that is no user of this library when somebody waits for its key', async () => {
        await scene.world.set(scene.key, 'stranger', TTL);
        await scene.wait('b');
        const [info] = await listed(scene.key);
        assert.deepInclude(info, { key: scene.key, holder: 'stranger', fence: undefined, held: undefined });
        assert.deepEqual(
            info?.waiters.map(({ holder }) => scene.named(holder)),
            ['b'],
        );
    });

    test('tells no key of which nothing says that it is a lock', async () => {
        await scene.world.set(scene.key, 'stranger', TTL);
        assert.isEmpty(await listed(scene.key));
    });

    /** What does not change with time. */
    async function about(info: LockInfo): Promise<Partial<LockInfo>> {
        const { fence, holder, waiters } = await scene.store.inspect(info.key);
        return { fence, holder, waiters };
    }
}

/** What inspect must tell. */
export function inspecting(scene: Scene): void {
    test('of a free key tells that nobody has it', async () => {
        const { key, store } = scene;
        const nobody = { holder: undefined, remaining: 0, fence: undefined, held: undefined, mode: undefined };
        assert.deepEqual(await store.inspect(key), { key, ...nobody, holders: [], waiters: [] });
    });

    test('tells the holder and the fence', async () => {
        const { fence } = await scene.granted('a');
        const info = await scene.store.inspect(scene.key);
        assert.deepInclude(info, { key: scene.key, fence, mode: 'exclusive' });
        assert.deepEqual(
            info.holders.map(({ holder, permits }) => [holder, permits]),
            [[info.holder, 1]],
        );
        assert.strictEqual(scene.named(info.holder), 'a');
        assert.isAtMost(info.remaining, TTL);
        assert.isAbove(info.remaining, TTL / 2);
    });

    test('tells a chosen holder as it is', async () => {
        await scene.granted('a of job');
        assert.strictEqual((await scene.store.inspect(scene.key)).holder, 'job');
    });

    test('tells for how long the holder has it, where that is known', async () => {
        await scene.granted('a');
        await scene.world.pass(100);
        const { held } = await scene.store.inspect(scene.key);
        if (scene.isQuorum) assert.isUndefined(held);
        else assert.approximately(held ?? NaN, 100 + 500, 520);
    });

    test('tells the waiters in order, and for how long they wait', async () => {
        await scene.granted('a');
        await scene.wait('b');
        await scene.world.pass(100);
        await scene.wait('c of job');
        const { waiters } = await scene.store.inspect(scene.key);
        assert.deepEqual(
            waiters.map(({ holder }) => scene.named(holder)),
            ['b', 'job'],
        );
        const [b, c] = waiters.map(({ waited }) => waited);
        assert.isAtLeast(b ?? NaN, (c ?? NaN) + 90);
    });

    test('changes nothing', async () => {
        await scene.granted('a');
        await scene.wait('b');
        await scene.world.delete(scene.key);
        await scene.store.inspect(scene.key);
        assert.isUndefined(await scene.world.get(scene.key));
    });
}
