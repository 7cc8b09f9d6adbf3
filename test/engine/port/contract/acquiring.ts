import { assert } from 'chai';
import { readHolder } from '../../../../src/engine/port/holder';
import { acquireFrom } from '../../../fixtures/asks';
import { TTL } from './Scene';
import type { Scene } from './Scene';

/** What acquire must do. */
export function acquiring(scene: Scene): void {
    test('grants a key that is free, and tells who has it', async () => {
        const { fence, holder } = await scene.granted('a');
        assert.isAbove(fence, 0);
        assert.isTrue(Number.isSafeInteger(fence));
        assert.strictEqual(await scene.holder(), 'a');
        assert.deepInclude(readHolder(holder), { pid: process.pid, fence });
    });

    test('counts the lease from before the request, less drift', async () => {
        const before = scene.world.clock.now();
        const { deadline } = await scene.granted('a');
        const after = scene.world.clock.now();
        assert.isAtLeast(deadline, before + 0.99 * TTL - 2);
        assert.isAtMost(deadline, after + 0.99 * TTL - 2);
    });

    test('sent again is granted again, with the same fence', async () => {
        const { fence, holder } = await scene.granted('a');
        const again = await scene.granted('a');
        const waiting = await scene.granted('a', { ticket: 0 });
        if (scene.isQuorum) return;
        assert.deepInclude(again, { fence, holder });
        assert.deepInclude(waiting, { fence, holder });
    });

    test('sent again lengthens the lease, and never shortens it', async () => {
        await scene.granted('a', { ttl: 5000 });
        await scene.granted('a', { ttl: 50_000 });
        assert.isAbove((await scene.store.inspect(scene.key)).remaining, 40_000);
        await scene.granted('a', { ttl: 5000 });
        assert.isAbove((await scene.store.inspect(scene.key)).remaining, 40_000);
    });

    test('stores a chosen holder as it is', async () => {
        const { holder } = await scene.granted('a of job');
        assert.strictEqual(holder, 'job');
        assert.strictEqual(await scene.value(), 'job');
    });

    test('of the owner of the key is granted: a chosen holder is one owner', async () => {
        await scene.granted('a of job', { ttl: 5000 });
        assert.strictEqual((await scene.granted('b of job')).holder, 'job');
        assert.isAbove((await scene.store.inspect(scene.key)).remaining, 10_000);
    });

    test('is not granted to an owner whose name begins like the holder', async () => {
        await scene.granted('a of job:1');
        assert.strictEqual(await scene.seen(await scene.busy('b of job:')), 'job:1');
        assert.strictEqual(await scene.seen(await scene.busy('c of job:11')), 'job:1');
    });

    test('tells who has the key, and for how long', async () => {
        await scene.granted('a');
        const sentAt = scene.world.clock.now();
        const answer = await scene.busy('b');
        assert.isFalse(answer.foreign);
        assert.strictEqual(await scene.seen(answer), 'a');
        assert.isAtMost(answer.remaining, TTL);
        assert.isAbove(answer.remaining, TTL / 2);
        assert.isAtLeast(answer.sentAt, sentAt);
        assert.isAtMost(answer.sentAt, scene.world.clock.now());
    });

    test('that does not wait leaves no trace', async () => {
        await scene.granted('a');
        await scene.busy('b');
        assert.isEmpty(await scene.line());
    });

    test('grants one of many that come at once, through several stores', async () => {
        const processes = [scene.store, await scene.another(), await scene.another()];
        const answers = await Promise.all(
            Array.from({ length: 60 }, (_, at) =>
                acquireFrom(processes[at % 3] ?? scene.store, scene.request(`holder${at}`)),
            ),
        );
        assert.lengthOf(
            answers.filter(({ kind }) => kind === 'granted'),
            1,
        );
    });

    test('grants many keys at once, each to its own holder', async () => {
        const keys = Array.from({ length: 100 }, (_, at) => `${scene.key}:${at}`);
        await Promise.all(keys.map((key, at) => scene.granted(`holder ${at};`, { key })));
        assert.deepEqual(
            await Promise.all(keys.map((key) => scene.holder(key))),
            keys.map((_, at) => `holder ${at};`),
        );
    });

    test('grants a key whose lease ran out, with a greater fence', async () => {
        const { fence } = await scene.granted('a', { ttl: 50 });
        await scene.world.pass(80);
        assert.isAbove((await scene.granted('b')).fence, fence);
    });

    test('gives rising fences, in whatever way the key came free', async () => {
        const fences: number[] = [];
        for (let count = 0; count < 5; count++) {
            const granted = await scene.granted(`released${count}`);
            fences.push(granted.fence);
            await scene.release(granted);
            fences.push((await scene.granted(`deleted${count}`)).fence);
            await scene.world.delete(scene.key);
        }
        assert.deepEqual(
            fences,
            [...new Set(fences)].sort((a, b) => a - b),
        );
    });
}
