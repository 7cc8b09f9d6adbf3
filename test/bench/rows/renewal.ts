import { join } from 'node:path';
import { RedisServer } from '../../fixtures/RedisServer';
import { ours, withThread } from '../contestants/ours';
import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { segment } from '../harness/segment';
import { ServerProbe } from '../harness/ServerProbe';
import { runTask } from '../harness/task';
import type { Renewal, RenewalCost } from './renewalTask';

const TIMERS = 'one timer per lease';
const ALLOWED = 10;
const unit = `relative to ${TIMERS}`;
const columns = 'leases';

export const renewalCpu: Metric = { name: 'renewalCpu', title: 'CPU of the client per lease', unit, columns };
const renewalServerCpu: Metric = { name: 'renewalServerCpu', title: 'CPU of the server per lease', unit, columns };
export const worstDelay: Metric = {
    name: 'worstDelay',
    title: 'Worst delay of the event loop when all are due at once',
    unit: `as a part of the ${ALLOWED} ms that are allowed`,
    columns,
};
const held: Metric = { name: 'held', title: 'Leases held to the end', unit: 'of all', columns };

/** How many leases: the goals are about the greater number. */
const [FEW, MANY] = [10_000, 100_000];

const NAMES: Readonly<Record<Renewal['how'], string>> = {
    library: ours.name,
    thread: withThread.name,
    timers: TIMERS,
};

/** Keeping very many leases alive. */
export const renewal: Row = {
    name: 'renewal',
    title: 'Keeping leases alive',
    about: `One process holds very many leases and renews each at a third of its ttl. The baseline has a timer for each, which sends
EVALSHA of compare-and-PEXPIRE with raw ioredis. CPU is that of one renewal of each lease. Then the event loop is blocked until
all of them are due, and the longest delay after that is told.`,
    metrics: [renewalCpu, renewalServerCpu, worstDelay, held],
    run,
};

async function run(bench: Bench): Promise<void> {
    await using server = await RedisServer.start();
    await using probe = new ServerProbe(server);
    bench.contestants.set(
        TIMERS,
        'a baseline of renewal: setInterval and EVALSHA of compare-and-PEXPIRE for each lease',
    );
    for (const { name, does } of [ours, withThread]) bench.contestants.set(name, does);
    for (const leases of bench.quick ? [FEW] : [FEW, MANY]) {
        bench.tell(`${leases} leases`);
        for (let round = 0; round < (bench.quick ? 1 : 3); round++) {
            const costs = new Map<string, RenewalCost>();
            for (const how of bench.shuffled(['library', 'thread', 'timers'] as const)) {
                costs.set(NAMES[how], await measured(bench, probe, server, how, leases));
            }
            bench.addRatios(renewalCpu, leases, map(costs, 'clientCpu'), TIMERS);
            bench.addRatios(renewalServerCpu, leases, map(costs, 'serverCpu'), TIMERS);
            for (const [name, cost] of costs) {
                bench.findings.add(worstDelay, name, leases, cost.worstDelay / ALLOWED);
                bench.findings.add(held, name, leases, cost.held / leases);
            }
        }
    }
}

function map(costs: ReadonlyMap<string, RenewalCost>, field: keyof RenewalCost): Map<string, number> {
    return new Map([...costs].map(([name, cost]) => [name, cost[field]]));
}

async function measured(
    bench: Bench,
    probe: ServerProbe,
    server: RedisServer,
    how: Renewal['how'],
    leases: number,
): Promise<RenewalCost> {
    const { disturbance } = bench;
    const { host, port } = server;
    const task: Renewal = { how, server: { host, port }, leases, ttl: leases > FEW ? 30_000 : 4500 };
    let helping = 0;
    const prepare = (): Promise<void> => probe.empty();
    const helpers = async (): Promise<number> => helping;
    const { answer } = await segment({ servers: [probe], disturbance, prepare, helpers }, async () => {
        const cost = await runTask<RenewalCost>(join(__dirname, 'renewalTask.js'), task);
        helping += cost.total;
        return cost;
    });
    return answer;
}
