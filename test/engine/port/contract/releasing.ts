import { assert } from 'chai';
import { promised } from '../../../../src/engine/port/LockStore';
import type { ReleaseAnswer } from '../../../../src/engine/port/LockStore';
import { CLAIM_WINDOW } from '../../../../src/engine/port/protocol';
import { rejection } from '../../../fixtures/rejection';
import { acquireFrom } from '../../../fixtures/asks';
import type { Scene } from './Scene';

/** What release must do. */
export function releasing(scene: Scene): void {
    test('frees the key', async () => {
        const a = await scene.granted('a');
        assert.strictEqual(await scene.release(a), 'released');
        assert.isUndefined(await scene.world.get(scene.key));
    });

    test('sent again does nothing', async () => {
        const a = await scene.granted('a');
        await scene.release(a);
        assert.strictEqual(await scene.release(a), 'gone');
        await scene.granted('b');
        assert.strictEqual(await scene.release(a), 'gone');
        assert.strictEqual(await scene.holder(), 'b');
    });

    test('of a chosen holder frees its key', async () => {
        const a = await scene.granted('a of job');
        assert.strictEqual(await scene.release(a), 'released');
        assert.isUndefined(await scene.world.get(scene.key));
    });

    test('by anybody else does nothing', async () => {
        const a = await scene.granted('a');
        const holder = scene.comparesFences ? a.holder.slice(0, -1) : a.holder.slice(1);
        assert.strictEqual(await scene.release({ holder }), 'gone');
        await scene.wait('b');
        assert.strictEqual(await scene.release({ holder }), 'gone');
        assert.strictEqual(await scene.holder(), 'a');
    });

    test('of a key that nobody has does nothing', async () => {
        assert.strictEqual(await scene.release({ holder: 'a' }), 'gone');
        assert.isUndefined(await scene.world.get(scene.key));
    });

    test('after the lease ran out leaves the key to the one that has it now', async () => {
        const a = await scene.granted('a', { ttl: 50 });
        await scene.world.pass(80);
        await scene.granted('b');
        assert.strictEqual(await scene.release(a), 'gone');
        assert.strictEqual(await scene.holder(), 'b');
    });

    test('makes the first waiter the holder in the same step, for a claim window', async () => {
        const a = await scene.granted('a');
        await scene.wait('b');
        await scene.wait('c');
        assert.strictEqual(await scene.release(a), 'released');
        assert.strictEqual(await scene.holder(), 'b');
        assert.isAtMost((await scene.store.inspect(scene.key)).remaining, CLAIM_WINDOW);
        assert.deepEqual(await scene.line(), ['c']);
    });

    test('gives the first waiter no more than it asked for', async () => {
        const a = await scene.granted('a');
        await scene.wait('b', { ttl: 500 });
        await scene.release(a);
        assert.isAtMost((await scene.store.inspect(scene.key)).remaining, 500);
    });

    test('is followed by the claim of the waiter, with the same fence, for all of its ttl', async () => {
        const a = await scene.granted('a');
        await scene.wait('b');
        await scene.release(a);
        const claim = await scene.granted('b', { ticket: 0 });
        assert.isAbove(claim.fence, a.fence);
        const info = await scene.store.inspect(scene.key);
        assert.strictEqual(info.fence, claim.fence);
        assert.isAbove(info.remaining, CLAIM_WINDOW);
    });

    test('serves the waiters of several stores in order', async () => {
        const other = await scene.another();
        const order = ['w1', 'w2', 'w3', 'w4'];
        const storeOf = (name: string): typeof other => (order.indexOf(name) % 2 === 0 ? scene.store : other);
        let holder = await scene.granted('w0');
        for (const name of order) await scene.wait(name, {}, storeOf(name));
        for (const name of order) {
            await scene.release(holder);
            assert.strictEqual(await scene.holder(), name);
            holder = await scene.granted(name, { ticket: 0 }, storeOf(name));
        }
        await scene.release(holder);
        assert.isUndefined(await scene.world.get(scene.key));
    });

    test('that buries its acquisition refuses what arrives of it later', async () => {
        const a = await scene.granted('a');
        assert.strictEqual(await scene.release(a, 'a'), 'released');
        await rejection(acquireFrom(scene.store, scene.request('a')), 'LOCK_ABORTED');
        await rejection(acquireFrom(scene.store, scene.request('a', { ticket: 0 })), 'LOCK_ABORTED');
        assert.isUndefined(await scene.world.get(scene.key));
    });

    test('of an owner that comes late, when it was done and buried, leaves the owner its next lease', async () => {
        const a = await scene.granted('a of job');
        const release = { key: scene.key, holder: a.holder, id: scene.idOf('a of job') };
        const send = (buried?: string): Promise<ReleaseAnswer> =>
            promised((callback) => scene.store.release({ ...release, buried }, callback));
        assert.strictEqual(await send(release.id), 'released');
        await scene.granted('b of job', { ticket: 0 });
        assert.strictEqual(await send(), 'gone');
        assert.strictEqual(await send(release.id), 'gone');
        assert.strictEqual((await scene.store.inspect(scene.key)).holder, 'job');
        const id = scene.idOf('b of job');
        const last = await promised<ReleaseAnswer>((callback) => scene.store.release({ ...release, id }, callback));
        assert.strictEqual(last, 'released');
    });

    test('that buries its acquisition hands the key on, and refuses no other of its owner', async () => {
        const a = await scene.granted('a of job');
        await scene.wait('b');
        assert.strictEqual(await scene.release(a, 'a of job'), 'released');
        const b = await scene.granted('b', { ticket: 0 });
        await scene.wait('c of job');
        await rejection(acquireFrom(scene.store, scene.request('a of job', { ticket: 0 })), 'LOCK_ABORTED');
        await scene.release(b);
        assert.strictEqual(await scene.value(), 'job');
    });
}

/** What release must do where waiters are woken. */
export function telling(scene: Scene): void {
    test('tells the waiter of its grant, with the fence, and the next one that it is the first', async () => {
        const a = await scene.granted('a');
        await scene.wait('b');
        await scene.wait('c');
        await scene.release(a);
        const grant = await scene.grantOf('b');
        assert.strictEqual(grant.key, scene.key);
        const { fence } = await scene.granted('b', { ticket: 0 });
        assert.isAbove(fence, a.fence);
        if (!scene.isQuorum) assert.deepInclude(grant, { fence, time: CLAIM_WINDOW });
        const first = await scene.firstOf('c');
        assert.strictEqual(first.key, scene.key);
        assert.isAtMost(first.time, CLAIM_WINDOW);
    });

    test('tells nobody but the first waiter of the grant', async () => {
        const a = await scene.granted('a');
        for (const name of ['b', 'c', 'd']) await scene.wait(name);
        await scene.release(a);
        await scene.grantOf('b');
        await scene.firstOf('c');
        assert.lengthOf(scene.told, 2);
    });

    test('passes over waiters whose process is gone', async () => {
        const gone = await scene.another();
        const a = await scene.granted('a');
        for (const name of ['b', 'c', 'd']) await scene.wait(name, {}, gone);
        await scene.wait('e');
        await gone.close();
        // The server may take a moment to see it.
        await scene.world.pass(500);
        await scene.release(a);
        assert.strictEqual(await scene.holder(), 'e');
        await scene.grantOf('e');
    });
}
