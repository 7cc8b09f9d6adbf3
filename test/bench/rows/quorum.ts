import { QuorumNodes } from '../../fixtures/QuorumNodes';
import { RedisServer } from '../../fixtures/RedisServer';
import type { Contestant, Locking } from '../contestants/Contestant';
import { ours, QUORUM_TTL } from '../contestants/ours';
import { peers } from '../contestants/peers';
import { raw } from '../contestants/raw';
import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { segment } from '../harness/segment';
import { ServerProbe } from '../harness/ServerProbe';
import { percentile } from '../harness/statistics';
import { cycles } from './uncontended';

const NODES = 5;
const columns = 'calls at once';

export const time: Metric = {
    name: 'quorumTime',
    title: 'Time of a cycle, p50',
    unit: `relative to ${ours.name} on one node`,
    columns,
};
export const rate: Metric = {
    name: 'quorumThroughput',
    title: 'Throughput',
    unit: 'relative to raw ioredis on one node',
    columns,
};
const cpu: Metric = { name: 'quorumCpu', title: 'CPU of the client per cycle', unit: rate.unit, columns };
export const frozen: Metric = {
    name: 'frozen',
    title: 'Time of a cycle with a frozen node, p50',
    unit: 'relative to all healthy',
    columns,
};

/** What five independent nodes cost. */
export const quorum: Row = {
    name: 'quorum',
    title: 'A quorum of five nodes',
    about: `Uncontended cycles on ${NODES} servers, against one. Then one of the five is frozen: the last, or the first, where this library's
waiters stand in line. All servers run on the same machine.`,
    metrics: [time, rate, cpu, frozen],
    run,
};

interface Entry {
    readonly name: string;
    readonly locking: Locking;
}

export const quorumName = ({ name }: Contestant): string => `${name}, ${NODES} nodes`;

async function run(bench: Bench): Promise<void> {
    await using nodes = await QuorumNodes.start(NODES);
    await using single = await RedisServer.start();
    const [first, ...more] = nodes.servers;
    if (first === undefined) throw new Error('There are no nodes');
    await nodes.voting(QUORUM_TTL);
    const entries: Entry[] = [];
    const probes = [single, ...nodes.servers].map((server) => new ServerProbe(server));
    try {
        for (const contestant of [raw, ours]) {
            entries.push({ name: contestant.name, locking: await contestant.open([single]) });
            bench.contestants.set(contestant.name, contestant.does);
        }
        for (const contestant of [ours, ...peers.filter(({ name }) => name.startsWith('redlock '))]) {
            const name = quorumName(contestant);
            entries.push({ name, locking: await contestant.open([first, ...more]) });
            bench.contestants.set(name, `${contestant.does}, with the votes of ${NODES} servers`);
        }
        for (const atOnce of [1, 10, 100]) await compare(bench, entries, probes, atOnce);
        const all = entries.find(({ name }) => name === quorumName(ours));
        if (all !== undefined) await freeze(bench, nodes, all.locking);
    } finally {
        await Promise.all(entries.map(({ locking }) => locking[Symbol.asyncDispose]()));
        await Promise.all(probes.map((probe) => probe[Symbol.asyncDispose]()));
    }
}

async function compare(
    bench: Bench,
    entries: readonly Entry[],
    servers: readonly ServerProbe[],
    atOnce: number,
): Promise<void> {
    bench.tell(`${atOnce} at once`);
    const { disturbance } = bench;
    for (const { locking } of entries) await cycles(locking, atOnce, bench.quick ? 100 : 500);
    for (let round = 0; round < (bench.quick ? 2 : 7); round++) {
        const [times, rates, cpus] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
        for (const { name, locking } of bench.shuffled(entries)) {
            const duration = bench.quick ? 150 : 800;
            const cost = await segment({ servers, disturbance }, () => cycles(locking, atOnce, duration));
            times.set(name, percentile(cost.answer, 50));
            rates.set(name, cost.answer.length / cost.elapsed);
            cpus.set(name, cost.clientCpu / cost.answer.length);
        }
        bench.addRatios(time, atOnce, times, ours.name);
        bench.addRatios(rate, atOnce, rates, raw.name);
        bench.addRatios(cpu, atOnce, cpus, raw.name);
    }
}

/** The first cycle of each waits to see that the node is frozen, and is not counted. */
async function freeze(bench: Bench, nodes: QuorumNodes, locking: Locking): Promise<void> {
    const duration = bench.quick ? 200 : 800;
    const p50 = async (): Promise<number> => percentile(await cycles(locking, 1, duration), 50);
    for (const [which, node] of [
        ['the last', nodes.servers.at(-1)],
        ['the first', nodes.servers[0]],
    ] as const) {
        if (node === undefined) continue;
        const name = `${quorumName(ours)}, ${which} frozen`;
        bench.contestants.set(name, 'the same');
        for (let round = 0; round < (bench.quick ? 2 : 7); round++) {
            const healthy = await p50();
            node.freeze();
            try {
                await (await locking.acquire('frozen')).release();
                bench.findings.add(frozen, name, 1, (await p50()) / healthy);
            } finally {
                node.thaw();
            }
            await (await locking.acquire('thawed')).release();
        }
    }
}
