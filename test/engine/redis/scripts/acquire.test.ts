import { assert } from 'chai';
import { CLAIM_WINDOW, CLOCK_LIFE, POLLER_LEASE, QUEUE_LIFE, WAITER_LEASE } from '../../../../src/engine/port/protocol';
import { holderOf, newId } from '../../../../src/engine/port/holder';
import { acquireScript } from '../../../../src/engine/redis/scripts/acquire';
import { rejection } from '../../../fixtures/rejection';
import { sharedServer } from '../../../fixtures/sharedServer';
import { ScriptScene, TTL } from './ScriptScene';

suite('acquire.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('grants a free key: it holds the id and the fence, with the ttl', async () => {
        const id = newId();
        const answer = await scene.acquire(id);
        if (answer.kind !== 'granted') assert.fail(answer.kind);
        assert.strictEqual(await scene.client.get(scene.key), holderOf(id, answer.fence));
        const ttl = await scene.client.pttl(scene.key);
        assert.isTrue(ttl > TTL - 15_000 && ttl <= TTL, String(ttl));
        assert.deepEqual(await scene.left(), [scene.key]);
    });

    test('gives a fence that is the time of the server in µs', async () => {
        const before = await scene.micros();
        const { fence } = await scene.held();
        assert.isAtLeast(fence, before);
        assert.isAtMost(fence, await scene.micros());
    });

    test('gives a fence above the last one when the time of the server was set back', async () => {
        const ahead = (await scene.micros()) + 3_600_000_000;
        await scene.client.set(scene.clock, String(ahead));
        assert.strictEqual((await scene.held()).fence, ahead + 1);
        assert.strictEqual(await scene.client.get(scene.clock), String(ahead + 1));
    });

    test('writes the clock with an expiry, and keeps it up once a minute', async () => {
        const { holder } = await scene.held();
        const life = await scene.client.pttl(scene.clock);
        assert.isTrue(life > CLOCK_LIFE - 60_000 && life <= CLOCK_LIFE, String(life));
        await scene.release(holder);
        await scene.client.set(scene.clock, String((await scene.micros()) - 61_000_000), 'PX', 5000);
        await scene.held();
        assert.isAbove(await scene.client.pttl(scene.clock), CLOCK_LIFE - 60_000);
    });

    test('gives the fences of a list in its order, and writes the clock once for all of them', async () => {
        const items = Array.from({ length: 5 }, (_, at) => ({
            keys: [`${scene.key}:${at}`, `${scene.queue}:${at}`],
            args: [newId(), String(TTL)],
        }));
        const answers = await acquireScript.run(scene.client, items, { clock: scene.clock });
        const fences = answers.map((answer) => ('fence' in answer ? answer.fence : assert.fail('It was not granted.')));
        const [first = 0] = fences;
        assert.deepEqual(fences, [first, first + 1, first + 2, first + 3, first + 4]);
        assert.strictEqual(await scene.client.get(scene.clock), String(first + 4));
    });

    test('tells who has the key, and for how long, and changes nothing', async () => {
        const { holder } = await scene.held();
        const clock = await scene.client.get(scene.clock);
        const answer = await scene.acquire(newId());
        if (answer.kind !== 'taken') assert.fail(answer.kind);
        assert.strictEqual(answer.holder, holder);
        assert.isTrue(answer.remaining > 0 && answer.remaining <= TTL);
        assert.strictEqual(await scene.client.get(scene.clock), clock);
    });

    test('tells -1 of a key that never expires', async () => {
        await scene.client.set(scene.key, 'foreign');
        assert.deepEqual(await scene.acquire(newId()), { kind: 'taken', holder: 'foreign', remaining: -1 });
    });

    test('does not overtake one that waits, and takes nothing that was given up', async () => {
        for (const prepare of [
            async () => {
                const { holder } = await scene.held();
                await scene.wait(newId());
                await scene.client.del(scene.key);
                return holder;
            },
            () => scene.giveBack({ id: newId(), underWay: true }),
        ]) {
            await prepare();
            assert.deepEqual(await scene.acquire(newId()), { kind: 'taken', holder: '', remaining: -2 });
            await scene.client.del(...scene.keys);
        }
    });

    test('answers each item of a list by itself', async () => {
        await scene.client.lpush(scene.key, 'no lock');
        const items = [scene.name, `${scene.name}:b`].map((name) => ({
            keys: [name, `${name}:q`],
            args: [newId(), String(TTL)],
        }));
        const [refused, granted] = await acquireScript.run(scene.client, items, { clock: scene.clock });
        assert.match(refused instanceof Error ? refused.message : '', /^WRONGTYPE/);
        assert.propertyVal(granted, 'kind', 'granted');
    });
});

