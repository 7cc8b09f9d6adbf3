import { randomUUID } from 'node:crypto';
import { assert } from 'chai';
import { holderOf, newId } from '../../../../src/engine/port/holder';
import { READER } from '../../../../src/engine/port/LockStore';
import { CLAIM_WINDOW, SHARED } from '../../../../src/engine/port/protocol';
import type { Message } from '../../../../src/engine/redis/scripts/message';
import { sharedServer } from '../../../fixtures/sharedServer';
import { until } from '../../../fixtures/until';
import { ScriptScene, TTL } from './ScriptScene';

const permits = (count: number, limit: number): { permits: number; limit: number } => ({ permits: count, limit });

/** How many waiters are granted a key in one step. */
const MOST = 64;

suite('The line of a key that is shared', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    async function waiting(): Promise<string[]> {
        return (await scene.inspect()).waiters.map(({ id }) => id);
    }

    function grants(): Extract<Message, { kind: 'grant' }>[] {
        return scene.heard.filter((message) => message.kind === 'grant');
    }

    test('grants a run of readers in one step, each for a claim window, and tells each once all is written', async () => {
        const { fence, holder } = await scene.held();
        const ids = [newId(), newId(), newId()];
        for (const id of ids) await scene.wait(id, { share: READER });
        assert.deepEqual(await scene.giveBack({ holder }), { released: true, window: CLAIM_WINDOW, waiting: 0 });
        await until(() => grants().length === 3);
        const fences = grants().map((grant) => grant.fence);
        assert.deepEqual(
            grants().map(({ id, ttl }) => ({ id, ttl })),
            ids.map((id) => ({ id, ttl: CLAIM_WINDOW })),
        );
        assert.isTrue(fences.every((one, at) => one > (fences[at - 1] ?? fence)));
        const { holders } = await scene.inspect();
        assert.sameMembers(
            holders.map((one) => one.holder),
            ids.map((id, at) => holderOf(id, fences[at] ?? 0)),
        );
        for (const { remaining } of holders) assert.isAtMost(remaining, CLAIM_WINDOW);
    });

    test('lets a reader claim what it was told, with the same fence, for the whole ttl', async () => {
        const { holder } = await scene.held();
        const id = newId();
        await scene.wait(id, { share: READER });
        await scene.giveBack({ holder });
        await until(() => grants().length === 1);
        const fence = grants()[0]?.fence ?? 0;
        assert.strictEqual(await scene.renewShared(holderOf(id, fence), TTL), 'renewed');
        assert.isAbove(await scene.client.pttl(scene.key), CLAIM_WINDOW);
        assert.deepEqual(await scene.ask(id, 0, { share: READER }), { kind: 'granted', fence, reserved: false });
    });

    test('serves all kinds in the order in which they came', async () => {
        const first = await scene.shared(permits(2, 3));
        const [writer, reader, many] = [newId(), newId(), newId()];
        await scene.wait(writer);
        await scene.wait(reader, { share: READER });
        await scene.wait(many, { share: permits(3, 3) });
        assert.deepEqual(await waiting(), [writer, reader, many]);
        // The writer waits for the sharer; those behind it wait for the writer.
        await scene.giveBack({ holder: first.holder });
        assert.isTrue((await scene.client.get(scene.key))?.startsWith(writer));
        assert.deepEqual(await waiting(), [reader, many]);
        await scene.giveBack({ holder: (await scene.client.get(scene.key)) ?? '' });
        // The reader counts as one of three.
        assert.strictEqual(await scene.client.get(scene.key), SHARED);
        assert.deepEqual(await waiting(), [many]);
        await scene.giveBack({ id: reader });
        assert.deepEqual(await waiting(), []);
        assert.deepInclude((await scene.inspect()).holders[0], { permits: 3 });
    });

    test('lets no reader pass a writer that waits, a plain try neither', async () => {
        await scene.shared(READER);
        await scene.wait(newId());
        const late = newId();
        assert.deepInclude(await scene.ask(newId(), '', { share: READER }), {
            kind: 'busy',
            holder: SHARED,
            ticket: 0,
        });
        assert.deepInclude(await scene.wait(late, { share: READER }), { rank: 1, window: 0 });
        assert.lengthOf((await scene.inspect()).holders, 1);
    });

    test('passes over a writer whose lease as a waiter is over', async () => {
        await scene.shared(READER);
        const dead = newId();
        await scene.wait(dead);
        await scene.die(dead);
        assert.strictEqual((await scene.ask(newId(), 0, { share: READER })).kind, 'granted');
    });

    test('waits for nobody who cannot be reached, when there is room for one who comes', async () => {
        await scene.shared(READER);
        await scene.wait(newId(), { on: `nobody:${randomUUID()}` });
        assert.strictEqual((await scene.ask(newId(), '', { share: READER })).kind, 'granted');
        const writer = newId();
        await scene.wait(writer);
        assert.strictEqual((await scene.ask(newId(), 0, { share: READER })).kind, 'busy');
        assert.deepEqual((await waiting())[0], writer);
        assert.deepEqual(scene.heard, []);
    });

    test('frees the key when all who waited to share it cannot be reached', async () => {
        const { holder } = await scene.held();
        for (let count = 0; count < 3; count++)
            await scene.wait(newId(), { on: `nobody:${randomUUID()}`, share: READER });
        assert.deepEqual(await scene.giveBack({ holder }), { released: true, window: 0, waiting: 0 });
        assert.notInclude(await scene.left(), scene.key);
        assert.deepInclude(await scene.inspect(), { holder: '', waiters: [], holders: [] });
    });

    test('goes on behind those that cannot be reached, also to one that wants the key alone', async () => {
        const { holder } = await scene.held();
        for (let count = 0; count < 2; count++)
            await scene.wait(newId(), { on: `nobody:${randomUUID()}`, share: READER });
        const id = newId();
        await scene.wait(id);
        await scene.giveBack({ holder });
        assert.isTrue((await scene.client.get(scene.key))?.startsWith(id));
    });

    test('lets those in for whom there is room when permits are given back, and no more', async () => {
        const all = [await scene.shared(permits(2, 3)), await scene.shared(permits(1, 3))];
        const [two, one] = [newId(), newId()];
        await scene.wait(two, { share: permits(2, 3) });
        await scene.wait(one, { share: permits(1, 3) });
        // One permit is free: the first in line wants two, and nobody passes it.
        assert.deepInclude(await scene.giveBack({ holder: all[1]?.holder ?? '' }), { window: 0, waiting: 2 });
        assert.deepInclude(await scene.giveBack({ holder: all[0]?.holder ?? '' }), { window: CLAIM_WINDOW });
        assert.deepEqual(await waiting(), []);
        assert.lengthOf((await scene.inspect()).holders, 2);
    });

    test('tells a permit that waits when the first of them ends, and one that wants the key alone when all end', async () => {
        await scene.shared(permits(1, 2), 60_000);
        await scene.shared(permits(1, 2), 9000);
        const permit = await scene.wait(newId(), { share: permits(1, 2) });
        assert.isTrue(permit.remaining > 0 && permit.remaining <= 9000, String(permit.remaining));
        const writer = await scene.wait(newId());
        assert.isAbove(writer.remaining, 30_000);
    });

    test('lets a permit in by itself when another ended unseen', async () => {
        const dead = await scene.shared(permits(1, 2));
        await scene.shared(permits(1, 2));
        const id = newId();
        const { ticket } = await scene.wait(id, { share: permits(1, 2) });
        await scene.expire(dead.id);
        assert.strictEqual((await scene.ask(id, ticket, { share: permits(1, 2) })).kind, 'granted');
    });

    test('names the limit that differs', async () => {
        await scene.shared(permits(1, 5));
        assert.propertyVal(await scene.ask(newId(), '', { share: permits(1, 1) }), 'limit', 5);
        await scene.wait(newId());
        assert.propertyVal(await scene.ask(newId(), '', { share: permits(1, 5) }), 'limit', 0);
        assert.propertyVal(await scene.ask(newId()), 'limit', 0);
    });

    test('tells the first in line that the key ends sooner than it was told', async () => {
        const short = await scene.shared(READER, 15_000);
        const long = await scene.shared(READER, 120_000);
        const id = newId();
        assert.isAbove((await scene.wait(id)).remaining, 60_000);
        assert.deepEqual(await scene.giveBack({ holder: long.holder }), { released: true, window: 0, waiting: 1 });
        const [message] = await scene.messages(1);
        assert.deepInclude(message, { kind: 'first', id });
        assert.isTrue(message?.kind === 'first' && message.taken <= 15_000);
        await scene.endsWith(short.id);
    });

    test('grants 64 in one step; the next is told to ask, and lets in those behind it', async () => {
        const { holder } = await scene.held();
        const ids = Array.from({ length: MOST + 36 }, () => newId());
        const tickets: number[] = [];
        for (const id of ids) tickets.push((await scene.wait(id, { share: READER })).ticket);
        await scene.giveBack({ holder });
        await until(() => grants().length === MOST);
        assert.lengthOf(await waiting(), 36);
        const next = ids[MOST] ?? '';
        const first = scene.heard.find((message) => message.kind === 'first');
        assert.deepEqual(first, { kind: 'first', key: scene.key, id: next, taken: 0 });
        const answer = await scene.ask(next, tickets[MOST] ?? 0, { on: scene.channel, share: READER });
        assert.strictEqual(answer.kind, 'granted');
        assert.deepEqual(await waiting(), []);
        assert.lengthOf((await scene.inspect()).holders, ids.length);
        await until(() => grants().length === ids.length - 1);
    });

    test('goes on with the run when any of them releases, or anybody asks that it be handed on', async () => {
        for (const goOn of [
            (id: string) => scene.giveBack({ id }),
            () => scene.giveBack({}),
            () => scene.ask(newId(), '', { share: READER }),
        ]) {
            const { holder } = await scene.held();
            const ids = Array.from({ length: MOST + 2 }, () => newId());
            for (const id of ids) await scene.wait(id, { share: READER });
            await scene.giveBack({ holder });
            assert.lengthOf(await waiting(), 2);
            await goOn(ids[0] ?? '');
            assert.lengthOf(await waiting(), 0);
            await scene.client.del(...scene.keys);
        }
    });

    test('costs one claim window for all the readers that were granted it and are dead', async () => {
        const { holder } = await scene.held();
        for (let count = 0; count < 10; count++) await scene.wait(newId(), { share: READER });
        const writer = newId();
        await scene.wait(writer);
        await scene.giveBack({ holder });
        const before = await scene.micros();
        const [, most] = await scene.expiry();
        assert.isAtMost(most - before / 1000, CLAIM_WINDOW + 1000);
        const ends = (await scene.inspect()).holders.map(({ remaining }) => remaining);
        assert.strictEqual(Math.max(...ends), Math.min(...ends));
    });

    test('leaves the key to a plain SET for a while only when the last has gone', async () => {
        const [one, other] = [await scene.shared(READER), await scene.shared(READER)];
        await scene.wait(newId());
        assert.deepInclude(await scene.giveBack({ holder: one.holder, pause: '5000' }), { window: 0, waiting: 1 });
        assert.deepInclude(await scene.giveBack({ holder: other.holder, pause: '5000' }), { window: 5000 });
        assert.isNull(await scene.client.get(scene.key));
    });

    suite('of an acquisition that is given up', () => {
        test('gives back its place among those who share', async () => {
            const one = await scene.shared(READER);
            const other = await scene.shared(READER);
            assert.deepInclude(await scene.giveBack({ id: other.id }), { released: true });
            await scene.endsWith(one.id);
            assert.deepInclude(await scene.giveBack({ id: one.id }), { released: true });
            assert.deepEqual(await scene.left(), []);
        });

        test('is refused when it arrives later', async () => {
            const { holder, id } = await scene.shared(READER);
            await scene.giveBack({ holder, id, underWay: true });
            assert.deepEqual(await scene.ask(id, 0, { share: READER }), { kind: 'refused' });
            assert.deepInclude(await scene.join(id, READER), { kind: 'taken', holder: '' });
        });

        test('opens the line behind it', async () => {
            await scene.shared(READER);
            const [writer, reader] = [newId(), newId()];
            await scene.wait(writer);
            await scene.wait(reader, { share: READER });
            assert.deepInclude(await scene.giveBack({ id: writer }), { released: false, window: CLAIM_WINDOW });
            assert.deepEqual(await waiting(), []);
        });

        test('leaves the place of an owner alone', async () => {
            await scene.ask(newId('mine'), 0, { share: READER });
            assert.deepInclude(await scene.giveBack({ id: newId('mine') }), { released: false });
            assert.lengthOf((await scene.inspect()).holders, 1);
        });
    });

    suite('of holders that callers have chosen', () => {
        test('gives an owner its place again, with what it has', async () => {
            const first = await scene.ask(newId('mine'), 0, { share: permits(2, 3) });
            const second = await scene.ask(newId('mine'), 0, { share: permits(1, 3) });
            if (first.kind !== 'granted') assert.fail(first.kind);
            assert.deepEqual(second, { kind: 'granted', fence: first.fence, reserved: false });
            const { holders } = await scene.inspect();
            assert.lengthOf(holders, 1);
            assert.deepInclude(holders[0], { holder: 'mine', permits: 2, fence: first.fence });
            assert.strictEqual(await scene.leave('mine'), 'released');
            assert.deepEqual(await scene.left(), []);
        });

        test('finds a lease that was handed over, by the holder with its fence', async () => {
            const { fence, holder } = await scene.shared(READER);
            const again = await scene.ask(newId(holder), 0, { share: READER });
            assert.deepEqual(again, { kind: 'granted', fence, reserved: false });
            assert.lengthOf((await scene.inspect()).holders, 1);
        });

        test('does not take one kind for the other', async () => {
            await scene.ask(newId('mine'), 0, { share: READER });
            assert.strictEqual((await scene.ask(newId('mine'))).kind, 'busy');
            await scene.leave('mine');
            await scene.ask(newId('mine'), 0);
            assert.strictEqual((await scene.ask(newId('mine'), '', { share: READER })).kind, 'busy');
        });
    });

    test('refuses a late attempt of a lease that has become a shared one', async () => {
        const { holder, id } = await scene.held();
        await scene.downgrade(holder);
        assert.deepEqual(await scene.ask(id, 0), { kind: 'refused' });
        assert.lengthOf((await scene.inspect()).holders, 1);
    });
});

