import { setTimeout as sleep } from 'node:timers/promises';
import { machineTime } from '../../fixtures/worker';
import { RedisServer } from '../../fixtures/RedisServer';
import { waiting } from '../contestants';
import { localGrants, ours } from '../contestants/ours';
import { RING, RING_DOES } from '../contestants/ring';
import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { handOffs } from '../harness/handOffs';
import type { HandOffs } from '../harness/handOffs';
import { segment } from '../harness/segment';
import { ServerProbe } from '../harness/ServerProbe';
import { WaiterProcesses } from '../harness/WaiterProcesses';

const columns = 'waiters';
const unit = `relative to ${RING}`;

export const latency50: Metric = {
    name: 'latency50',
    title: 'Time of a hand-off, p50',
    unit,
    columns,
    chart: { logarithmic: true },
};
export const latency99: Metric = { name: 'latency99', title: 'Time of a hand-off, p99', unit, columns };
export const sentBrief: Metric = {
    name: 'sentBrief',
    title: 'Sent per cycle, held for 2 ms',
    unit: 'commands',
    columns,
};
export const sentLong: Metric = {
    name: 'sentLong',
    title: 'Sent per cycle, held for 25 ms',
    unit: 'commands',
    columns,
};
export const fairness: Metric = { name: 'fairness', title: "Jain's index of grants", unit: '1 is fair', columns };
export const starved: Metric = { name: 'starved', title: 'Waiters never served', unit: 'in a round', columns };
export const disorder: Metric = { name: 'disorder', title: 'Order inversions', unit: 'of 1,000 grants', columns };

/** For how long a holder has the key, ms. */
const [BRIEF, LONG] = [2, 25];
const WAITERS = [1, 10, 100, 1000];

/** A key that everybody wants. */
export const handOff: Row = {
    name: 'handOff',
    title: 'Contended: from one to the next',
    about: `So many wait for one key, and one more has it, in four processes; each holds it for ${BRIEF} ms, releases it and waits again.
The time is that from the call of release to the return of acquire for who was waiting meanwhile, in whatever process; a grant to
one who asks only after the release, and so overtakes all who wait, is no hand-off and not timed. It is compared with that from PUBLISH to its message in another process, among as many. A round is as long as it takes to serve everybody
three times, or 1.5 s; commands are counted in rounds of their own, also with a hold of ${LONG} ms, after which this library has
sent the confirmation that it saves for brief holds. An inversion is a grant to one while another waited who had asked 10 ms
earlier. Peers that poll send the more the longer a key is held.`,
    metrics: [latency50, latency99, sentBrief, sentLong, fairness, starved, disorder],
    run,
};

async function run(bench: Bench): Promise<void> {
    await using server = await RedisServer.start();
    await using probe = new ServerProbe(server);
    bench.contestants.set(RING, RING_DOES);
    const strict = waiting.filter((one) => !localGrants.includes(one));
    for (const { name, does } of strict) bench.contestants.set(name, does);
    for (const waiters of WAITERS) {
        bench.tell(`${waiters} waiters`);
        const names = [RING, ...strict.map(({ name }) => name)].filter(
            (name) => !bench.quick || inQuick(name, waiters),
        );
        for (let round = 0; round < (bench.quick ? 1 : 3); round++) {
            const found = new Map<string, HandOffs>();
            for (const name of bench.shuffled(names)) {
                found.set(name, await measured(bench, probe, server, name, waiters));
            }
            record(bench, waiters, found);
        }
        for (const name of bench.quick ? [ours.name] : names) await count(bench, probe, server, name, waiters);
    }
}

/** The peers take their time. */
function inQuick(name: string, waiters: number): boolean {
    return name === RING || name === ours.name || (name === 'redis-semaphore' && waiters <= 100);
}

function record(bench: Bench, waiters: number, found: ReadonlyMap<string, HandOffs>): void {
    const values = (value: (one: HandOffs) => number): Map<string, number> =>
        new Map([...found].map(([name, one]) => [name, value(one)]));
    bench.addRatios(
        latency50,
        waiters,
        values(({ p50 }) => p50),
        RING,
    );
    bench.addRatios(
        latency99,
        waiters,
        values(({ p99 }) => p99),
        RING,
    );
    for (const [name, one] of found) {
        bench.findings.add(fairness, name, waiters, one.jain);
        bench.findings.add(starved, name, waiters, one.starved);
        bench.findings.add(disorder, name, waiters, (one.inversions / one.grants) * 1000);
    }
}

async function measured(
    bench: Bench,
    probe: ServerProbe,
    server: RedisServer,
    contestant: string,
    waiters: number,
): Promise<HandOffs> {
    const size = waiters + 1;
    const whole = size * (BRIEF + 1);
    const [warm, duration] = bench.quick ? [300 + whole / 4, 500 + whole] : [500 + whole, Math.max(3 * whole, 1500)];
    let helping = 0;
    const { answer } = await segment(
        {
            servers: [probe],
            disturbance: bench.disturbance,
            prepare: () => probe.empty(),
            helpers: async () => helping,
        },
        async () => {
            await using processes = await WaiterProcesses.open({ contestant, server, size, stay: BRIEF });
            await processes.start();
            await sleep(warm);
            const since = machineTime();
            await sleep(duration);
            const report = await processes.report();
            helping += report.cpu;
            return handOffs(report, size, since);
        },
    );
    return answer;
}

/** Commands, per grant, once everybody waits. */
async function count(
    bench: Bench,
    probe: ServerProbe,
    server: RedisServer,
    contestant: string,
    waiters: number,
): Promise<void> {
    for (const [stay, metric] of [
        [BRIEF, sentBrief],
        [LONG, sentLong],
    ] as const) {
        await probe.empty();
        const size = waiters + 1;
        await using processes = await WaiterProcesses.open({ contestant, server, size, stay });
        await processes.start();
        await sleep(300 + waiters);
        const before = (await processes.report()).holds.length;
        const { sent } = await probe.count(() => sleep(bench.quick ? 500 : 2000));
        const grants = (await processes.report()).holds.length - before;
        bench.findings.add(metric, contestant, waiters, sent / grants);
    }
}