suite('acquire_queued.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('grants a free key', async () => {
        const id = newId();
        const answer = await scene.ask(id, 0);
        if (answer.kind !== 'granted') assert.fail(answer.kind);
        assert.strictEqual(await scene.client.get(scene.key), holderOf(id, answer.fence));
        assert.deepEqual(await scene.left(), [scene.key]);
    });

    test('grants under the holder that the caller has chosen', async () => {
        await scene.ask(newId('mine'), 0);
        assert.strictEqual(await scene.client.get(scene.key), 'mine');
    });

    test('answers the same fence to the acquisition that has the key, and lengthens its ttl', async () => {
        const { fence, holder, id } = await scene.held(5000);
        assert.deepEqual(await scene.ask(id, 0), { kind: 'granted', fence, reserved: false });
        assert.isAbove(await scene.client.pttl(scene.key), 10_000);
        assert.strictEqual(await scene.client.get(scene.key), holder);
    });

    test('never shortens the ttl of the acquisition that has the key', async () => {
        const { id } = await scene.held();
        await scene.ask(id, 0, { ttl: 1000 });
        assert.isAbove(await scene.client.pttl(scene.key), 5000);
    });

    test('leaves a key that never expires so, of an acquisition and of an owner', async () => {
        const { id } = await scene.held();
        await scene.client.persist(scene.key);
        assert.strictEqual((await scene.ask(id, 0)).kind, 'granted');
        assert.strictEqual(await scene.client.pttl(scene.key), -1);
        await scene.client.set(scene.key, 'mine');
        assert.strictEqual((await scene.ask(newId('mine'), 0)).kind, 'granted');
        assert.strictEqual(await scene.client.pttl(scene.key), -1);
        assert.strictEqual(await scene.client.get(scene.key), 'mine');
    });

    test('answers a new fence to the owner that has the key by another acquisition', async () => {
        const first = await scene.ask(newId('mine'), 0);
        const second = await scene.ask(newId('mine'), 0);
        if (first.kind !== 'granted' || second.kind !== 'granted') assert.fail('It was not granted.');
        assert.isAbove(second.fence, first.fence);
        assert.strictEqual(await scene.client.get(scene.key), 'mine');
    });

    test('does not take an id for another that begins like it', async () => {
        const { id } = await scene.held();
        assert.strictEqual((await scene.ask(`${id}2:`, 0)).kind, 'busy');
        await scene.client.set(scene.key, 'mine:1');
        assert.strictEqual((await scene.ask(newId('mine'), 0)).kind, 'busy');
    });

    test('tells a plain try who has the key, and gives it no place', async () => {
        const { fence, holder } = await scene.held();
        const answer = await scene.ask(newId());
        if (answer.kind !== 'busy') assert.fail(answer.kind);
        assert.deepInclude(answer, { holder, ticket: 0, rank: 0, window: 0, clock: fence });
        assert.deepEqual(await scene.left(), [scene.key]);
    });

    test('gives a ticket that is the time of the server, and a rank', async () => {
        await scene.held();
        const before = await scene.micros();
        const first = await scene.wait(newId());
        const second = await scene.wait(newId());
        assert.isTrue(before <= first.ticket && first.ticket < second.ticket);
        assert.isTrue(second.ticket <= (await scene.micros()));
        assert.deepEqual([first.rank, second.rank], [0, 1]);
        assert.isAtLeast(second.clock, second.ticket);
    });

    test('keeps the place of a waiter that comes back', async () => {
        await scene.held();
        const [id, other] = [newId(), newId()];
        const { ticket } = await scene.wait(id);
        await scene.wait(other);
        assert.deepInclude(await scene.wait(id, {}, ticket), { ticket, rank: 0 });
    });

    test('gives a waiter whose queue was lost its place back, by its ticket', async () => {
        await scene.held();
        const [id, other] = [newId(), newId()];
        const { ticket } = await scene.wait(id);
        await scene.client.del(scene.queue, scene.waiters);
        await scene.wait(other);
        assert.deepInclude(await scene.wait(id, {}, ticket), { ticket, rank: 0 });
    });

    test('tells a clock below every later grant when the clock was lost', async () => {
        const { holder } = await scene.held();
        await scene.client.del(scene.clock);
        const answer = await scene.ask(newId());
        if (answer.kind !== 'busy') assert.fail(answer.kind);
        await scene.release(holder);
        assert.isAbove((await scene.held()).fence, answer.clock);
    });

    test('grants to the first in line, and tells the next one that it is the first', async () => {
        await scene.held();
        const [id, next] = [newId(), newId()];
        const { ticket } = await scene.wait(id);
        await scene.wait(next);
        await scene.client.del(scene.key);
        const answer = await scene.ask(id, ticket, { on: scene.channel });
        assert.strictEqual(answer.kind, 'granted');
        assert.deepEqual(await scene.messages(1), [{ kind: 'first', key: scene.key, id: next, taken: TTL }]);
    });

    test('hands a free key to the first in line when another asks', async () => {
        await scene.held();
        const [id, other] = [newId(), newId()];
        await scene.wait(id);
        await scene.client.del(scene.key);
        const answer = await scene.ask(other);
        if (answer.kind !== 'busy') assert.fail(answer.kind);
        const [message] = await scene.messages(1);
        if (message?.kind !== 'grant') assert.fail('It was told nothing.');
        assert.deepInclude(message, { key: scene.key, id, ttl: CLAIM_WINDOW });
        assert.strictEqual(answer.holder, holderOf(id, message.fence));
        assert.strictEqual(answer.window, CLAIM_WINDOW);
        assert.strictEqual(await scene.client.get(scene.key), answer.holder);
    });

    test('reserves fences behind that of the grant, and says so', async () => {
        const id = newId();
        const answer = await scene.ask(id, 0, { ttl: `${TTL}+8` });
        if (answer.kind !== 'granted') assert.fail(answer.kind);
        assert.isTrue(answer.reserved);
        await scene.giveBack({ holder: holderOf(id, answer.fence) });
        assert.isAbove((await scene.held()).fence, answer.fence + 8);
    });

    test('reserves fences for one that waits, as it asked', async () => {
        const { holder } = await scene.held();
        await scene.wait(newId(), { ttl: `${TTL}+8` });
        await scene.giveBack({ holder });
        const [message] = await scene.messages(1);
        if (message?.kind !== 'grant') assert.fail('It was told nothing.');
        assert.strictEqual(message.spare, 8);
        assert.isAtLeast(Number(await scene.client.get(scene.clock)), message.fence + 8);
    });

    test('leaves the key free for others during a pause', async () => {
        const { holder } = await scene.held();
        const id = newId();
        const { ticket } = await scene.wait(id);
        assert.deepEqual(await scene.giveBack({ holder, pause: '5000' }), { released: true, window: 5000, waiting: 0 });
        assert.deepInclude((await scene.messages(1))[0], { kind: 'first', id, taken: 5000 });
        for (const answer of [await scene.ask(id, ticket), await scene.ask(newId())]) {
            if (answer.kind !== 'busy') assert.fail(answer.kind);
            assert.strictEqual(answer.holder, '');
            assert.isTrue(answer.remaining > 0 && answer.remaining <= 5000);
        }
        assert.isNull(await scene.client.get(scene.key));
        await scene.client.hset(scene.waiters, 'yield', '1000');
        assert.strictEqual((await scene.ask(id, ticket)).kind, 'granted');
    });

    test('refuses what was given up, until its tombstone is over', async () => {
        const id = newId();
        await scene.giveBack({ id, underWay: true });
        assert.deepEqual(await scene.ask(id, 0), { kind: 'refused' });
        await scene.client.zadd(scene.queue, -1000, id);
        assert.strictEqual((await scene.ask(id, 0)).kind, 'granted');
    });

    test('ends queue and waiters some time after their last use', async () => {
        await scene.held();
        await scene.wait(newId());
        for (const key of [scene.queue, scene.waiters]) {
            const life = await scene.client.pttl(key);
            assert.isTrue(life > WAITER_LEASE && life <= QUEUE_LIFE, String(life));
        }
    });

    test('takes a waiter to be dead when it was not heard of: sooner if it polls', async () => {
        await scene.held();
        for (const [on, life] of [
            [scene.channel, WAITER_LEASE],
            ['', POLLER_LEASE],
        ] as const) {
            const id = newId();
            const before = Math.floor((await scene.micros()) / 1000);
            await scene.wait(id, { on });
            const after = Math.ceil((await scene.micros()) / 1000);
            const lease = Number((await scene.client.hget(scene.waiters, id))?.split(' ')[0]);
            assert.isTrue(lease >= before + life && lease <= after + life, String(lease));
        }
    });

    test('fails on a key that holds no string', async () => {
        await scene.client.lpush(scene.key, 'no lock');
        assert.match((await rejection(scene.ask(newId()))).message, /^WRONGTYPE/);
    });
});
