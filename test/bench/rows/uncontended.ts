import type { Locking } from '../contestants/Contestant';
import { ours } from '../contestants/ours';
import { peers, tuned } from '../contestants/peers';
import { raw, rawPipelining } from '../contestants/raw';
import { RedisServer } from '../../fixtures/RedisServer';
import type { Bench, OpenContestant, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { segment } from '../harness/segment';
import type { Cost } from '../harness/segment';
import { ServerProbe } from '../harness/ServerProbe';
import { percentile } from '../harness/statistics';

const columns = 'calls at once';
const unit = 'relative to raw ioredis';
const chart = { logarithmic: true };

export const throughput: Metric = { name: 'throughput', title: 'Throughput', unit, columns, chart };
export const clientCpu: Metric = { name: 'clientCpu', title: 'CPU of the client per cycle', unit, columns, chart };
const serverCpu: Metric = { name: 'serverCpu', title: 'CPU of the server per cycle', unit, columns };
const p50: Metric = { name: 'p50', title: 'Time of a cycle, p50', unit, columns };
const p99: Metric = { name: 'p99', title: 'Time of a cycle, p99', unit, columns };
export const sent: Metric = { name: 'sent', title: 'Commands sent per cycle', unit: 'commands', columns };
const executed: Metric = {
    name: 'executed',
    title: 'Commands executed per cycle, also by scripts',
    unit: 'commands',
    columns,
};

/** Calls at once. */
const AT_ONCE = [1, 10, 100, 1000];

/** What nobody else wants. */
export const uncontended: Row = {
    name: 'uncontended',
    title: 'Uncontended: acquire and release',
    about: `A cycle acquires a key that was never used before and releases it. The loops run at once in one process, over one
connection; a round measures every contestant once, in random order, and compares it with the baseline of the same round.`,
    metrics: [throughput, clientCpu, serverCpu, p50, p99, sent, executed],
    run,
};

async function run(bench: Bench): Promise<void> {
    await using server = await RedisServer.start();
    await using probe = new ServerProbe(server);
    await using opened = await bench.open([raw, rawPipelining, ours, ...peers, ...tuned], server);
    for (const atOnce of AT_ONCE) {
        bench.tell(`${atOnce} at once`);
        await warmUp(bench, probe, opened.all, atOnce);
        for (let round = 0; round < (bench.quick ? 2 : 9); round++) {
            await measureRound(bench, probe, opened.all, atOnce);
        }
    }
}

/** The commands are counted meanwhile: that needs no quiet machine. */
async function warmUp(
    bench: Bench,
    probe: ServerProbe,
    contestants: readonly OpenContestant[],
    atOnce: number,
): Promise<void> {
    for (const { contestant, locking } of bench.shuffled(contestants)) {
        await cycles(locking, atOnce, bench.quick ? 60 : 500);
        let count = 0;
        const commands = await probe.count(async () => {
            count = (await cycles(locking, atOnce, 50)).length;
        });
        bench.findings.add(sent, contestant.name, atOnce, commands.sent / count);
        bench.findings.add(executed, contestant.name, atOnce, commands.executed / count);
    }
}

async function measureRound(
    bench: Bench,
    probe: ServerProbe,
    contestants: readonly OpenContestant[],
    atOnce: number,
): Promise<void> {
    const costs = new Map<string, Cost<Float64Array>>();
    for (const { contestant, locking } of bench.shuffled(contestants)) {
        const { disturbance } = bench;
        const options = { servers: [probe], disturbance, prepare: () => probe.empty() };
        const duration = bench.quick ? 120 : 600;
        costs.set(contestant.name, await segment(options, () => cycles(locking, atOnce, duration)));
    }
    const add = (metric: Metric, value: (cost: Cost<Float64Array>) => number): void => {
        const values = new Map([...costs].map(([name, cost]) => [name, value(cost)]));
        bench.addRatios(metric, atOnce, values, raw.name);
    };
    add(throughput, ({ answer, elapsed }) => answer.length / elapsed);
    add(clientCpu, (cost) => cost.clientCpu / cost.answer.length);
    add(serverCpu, (cost) => cost.serverCpu / cost.answer.length);
    add(p50, ({ answer }) => percentile(answer, 50));
    add(p99, ({ answer }) => percentile(answer, 99));
}

let used = 0;

/** Runs loops for some ms; answers the time of each cycle. */
export async function cycles(locking: Locking, atOnce: number, duration: number): Promise<Float64Array> {
    const times: number[] = [];
    const end = performance.now() + duration;
    const loop = async (): Promise<void> => {
        for (let since = performance.now(); since < end;) {
            const held = await locking.acquire(`uncontended:${(used += 1)}`);
            await held.release();
            const now = performance.now();
            times.push(now - since);
            since = now;
        }
    };
    await Promise.all(Array.from({ length: atOnce }, loop));
    return Float64Array.from(times);
}
