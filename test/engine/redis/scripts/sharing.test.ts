import { assert } from 'chai';
import { holderOf, newId } from '../../../../src/engine/port/holder';
import { READER } from '../../../../src/engine/port/LockStore';
import { SHARED } from '../../../../src/engine/port/protocol';
import { acquireSharedScript } from '../../../../src/engine/redis/scripts/acquire';
import { sharedServer } from '../../../fixtures/sharedServer';
import { ScriptScene, TTL } from './ScriptScene';

const permits = (count: number, limit: number): { permits: number; limit: number } => ({ permits: count, limit });

suite('acquire_shared.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('shares a free key: it holds a mark, and ends with the lease', async () => {
        const { fence, holder, id } = await scene.shared(READER);
        assert.strictEqual(await scene.client.get(scene.key), SHARED);
        await scene.endsWith(id);
        const { holders } = await scene.inspect();
        assert.lengthOf(holders, 1);
        assert.deepInclude(holders[0], { holder, fence, permits: 1 });
        assert.deepEqual(await scene.left(), [scene.key, scene.sharers]);
    });

    test('gives each a fence of its own, rising over both kinds', async () => {
        const held = await scene.held();
        await scene.release(held.holder);
        const [one, other] = [await scene.shared(READER), await scene.shared(READER)];
        await scene.leave(one.holder);
        await scene.leave(other.holder);
        const last = await scene.held();
        const fences = [held, one, other, last].map(({ fence }) => fence);
        assert.deepEqual(
            fences,
            [...new Set(fences)].sort((a, b) => a - b),
        );
    });

    test('lets the key end with the longest lease, in whatever order they came', async () => {
        await scene.shared(READER, 5000);
        const longest = await scene.shared(READER, 60_000);
        await scene.endsWith(longest.id);
        await scene.shared(READER, 1000);
        await scene.endsWith(longest.id);
    });

    test('answers each item of a list by itself, also many of one key', async () => {
        const list = `list:${scene.key}`;
        await scene.client.lpush(list, 'no lock');
        const readers = Array.from({ length: 100 }, () => ({ keys: scene.keys, args: [newId(), `${TTL}*1`] }));
        const bad = { keys: [list, `${list}:q`, `${list}:w`, `${list}:h`], args: [newId(), `${TTL}*1`] };
        const [refused, ...answers] = await acquireSharedScript.run(scene.client, [bad, ...readers], {
            clock: scene.clock,
        });
        assert.match(refused instanceof Error ? refused.message : '', /^WRONGTYPE/);
        const fences = answers.map((answer) => ('fence' in answer ? answer.fence : assert.fail('It was not granted.')));
        assert.lengthOf(new Set(fences), 100);
        assert.lengthOf((await scene.inspect()).holders, 100);
    });

    test('gives out no more permits than the limit, the own ones counted', async () => {
        await scene.shared(permits(2, 5));
        const second = await scene.shared(permits(2, 5), 8000);
        const answer = await scene.join(newId(), permits(2, 5));
        assert.deepInclude(answer, { kind: 'taken', holder: SHARED });
        // Until the first of them ends.
        assert.isTrue(answer.kind === 'taken' && answer.remaining > 0 && answer.remaining <= 8000);
        await scene.shared(permits(1, 5));
        assert.strictEqual((await scene.join(newId(), permits(1, 5))).kind, 'taken');
        assert.strictEqual(await scene.leave(second.holder), 'released');
        await scene.shared(permits(2, 5));
    });

    test('takes a limit for that of its caller: a lower one evicts nobody', async () => {
        for (let count = 0; count < 3; count++) await scene.shared(permits(1, 3));
        assert.strictEqual((await scene.join(newId(), permits(1, 2))).kind, 'taken');
        assert.lengthOf((await scene.inspect()).holders, 3);
        await scene.shared(permits(1, 4));
    });

    test('counts nobody whose lease is over, while the key lives on by others', async () => {
        const dead = await scene.shared(permits(2, 3));
        await scene.shared(permits(1, 3));
        assert.strictEqual((await scene.join(newId(), permits(1, 3))).kind, 'taken');
        await scene.expire(dead.id);
        await scene.shared(permits(2, 3));
    });

    test('does not join a key that somebody has alone, or another program', async () => {
        const { holder } = await scene.held();
        assert.deepInclude(await scene.join(newId(), READER), { kind: 'taken', holder });
        await scene.client.set(scene.key, 'foreign', 'PX', 5000);
        assert.deepInclude(await scene.join(newId(), READER), { kind: 'taken', holder: 'foreign' });
    });

    test('keeps out everybody else: SET NX, those who want it alone, those who wait for nothing', async () => {
        const { holder } = await scene.shared(READER);
        assert.isNull(await scene.client.set(scene.key, 'foreign', 'PX', 5000, 'NX'));
        assert.deepInclude(await scene.acquire(newId()), { kind: 'taken', holder: SHARED });
        assert.deepInclude(await scene.ask(newId()), { kind: 'busy', holder: SHARED });
        await scene.leave(holder);
        assert.isNotNull(await scene.client.set(scene.key, 'foreign', 'PX', 5000, 'NX'));
    });

    test('does not pass one that waits, nor what was given up', async () => {
        const { holder } = await scene.shared(READER);
        const id = newId();
        await scene.wait(id);
        assert.deepInclude(await scene.join(newId(), READER), { kind: 'taken', holder: SHARED });
        await scene.giveBack({ id });
        await scene.leave(holder);
        await scene.giveBack({ id: newId(), underWay: true });
        assert.deepEqual(await scene.join(newId(), READER), { kind: 'taken', holder: '', remaining: -2 });
    });

    test('tells an acquisition that it has a place already: the next command says which', async () => {
        const { fence, id } = await scene.shared(READER, 5000);
        assert.deepInclude(await scene.join(id, READER), { kind: 'taken', holder: id });
        const other = await scene.shared(permits(1, 2));
        assert.deepInclude(await scene.join(other.id, permits(1, 2)), { kind: 'taken', holder: other.id });
        assert.deepEqual(await scene.ask(id, 0, { share: READER }), { kind: 'granted', fence, reserved: false });
        assert.lengthOf((await scene.inspect()).holders, 2);
    });

    test('joins nobody whose sharers are lost: the key is taken until it ends', async () => {
        await scene.shared(READER);
        await scene.client.del(scene.sharers);
        assert.deepInclude(await scene.join(newId(), READER), { kind: 'taken', holder: SHARED });
        assert.deepInclude(await scene.ask(newId(), '', { share: READER }), { kind: 'busy', holder: SHARED });
        assert.deepInclude(await scene.ask(newId()), { kind: 'busy', holder: SHARED });
        assert.deepInclude(await scene.inspect(), { holder: SHARED, holders: [] });
        // A caller that knows what it does may take it away.
        assert.deepInclude(await scene.giveBack({ holder: SHARED }), { released: true });
        assert.deepEqual(await scene.left(), []);
    });

    test('counts no sharers of an earlier time', async () => {
        for (const ask of [scene.join.bind(scene), (id: string) => scene.ask(id, 0, { share: permits(2, 2) })]) {
            const old = await scene.shared(permits(2, 2), 60_000);
            await scene.client.del(scene.key);
            const id = newId();
            assert.strictEqual((await ask(id, permits(2, 2))).kind, 'granted');
            await scene.endsWith(id);
            assert.strictEqual(await scene.renewShared(old.holder, TTL), 'gone');
            await scene.client.del(...scene.keys);
        }
    });

    test('leaves nothing that lives on when the key is deleted by hand', async () => {
        const { id } = await scene.shared(READER);
        assert.isAbove(await scene.client.pttl(scene.sharers), TTL - 15_000);
        const end = Number(await scene.client.zscore(scene.sharers, id));
        assert.isAbove((await scene.expiry(scene.sharers))[1], end);
    });
});

