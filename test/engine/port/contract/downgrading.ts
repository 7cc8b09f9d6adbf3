import { assert } from 'chai';
import { READER } from '../../../../src/engine/port/LockStore';
import type { Granted, LockInfo } from '../../../../src/engine/port/LockStore';
import { SHARED } from '../../../../src/engine/port/protocol';
import { TTL } from './Scene';
import type { Scene } from './Scene';

const read = { share: READER };

/** What downgrade must do. */
export function downgrading(scene: Scene): void {
    /** The holders of the key, by their short names. */
    async function holders(): Promise<(string | undefined)[]> {
        return (await scene.store.inspect(scene.key)).holders.map(({ holder }) => scene.named(holder));
    }

    function infoOf(info: LockInfo, { holder }: Granted): LockInfo['holders'][number] {
        return info.holders.find((one) => one.holder === holder) ?? assert.fail(`${holder} is not told.`);
    }

    test('keeps the holder and the fence, and lets readers in', async () => {
        const w = await scene.granted('w', { ttl: 5000 });
        const answer = await scene.store.downgrade(scene.key, w.holder, TTL);
        assert.strictEqual(answer.kind, 'renewed');
        assert.strictEqual(await scene.world.get(scene.key), SHARED);
        const info = await scene.store.inspect(scene.key);
        assert.deepInclude(infoOf(info, w), { fence: w.fence });
        assert.isAbove(infoOf(info, w).remaining, TTL / 2);
        await scene.granted('a', read);
        assert.strictEqual(await scene.release(w), 'released');
        assert.deepEqual(await holders(), ['a']);
    });

    test('sent again renews', async () => {
        const w = await scene.granted('w');
        await scene.store.downgrade(scene.key, w.holder, TTL);
        assert.strictEqual((await scene.store.downgrade(scene.key, w.holder, 2 * TTL)).kind, 'renewed');
        assert.isAbove((await scene.store.inspect(scene.key)).remaining, TTL);
        assert.lengthOf(await holders(), 1);
    });

    test('lets in those who wait in front of the line, and nobody who wants it alone', async () => {
        const w = await scene.granted('w');
        await scene.wait('a', read);
        await scene.wait('b', read);
        await scene.wait('v');
        await scene.wait('c', read);
        await scene.store.downgrade(scene.key, w.holder, TTL);
        await scene.granted('a', { ...read, ticket: 0 });
        await scene.granted('b', { ...read, ticket: 0 });
        assert.deepEqual(await scene.line(), ['v', 'c']);
        assert.sameMembers(await holders(), ['w', 'a', 'b']);
    });

    test('does nothing for one that does not have the key', async () => {
        const w = await scene.granted('w');
        await scene.release(w);
        assert.deepEqual(await scene.store.downgrade(scene.key, w.holder, TTL), { kind: 'gone' });
        assert.isUndefined(await scene.world.get(scene.key));
        const v = await scene.granted('v');
        assert.deepEqual(await scene.store.downgrade(scene.key, w.holder, TTL), { kind: 'gone' });
        assert.strictEqual(await scene.world.get(scene.key), await scene.value());
        await scene.release(v);
    });

    test('makes a reader of an owner', async () => {
        const w = await scene.granted('w of job');
        assert.strictEqual((await scene.store.downgrade(scene.key, w.holder, TTL)).kind, 'renewed');
        await scene.granted('a', read);
        assert.include(await holders(), 'job');
        assert.strictEqual(await scene.release(w), 'released');
        assert.deepEqual(await holders(), ['a']);
    });
}