suite('What is released and stays taken for a while', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('holds a key for just that long, and tells the first in line', async () => {
        const { holder } = await scene.held();
        const id = newId();
        await scene.wait(id);
        assert.deepEqual(await scene.giveBack({ holder, keep: 60_000 }), { released: true, window: 0, waiting: 1 });
        assert.deepEqual(await scene.messages(1), [{ kind: 'first', key: scene.key, id, taken: 60_000 }]);
        assert.strictEqual(await scene.client.get(scene.key), holder);
        assert.isAbove(await scene.client.pttl(scene.key), 30_000);
        assert.deepInclude(await scene.giveBack({ holder, keep: 1000 }), { released: true });
        assert.isAtMost(await scene.client.pttl(scene.key), 1000);
    });

    test('holds permits for just that long', async () => {
        const { holder, id } = await scene.shared(permits(2, 3));
        await scene.giveBack({ holder, keep: 60_000 });
        await scene.endsWith(id);
        assert.strictEqual((await scene.join(newId(), permits(2, 3))).kind, 'taken');
        await scene.giveBack({ holder, keep: 4000 });
        const [least] = await scene.expiry();
        assert.isAtMost(least - (await scene.micros()) / 1000, 4000);
        await scene.shared(permits(1, 3));
    });

    test('is nothing that another has', async () => {
        const { holder } = await scene.held();
        assert.deepInclude(await scene.giveBack({ holder: `${holder}1`, keep: 60_000 }), { released: false });
        assert.isBelow(await scene.client.pttl(scene.key), 30_000);
    });
});