suite('release_shared.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('lets the key end with the longest lease that remains, and deletes it with the last', async () => {
        const short = await scene.shared(READER, 15_000);
        const long = await scene.shared(READER, 60_000);
        await scene.endsWith(long.id);
        assert.strictEqual(await scene.leave(long.holder), 'released');
        await scene.endsWith(short.id);
        assert.strictEqual(await scene.leave(long.holder), 'gone');
        assert.strictEqual(await scene.leave(short.holder), 'released');
        assert.deepEqual(await scene.left(), []);
    });

    test('tells one that is no sharer, or whose lease is over', async () => {
        assert.strictEqual(await scene.leave(holderOf(newId(), 7)), 'gone');
        const dead = await scene.shared(READER);
        const { id } = await scene.shared(READER);
        assert.strictEqual(await scene.leave(holderOf(newId(), 7)), 'gone');
        await scene.expire(dead.id);
        assert.strictEqual(await scene.leave(dead.holder), 'gone');
        await scene.endsWith(id);
    });

    test('gives back nothing that another has alone, nor an exclusive release what several share', async () => {
        const { holder } = await scene.held();
        assert.strictEqual(await scene.leave(holder), 'gone');
        await scene.release(holder);
        const reader = await scene.shared(READER);
        for (const one of [reader.holder, reader.id, SHARED.slice(1)])
            assert.strictEqual(await scene.release(one), 'gone');
        assert.deepInclude(await scene.giveBack({ holder: SHARED }), { released: false });
        assert.strictEqual(await scene.client.get(scene.key), SHARED);
    });

    test('changes nothing while somebody waits', async () => {
        const { holder } = await scene.shared(READER);
        await scene.wait(newId());
        assert.strictEqual(await scene.leave(holder), 'queued');
        assert.lengthOf((await scene.inspect()).holders, 1);
    });
});

