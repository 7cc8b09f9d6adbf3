import { assert } from 'chai';
import { Locker } from '../../../src/engine/locker/Locker';
import { LimitedResource } from '../../fixtures/LimitedResource';
import { VirtualClock } from '../../fixtures/VirtualClock';
import { MemoryNode } from './MemoryNode';
import { KEY, QuorumProcess, TTL } from './QuorumProcess';

/** How long callers come and go, ms. */
const TIME = 10_000;

suite('Two groups of processes that cannot reach the same nodes', () => {
    let clock: VirtualClock;
    let isOver: boolean;

    setup(() => {
        clock = new VirtualClock();
        isOver = false;
    });

    /** Callers that take the key again and again, by a store that does not reach one node. */
    async function group(
        nodes: readonly MemoryNode[],
        away: number,
        resource: LimitedResource,
    ): Promise<{ readonly waits: number[]; readonly callers: Promise<void>[] }> {
        const process = new QuorumProcess(nodes, clock);
        for (const link of process.links) link.delay = 1;
        const link = process.links[away];
        if (link !== undefined) link.isReady = false;
        const locker = new Locker(process.store, { ttl: TTL, timeout: Infinity }, undefined, clock);
        await process.during(locker.open());
        const waits: number[] = [];
        const callers = [1, 2, 3].map(async () => {
            while (!isOver) {
                const since = clock.now();
                const lease = await locker.acquire(KEY);
                waits.push(clock.now() - since);
                resource.enter(lease);
                await new Promise<void>((resolve) => clock.timer(5, resolve));
                await lease.release();
            }
        });
        return { waits, callers };
    }

    for (const [count, first, second] of [
        [3, 2, 0],
        [3, 0, 2],
    ] as const) {
        test(`share the key of ${count} nodes, where one misses node ${first + 1} and the other node ${second + 1}`, async () => {
            const nodes = Array.from({ length: count }, () => new MemoryNode(clock));
            const resource = new LimitedResource();
            const groups = [await group(nodes, first, resource), await group(nodes, second, resource)];
            await clock.advance(TIME);
            isOver = true;
            await clock.advance(5000);
            await Promise.all(groups.flatMap(({ callers }) => callers));
            resource.check();
            const grants = groups.map(({ waits }) => waits.length);
            const longest = groups.map(({ waits }) => Math.max(...waits));
            assert.isAbove(
                Math.min(...grants),
                Math.max(...grants) / 10,
                `${grants.join()}; the longest waited ${longest.join()} ms`,
            );
            assert.isBelow(Math.max(...longest), 3000, grants.join());
        });
    }
});
