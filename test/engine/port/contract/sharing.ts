import { assert } from 'chai';
import { READER } from '../../../../src/engine/port/LockStore';
import type { Granted, LockInfo } from '../../../../src/engine/port/LockStore';
import { SHARED } from '../../../../src/engine/port/protocol';
import { rejection } from '../../../fixtures/rejection';
import { acquireFrom } from '../../../fixtures/asks';
import { TTL } from './Scene';
import type { Scene } from './Scene';

const read = { share: READER };

/** What a store must do for those who share a key. */
export function sharing(scene: Scene): void {
    /** The holders of the key, by their short names. */
    async function holders(): Promise<(string | undefined)[]> {
        return (await scene.store.inspect(scene.key)).holders.map(({ holder }) => scene.named(holder));
    }

    function infoOf(info: LockInfo, { holder }: Granted): LockInfo['holders'][number] {
        return info.holders.find((one) => one.holder === holder) ?? assert.fail(`${holder} is not told.`);
    }

    test('lets readers in together, each with a greater fence', async () => {
        const a = await scene.granted('a', read);
        const b = await scene.granted('b', { ...read, ticket: 0 });
        const c = await scene.granted('c', read, await scene.another());
        assert.isBelow(a.fence, b.fence);
        assert.isBelow(b.fence, c.fence);
        assert.deepEqual(await holders(), ['a', 'b', 'c']);
    });

    test('sent again by a reader is granted again, and counts once', async () => {
        const a = await scene.granted('a', read);
        const again = await scene.granted('a', { ...read, ticket: 0 });
        if (!scene.isQuorum) assert.strictEqual(again.fence, a.fence);
        assert.deepEqual(await holders(), ['a']);
        assert.strictEqual(await scene.release(again), 'released');
        assert.isUndefined(await scene.world.get(scene.key));
    });

    test('keeps readers out while one has the key alone', async () => {
        const a = await scene.granted('a');
        assert.strictEqual(scene.named((await scene.busy('b', read)).holder), 'a');
        await scene.wait('b', read);
        await scene.release(a);
        await scene.granted('b', { ...read, ticket: 0 });
    });

    test('keeps out a writer until the last reader has released it', async () => {
        const a = await scene.granted('a', read);
        const b = await scene.granted('b', read);
        const busy = await scene.busy('w');
        assert.deepInclude(busy, { holder: SHARED, foreign: false });
        assert.isAbove(busy.remaining, TTL / 2);
        await scene.wait('w');
        assert.strictEqual(await scene.release(b), 'released');
        assert.strictEqual((await scene.wait('w')).rank, 0);
        assert.strictEqual(await scene.release(a), 'released');
        assert.strictEqual(await scene.holder(), 'w');
    });

    test('lets no reader pass one that waits to have it alone, whether it tries or waits', async () => {
        await scene.granted('a', read);
        await scene.wait('w');
        await scene.busy('b', read);
        assert.strictEqual((await scene.wait('c', read)).rank, 1);
        assert.deepEqual(await holders(), ['a']);
        assert.deepEqual(await scene.line(), ['w', 'c']);
    });

    test('lets in readers that wait side by side, in one step, and none behind the next one that wants it alone', async () => {
        const w = await scene.granted('w');
        for (const name of ['a', 'b', 'c']) await scene.wait(name, read);
        await scene.wait('v');
        await scene.wait('d', read);
        await scene.release(w);
        const claims: Granted[] = [];
        for (const name of ['a', 'b', 'c']) claims.push(await scene.granted(name, { ...read, ticket: 0 }));
        assert.deepEqual(await scene.line(), ['v', 'd']);
        for (const claim of claims) assert.strictEqual(await scene.release(claim), 'released');
        const v = await scene.granted('v', { ticket: 0 });
        await scene.release(v);
        await scene.granted('d', { ...read, ticket: 0 });
    });

    test('tells each reader of its own grant', async () => {
        if (!scene.store.wakes) return;
        const w = await scene.granted('w');
        for (const name of ['a', 'b']) await scene.wait(name, read);
        await scene.release(w);
        const [a, b] = [await scene.grantOf('a'), await scene.grantOf('b')];
        if (scene.isQuorum) return;
        assert.isAbove(a.fence, w.fence);
        assert.isAbove(b.fence, a.fence);
    });

    test('lets readers in who waited behind one that gave up', async () => {
        await scene.granted('a', read);
        await scene.wait('w');
        await scene.wait('b', read);
        await scene.giveUp('w');
        await scene.granted('b', { ...read, ticket: 0 });
        assert.sameMembers(await holders(), ['a', 'b']);
    });

    test('keeps out a holder that is no user of this library, and is kept out by one', async () => {
        await scene.world.set(scene.key, 'stranger', TTL);
        assert.deepInclude(await scene.busy('a', read), { holder: 'stranger', foreign: true });
        await scene.world.delete(scene.key);
        const a = await scene.granted('a', read);
        assert.strictEqual(await scene.world.get(scene.key), SHARED);
        await scene.release(a);
        assert.isUndefined(await scene.world.get(scene.key));
    });

    test('loses its readers when another program writes the key', async () => {
        const a = await scene.granted('a', read);
        await scene.world.set(scene.key, 'stranger', TTL);
        assert.deepEqual(await scene.store.renew(scene.key, a.holder, TTL, true), { kind: 'gone' });
        assert.strictEqual(await scene.release(a), 'gone');
        assert.strictEqual(await scene.world.get(scene.key), 'stranger');
    });

    test('counts nobody from before the key was deleted', async () => {
        const a = await scene.granted('a', read);
        await scene.world.delete(scene.key);
        await scene.granted('b', read);
        assert.deepEqual(await holders(), ['b']);
        assert.deepEqual(await scene.store.renew(scene.key, a.holder, TTL, true), { kind: 'gone' });
    });

    test('renews each reader by itself', async () => {
        const a = await scene.granted('a', { ...read, ttl: 400 });
        const b = await scene.granted('b', { ...read, ttl: 400 });
        assert.strictEqual((await scene.store.renew(scene.key, b.holder, TTL, true)).kind, 'renewed');
        const info = await scene.store.inspect(scene.key);
        assert.isAtMost(infoOf(info, a).remaining, 400);
        assert.isAbove(infoOf(info, b).remaining, TTL / 2);
        await scene.world.pass(450);
        assert.deepEqual(await scene.store.renew(scene.key, a.holder, TTL, true), { kind: 'gone' });
        assert.deepEqual(await holders(), ['b']);
        assert.isAbove((await scene.busy('w')).remaining, TTL / 2);
    });

    test('is free when the last lease ran out', async () => {
        await scene.granted('a', { ...read, ttl: 100 });
        await scene.granted('b', { ...read, ttl: 50 });
        await scene.world.pass(150);
        await scene.granted('w');
    });

    test('waits no longer than for those who are left', async () => {
        const a = await scene.granted('a', read);
        await scene.granted('b', { ...read, ttl: 300 });
        await scene.release(a);
        assert.isAtMost((await scene.busy('w')).remaining, 300);
        await scene.world.pass(350);
        await scene.granted('w');
    });

    test('refuses what arrives later of a reader that was given up', async () => {
        await scene.giveUp('a', true);
        await rejection(acquireFrom(scene.store, scene.request('a', { ...read, ticket: 0 })), 'LOCK_ABORTED');
        await rejection(acquireFrom(scene.store, scene.request('a', read)), 'LOCK_ABORTED');
        assert.isUndefined(await scene.world.get(scene.key));
    });

    test('takes back what a reader that is given up has been granted', async () => {
        await scene.granted('a', read);
        await scene.granted('b', read);
        assert.strictEqual(await scene.giveUp('b', true), 'released');
        assert.deepEqual(await holders(), ['a']);
    });

    test('is renewed and released by the holder alone, whatever its mode', async () => {
        const a = await scene.granted('a', read);
        assert.strictEqual((await scene.store.renew(scene.key, a.holder, TTL)).kind, 'renewed');
        assert.strictEqual(await scene.release(a), 'released');
        assert.strictEqual(await scene.release(a), 'gone');
        assert.deepEqual(await scene.store.renew(scene.key, a.holder, TTL), { kind: 'gone' });
    });

    test('grants an owner its share again', async () => {
        if (scene.isQuorum) return;
        const a = await scene.granted('a of job', { ...read, ttl: 5000 });
        assert.strictEqual(a.holder, 'job');
        assert.strictEqual((await scene.granted('b of job', read)).holder, 'job');
        assert.deepEqual(await holders(), ['job']);
        assert.strictEqual(await scene.release(a), 'released');
        assert.isUndefined(await scene.world.get(scene.key));
    });

    test('tells all holders, each with what there is to tell', async () => {
        const a = await scene.granted('a', read);
        const b = await scene.granted('b', { ...read, ttl: TTL / 2 });
        const info = await scene.store.inspect(scene.key);
        assert.deepInclude(info, { mode: 'shared', holder: a.holder, fence: a.fence });
        assert.deepInclude(infoOf(info, b), { fence: b.fence, permits: 1 });
        assert.isAtMost(infoOf(info, b).remaining, TTL / 2);
        assert.isAbove(infoOf(info, a).remaining, TTL / 2);
        const found = [];
        for await (const one of scene.store.list(scene.key)) found.push(one.holders.length);
        assert.deepEqual(found, [2]);
        await scene.release(a);
        await scene.release(b);
        const w = await scene.granted('w');
        const alone = await scene.store.inspect(scene.key);
        assert.deepInclude(alone, { mode: 'exclusive', holder: w.holder });
        assert.lengthOf(alone.holders, 1);
    });

    test('tells of each waiter how it wants the key', async () => {
        await scene.granted('a', read);
        await scene.wait('w');
        await scene.wait('b', read);
        const { waiters } = await scene.store.inspect(scene.key);
        assert.deepEqual(
            waiters.map(({ holder, limit, mode, permits }) => [scene.named(holder), mode, permits, limit]),
            [
                ['w', 'exclusive', 1, undefined],
                ['b', 'shared', 1, undefined],
            ],
        );
    });
}
