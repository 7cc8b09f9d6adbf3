import { assert } from 'chai';
import { newId } from '../../../src/engine/port/holder';
import { READER } from '../../../src/engine/port/LockStore';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock } from '../../fixtures/VirtualClock';
import { MemoryNode } from './MemoryNode';
import { KEY, QuorumProcess, TTL } from './QuorumProcess';

const read = { share: READER };

suite('A quorum that is shared', () => {
    let clock: VirtualClock;
    let nodes: [MemoryNode, MemoryNode, MemoryNode];
    let one: QuorumProcess;
    let other: QuorumProcess;

    setup(async () => {
        clock = new VirtualClock();
        nodes = [new MemoryNode(clock), new MemoryNode(clock), new MemoryNode(clock)];
        one = await new QuorumProcess(nodes, clock).open();
        other = await new QuorumProcess(nodes, clock).open();
    });

    /** How many share the key at each node. */
    function counts(): number[] {
        return nodes.map((node) => node.lock(KEY).sharers.size);
    }

    function linkOf(process: QuorumProcess, at: number): QuorumProcess['links'][number] {
        return process.links[at] ?? assert.fail();
    }

    test('has readers together, and one alone only without them, whichever nodes answer', async () => {
        const [a, b] = [await one.granted(read), await other.granted(read)];
        assert.isAbove(b.fence, a.fence);
        for (const away of [0, 1, 2]) {
            linkOf(one, away).isHeld = true;
            assert.notStrictEqual((await one.acquire()).kind, 'granted');
            linkOf(one, away).resume();
            await clock.advance(200);
        }
        assert.deepEqual(counts(), [2, 2, 2]);
        await one.release(a);
        await other.release(b);
        await one.granted();
    });

    test('tells every reader that a quorum has, with the fence and the time of a quorum', async () => {
        const [a, b] = [await one.granted(read), await other.granted({ ...read, ttl: TTL / 2 })];
        nodes[2].restart();
        const info = await one.during(one.store.inspect(KEY));
        assert.strictEqual(info.mode, 'shared');
        assert.deepEqual(
            info.holders.map(({ fence, holder }) => [holder, fence]),
            [
                [a.holder, a.fence],
                [b.holder, b.fence],
            ],
        );
        assert.isAtMost(info.holders[1]?.remaining ?? Infinity, TTL / 2);
    });

    test('gives a reader its vote back at a node that has lost it, beside others', async () => {
        const [a, b] = [await one.granted(read), await other.granted(read)];
        nodes[1].restart();
        for (const { holder } of [a, b]) {
            const renewed = await one.during(one.store.renew(KEY, holder, TTL, true));
            assert.strictEqual(renewed.kind, 'renewed');
        }
        await clock.advance(1);
        assert.deepEqual(counts(), [2, 2, 2]);
        assert.strictEqual(await one.release(a), 'released');
        assert.strictEqual(await one.release(b), 'released');
        assert.deepEqual(counts(), [0, 0, 0]);
    });

    test('takes back the votes of a reader that got too few', async () => {
        nodes[1].set(KEY, 'stranger', TTL);
        nodes[2].set(KEY, 'stranger', TTL);
        await one.busy({ ...read, ticket: 0 });
        await clock.advance(1);
        assert.deepEqual(counts(), [0, 0, 0]);
        assert.isUndefined(nodes[0].get(KEY));
    });

    test('lets readers in by a downgrade, that a minority may miss', async () => {
        const writer = await one.granted();
        const id = newId();
        const { ticket } = await other.busy({ ...read, id, ticket: 0 });
        linkOf(one, 2).isReady = false;
        const answer = await one.during(one.store.downgrade(KEY, writer.holder, TTL));
        assert.strictEqual(answer.kind, 'renewed');
        await other.granted({ ...read, id, ticket });
        assert.deepEqual(counts().slice(0, 2), [2, 2]);
        assert.strictEqual(await one.release(writer), 'released');
    });

    test('does not know what became of a downgrade that a quorum did not answer', async () => {
        const writer = await one.granted();
        linkOf(one, 1).isHeld = true;
        linkOf(one, 2).isHeld = true;
        const error = await rejection(one.during(one.store.downgrade(KEY, writer.holder, TTL)), 'NO_QUORUM');
        assert.isTrue(error.unknown);
    });

    test('refuses a limit, also of one permit, and asks no node', async () => {
        for (const limit of [1, 5]) {
            const asked = one.acquire({ share: { limit, permits: 1 } });
            const error = await rejection(asked, 'BAD_PARAMETER');
            assert.match(error.message, /more would be out than the limit allows/);
        }
        assert.deepEqual(
            one.links.map(({ sent }) => sent),
            [0, 0, 0],
        );
    });
});
