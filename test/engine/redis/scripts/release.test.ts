import { randomUUID } from 'node:crypto';
import { assert } from 'chai';
import { CLAIM_WINDOW, QUEUE_LIFE, WAITER_LEASE } from '../../../../src/engine/port/protocol';
import { holderOf, newId } from '../../../../src/engine/port/holder';
import { releaseScript } from '../../../../src/engine/redis/scripts/release';
import { sharedServer } from '../../../fixtures/sharedServer';
import { ScriptScene } from './ScriptScene';

suite('release.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('deletes the key of its holder, and leaves nothing but the clock', async () => {
        const { holder } = await scene.held();
        assert.strictEqual(await scene.release(holder), 'released');
        assert.deepEqual(await scene.left(), []);
    });

    test('compares the whole holder', async () => {
        const { holder, id } = await scene.held();
        for (const other of [id, `${holder}1`, holder.slice(0, -1), holderOf(id, 1)]) {
            assert.strictEqual(await scene.release(other), 'gone');
        }
        assert.strictEqual(await scene.client.get(scene.key), holder);
    });

    test('tells that nobody has the key', async () => {
        assert.strictEqual(await scene.release('mine'), 'gone');
    });

    test('changes nothing while somebody waits', async () => {
        const { holder } = await scene.held();
        await scene.wait(newId());
        assert.strictEqual(await scene.release(holder), 'queued');
        assert.strictEqual(await scene.client.get(scene.key), holder);
    });

    test('answers each item of a list by itself', async () => {
        const { holder } = await scene.held();
        const list = `list:${scene.key}`;
        await scene.client.lpush(list, 'no lock');
        const answers = await releaseScript.run(scene.client, [
            { keys: [list, `${list}:q`], args: [holder] },
            { keys: [scene.key, scene.queue], args: [holder] },
        ]);
        assert.match(answers[0] instanceof Error ? answers[0].message : '', /^WRONGTYPE/);
        assert.strictEqual(answers[1], 'released');
    });
});

