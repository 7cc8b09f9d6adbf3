import { assert } from 'chai';
import { acquireFrom } from '../../../fixtures/asks';
import { rejection } from '../../../fixtures/rejection';
import { TTL } from './Scene';
import type { Scene } from './Scene';

/** What giving up an acquisition must do. */
export function givingUp(scene: Scene): void {
    test('leaves the line', async () => {
        await scene.granted('a');
        await scene.wait('b');
        await scene.wait('c');
        assert.strictEqual(await scene.giveUp('b'), 'gone');
        assert.deepEqual(await scene.line(), ['c']);
        assert.strictEqual(await scene.holder(), 'a');
    });

    test('passes on a key that was granted meanwhile', async () => {
        const a = await scene.granted('a');
        await scene.wait('b');
        await scene.wait('c');
        await scene.release(a);
        assert.strictEqual(await scene.giveUp('b'), 'released');
        assert.strictEqual(await scene.holder(), 'c');
    });

    test('refuses what arrives later of an attempt that is under way', async () => {
        await scene.giveUp('a', true);
        await rejection(acquireFrom(scene.store, scene.request('a')), 'LOCK_ABORTED');
        await rejection(acquireFrom(scene.store, scene.request('a', { ticket: 0 })), 'LOCK_ABORTED');
        assert.isUndefined(await scene.world.get(scene.key));
        assert.isEmpty(await scene.line());
    });

    test('refuses what arrives later, also while somebody has the key and others wait', async () => {
        await scene.granted('a');
        await scene.wait('b');
        await scene.wait('c');
        await scene.giveUp('b', true);
        await rejection(acquireFrom(scene.store, scene.request('b', { ticket: 0 })), 'LOCK_ABORTED');
        assert.deepEqual(await scene.line(), ['c']);
    });

    test('refuses only that acquisition', async () => {
        await scene.giveUp('first of job', true);
        await scene.giveUp('other', true);
        await scene.granted('second of job');
    });

    test('of nothing under way refuses nothing', async () => {
        await scene.giveUp('a');
        await scene.granted('a');
    });

    test('passes on a key that came free unnoticed', async () => {
        await scene.granted('a');
        await scene.wait('b');
        await scene.wait('c');
        await scene.world.delete(scene.key);
        await scene.giveUp('b');
        assert.strictEqual(await scene.holder(), 'c');
    });

    test('keeps a key that is held under a chosen holder: the owner may have it elsewhere', async () => {
        await scene.granted('first of job');
        assert.strictEqual(await scene.giveUp('second of job', true), 'gone');
        assert.strictEqual(await scene.giveUp('first of job'), 'gone');
        assert.strictEqual(await scene.value(), 'job');
    });

    test('of many leaves the others in line', async () => {
        await scene.granted('a');
        await scene.wait('b');
        const names = Array.from({ length: 40 }, (_, at) => `gone ${at};`);
        for (const name of names) await scene.wait(name);
        await Promise.all(names.map((name) => scene.giveUp(name, true)));
        await scene.wait('c');
        assert.deepEqual(await scene.line(), ['b', 'c']);
        assert.strictEqual((await scene.wait('c')).rank, 1);
    });
}

/** What giving up must do where waiters are woken. */
export function tellingTheNext(scene: Scene): void {
    test('by the first in line tells the next one, with the time that is left', async () => {
        await scene.granted('a');
        await scene.wait('b');
        await scene.wait('c');
        await scene.giveUp('b');
        const first = await scene.firstOf('c');
        assert.isAbove(first.time, TTL / 2);
        assert.isAtMost(first.time, TTL);
    });

    test('by any other tells nobody', async () => {
        await scene.granted('a');
        for (const name of ['b', 'c', 'd']) await scene.wait(name);
        await scene.giveUp('c');
        await scene.giveUp('b');
        await scene.firstOf('d');
        assert.lengthOf(scene.told, 1);
    });
}