suite('renew_shared.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('lengthens the lease and the key, and shortens neither', async () => {
        const { holder, id } = await scene.shared(READER, 5000);
        assert.strictEqual(await scene.renewShared(holder, 60_000), 'renewed');
        await scene.endsWith(id);
        const end = await scene.client.zscore(scene.sharers, id);
        assert.strictEqual(await scene.renewShared(holder, 1000), 'renewed');
        assert.strictEqual(await scene.client.zscore(scene.sharers, id), end);
        await scene.endsWith(id);
    });

    test('never creates a lease again: it is over, its key is gone, another has it, or the sharers are lost', async () => {
        const one = await scene.shared(READER);
        await scene.shared(READER);
        await scene.expire(one.id);
        assert.strictEqual(await scene.renewShared(one.holder, TTL), 'gone');
        const other = await scene.shared(READER);
        await scene.client.set(scene.key, 'foreign', 'PX', 60_000);
        assert.strictEqual(await scene.renewShared(other.holder, TTL), 'gone');
        await scene.client.set(scene.key, SHARED, 'PX', 60_000);
        await scene.client.del(scene.sharers);
        assert.strictEqual(await scene.renewShared(other.holder, TTL), 'gone');
        await scene.client.del(scene.key);
        assert.strictEqual(await scene.renewShared(other.holder, TTL), 'gone');
        assert.deepEqual(await scene.left(), []);
    });
});

suite('downgrade.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('shares the key under the same holder and fence, and never shortens', async () => {
        const { fence, holder, id } = await scene.held(60_000);
        assert.deepEqual(await scene.downgrade(holder, 5000), { done: true, window: 0 });
        assert.strictEqual(await scene.client.get(scene.key), SHARED);
        await scene.endsWith(id);
        assert.isAbove(await scene.client.pttl(scene.key), 30_000);
        assert.deepInclude((await scene.inspect()).holders[0], { holder, fence, permits: 1 });
        assert.strictEqual(await scene.leave(holder), 'released');
    });

    test('may be sent again, and lengthens then', async () => {
        const { holder, id } = await scene.held(5000);
        await scene.downgrade(holder, 5000);
        assert.deepEqual(await scene.downgrade(holder, 60_000), { done: true, window: 0 });
        await scene.endsWith(id);
        assert.isAbove(await scene.client.pttl(scene.key), 30_000);
    });

    test('does nothing for one that does not have the key', async () => {
        assert.deepEqual(await scene.downgrade('mine'), { done: false, window: 0 });
        const { holder } = await scene.held();
        assert.deepEqual(await scene.downgrade(`${holder}1`), { done: false, window: 0 });
        assert.strictEqual(await scene.client.get(scene.key), holder);
        await scene.client.set(scene.key, SHARED, 'PX', TTL);
        assert.deepEqual(await scene.downgrade(holder), { done: false, window: 0 });
    });

    test('lets in the readers at the head of the line, up to the first that does not fit', async () => {
        const { holder } = await scene.held();
        const [first, second, writer, third] = [newId(), newId(), newId(), newId()];
        for (const id of [first, second]) await scene.wait(id, { share: READER });
        await scene.wait(writer);
        await scene.wait(third, { share: READER });
        const { done, window } = await scene.downgrade(holder);
        assert.isTrue(done && window > 0);
        const { holders, waiters } = await scene.inspect();
        assert.lengthOf(holders, 3);
        assert.deepEqual(
            waiters.map(({ id }) => id),
            [writer, third],
        );
    });

    test('works for a holder that its caller has chosen', async () => {
        await scene.ask(newId('mine'), 0);
        assert.deepEqual(await scene.downgrade('mine'), { done: true, window: 0 });
        assert.deepInclude((await scene.inspect()).holders[0], { holder: 'mine', fence: 0 });
        assert.strictEqual(await scene.renewShared('mine', TTL), 'renewed');
        assert.strictEqual(await scene.leave('mine'), 'released');
    });
});