suite('release_queued.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('grants to the first waiter for a claim window, and tells it and the next one', async () => {
        const { fence, holder } = await scene.held();
        const [id, next] = [newId(), newId()];
        await scene.wait(id);
        await scene.wait(next);
        assert.deepEqual(await scene.giveBack({ holder }), { released: true, window: CLAIM_WINDOW, waiting: 0 });
        const [first, grant] = await scene.messages(2);
        assert.deepEqual(first, { kind: 'first', key: scene.key, id: next, taken: CLAIM_WINDOW });
        if (grant?.kind !== 'grant') assert.fail('It was not told.');
        assert.deepInclude(grant, { key: scene.key, id, ttl: CLAIM_WINDOW, spare: 0 });
        assert.isAbove(grant.fence, fence);
        assert.strictEqual(await scene.client.get(scene.key), holderOf(id, grant.fence));
        const left = await scene.client.pttl(scene.key);
        assert.isTrue(left > 0 && left <= CLAIM_WINDOW, String(left));
        assert.strictEqual((await scene.inspect()).waiters.length, 1);
    });

    test('grants for less than a claim window when the waiter asked for less', async () => {
        const { holder } = await scene.held();
        await scene.wait(newId(), { ttl: 500 });
        assert.deepEqual(await scene.giveBack({ holder }), { released: true, window: 500, waiting: 0 });
    });

    test('grants under the holder that the waiter has chosen', async () => {
        const { holder } = await scene.held();
        await scene.wait(newId('mine'));
        await scene.giveBack({ holder });
        assert.strictEqual(await scene.client.get(scene.key), 'mine');
    });

    test('passes over waiters whose lease ran out, and those whose channel nobody listens to', async () => {
        const { holder } = await scene.held();
        const [dead, deaf, id] = [newId(), newId(), newId()];
        await scene.wait(dead);
        await scene.wait(deaf, { on: `nobody:${randomUUID()}` });
        await scene.wait(id);
        await scene.die(dead);
        await scene.giveBack({ holder });
        assert.propertyVal((await scene.messages(1)).at(-1), 'id', id);
        assert.isTrue((await scene.client.get(scene.key))?.startsWith(id));
    });

    test('keeps a waiter that listened to another start of the server: it may hear again', async () => {
        const { holder } = await scene.held();
        const id = newId();
        await scene.wait(id, { on: `redis-lock:@${'0'.repeat(12)}:${randomUUID()}` });
        await scene.giveBack({ holder });
        assert.isTrue((await scene.client.get(scene.key))?.startsWith(id));
    });

    test('grants to a waiter that polls, without a message', async () => {
        const { holder } = await scene.held();
        const id = newId();
        await scene.wait(id, { on: '' });
        await scene.giveBack({ holder });
        assert.isTrue((await scene.client.get(scene.key))?.startsWith(id));
    });

    test('deletes the key when all who waited are dead', async () => {
        const { holder } = await scene.held();
        await scene.wait(newId(), { on: `nobody:${randomUUID()}` });
        assert.deepEqual(await scene.giveBack({ holder }), { released: true, window: 0, waiting: 0 });
        assert.deepEqual(await scene.left(), []);
    });

    test('tells another than the holder that it does not have the key', async () => {
        const { holder } = await scene.held();
        assert.deepEqual(await scene.giveBack({ holder: `${holder}1` }), { released: false, window: 0, waiting: 0 });
        assert.strictEqual(await scene.client.get(scene.key), holder);
    });

    test('hands on a key that nobody has, and none that somebody has', async () => {
        const { holder } = await scene.held();
        const id = newId();
        await scene.wait(id);
        assert.deepEqual(await scene.giveBack({}), { released: false, window: 0, waiting: 0 });
        assert.strictEqual(await scene.client.get(scene.key), holder);
        await scene.client.del(scene.key);
        assert.deepEqual(await scene.giveBack({}), { released: false, window: CLAIM_WINDOW, waiting: 0 });
        assert.isTrue((await scene.client.get(scene.key))?.startsWith(id));
    });

    test('hands on nothing during a pause', async () => {
        const { holder } = await scene.held();
        await scene.wait(newId());
        await scene.giveBack({ holder, pause: '5000' });
        assert.deepEqual(await scene.giveBack({}), { released: false, window: 0, waiting: 0 });
    });

    test('makes no pause when nobody waits', async () => {
        const { holder } = await scene.held();
        assert.deepEqual(await scene.giveBack({ holder, pause: '5000' }), { released: true, window: 0, waiting: 0 });
        assert.deepEqual(await scene.left(), []);
    });

    suite('of an acquisition that is given up', () => {
        test('leaves the line, and tells the next one that it is the first', async () => {
            await scene.held();
            const [id, next] = [newId(), newId()];
            await scene.wait(id);
            await scene.wait(next);
            assert.deepEqual(await scene.giveBack({ id }), { released: false, window: 0, waiting: 0 });
            assert.deepInclude((await scene.messages(1))[0], { kind: 'first', id: next });
            assert.deepEqual(
                (await scene.inspect()).waiters.map((one) => one.id),
                [next],
            );
        });

        test('gives back the key that it was granted', async () => {
            const { id } = await scene.held();
            assert.deepEqual(await scene.giveBack({ id }), { released: true, window: 0, waiting: 0 });
            assert.deepEqual(await scene.left(), []);
        });

        test('gives back nothing of another acquisition', async () => {
            const { holder, id } = await scene.held();
            await scene.giveBack({ id: `${id}2:` });
            await scene.giveBack({ id: `${id.slice(0, -2)}:` });
            assert.strictEqual(await scene.client.get(scene.key), holder);
        });

        test('leaves a key alone that is held under a chosen holder: it may be another lease of its owner', async () => {
            await scene.ask(newId('mine'), 0);
            assert.deepEqual(await scene.giveBack({ id: newId('mine') }), { released: false, window: 0, waiting: 0 });
            assert.strictEqual(await scene.client.get(scene.key), 'mine');
        });

        test('grants a key that came free unnoticed', async () => {
            await scene.held();
            const [id, next] = [newId(), newId()];
            await scene.wait(id);
            await scene.wait(next);
            await scene.client.del(scene.key);
            assert.deepEqual(await scene.giveBack({ id }), { released: false, window: CLAIM_WINDOW, waiting: 0 });
            assert.isTrue((await scene.client.get(scene.key))?.startsWith(next));
        });

        test('is buried in its place, for as long as the queue lives', async () => {
            await scene.held();
            const id = newId();
            await scene.wait(id);
            const before = await scene.micros();
            await scene.giveBack({ id, underWay: true });
            const until = -Number(await scene.client.zscore(scene.queue, id));
            assert.isAtLeast(until, before + 1000 * QUEUE_LIFE);
            assert.isAbove(await scene.client.pttl(scene.queue), WAITER_LEASE);
            assert.deepEqual((await scene.inspect()).waiters, []);
        });

        test('is buried with the release of its key, when an attempt of it may still arrive', async () => {
            const { holder, id } = await scene.held();
            assert.deepEqual(await scene.giveBack({ holder, id, underWay: true }), {
                released: true,
                window: 0,
                waiting: 0,
            });
            assert.deepEqual(await scene.ask(id, 0), { kind: 'refused' });
        });

        test('was released, and its release comes once more: its owner keeps what it has again', async () => {
            const [id, next] = [newId('mine'), newId('mine')];
            await scene.ask(id, 0);
            assert.isTrue((await scene.giveBack({ holder: 'mine', id })).released);
            await scene.ask(id, 0);
            assert.isTrue((await scene.giveBack({ holder: 'mine', id, underWay: true })).released);
            await scene.ask(next, 0);
            for (const underWay of [false, true]) {
                const late = await scene.giveBack({ holder: 'mine', id, underWay });
                assert.deepEqual(late, { released: false, window: 0, waiting: 0 });
            }
            assert.strictEqual(await scene.client.get(scene.key), 'mine');
            assert.deepEqual(await scene.ask(id, 0), { kind: 'refused' });
            assert.isTrue((await scene.giveBack({ holder: 'mine', id: next })).released);
        });

        test('sweeps tombstones that are over, a bounded number at a time', async () => {
            for (let at = 1; at <= 100; at++) await scene.client.zadd(scene.queue, -at, `old:${at}:`);
            await scene.giveBack({ id: newId(), underWay: true });
            assert.strictEqual(await scene.client.zcard(scene.queue), 37);
            await scene.giveBack({ id: newId(), underWay: true });
            assert.strictEqual(await scene.client.zcard(scene.queue), 2);
        });
    });
});
