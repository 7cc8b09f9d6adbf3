import { setTimeout as sleep } from 'node:timers/promises';
import { machineTime } from '../../fixtures/worker';
import { RedisServer } from '../../fixtures/RedisServer';
import { waiting } from '../contestants';
import { localGrants, ours } from '../contestants/ours';
import { RING, RING_DOES } from '../contestants/ring';
import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { handOffs } from '../harness/handOffs';
import { segment } from '../harness/segment';
import { ServerProbe } from '../harness/ServerProbe';
import { WaiterProcesses } from '../harness/WaiterProcesses';
import type { Report } from '../harness/WaiterProcesses';

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

/** Of a round in which each is served once, ms; a slower contestant is judged by those that were served. */
const LONGEST = 6000;

/** A key that everybody wants. */
export const handOff: Row = {
    name: 'handOff',
    title: 'Contended: from one to the next',
    about: `A number of callers wait for one key, and one more has it, in four processes; each holds it for ${BRIEF} ms. Times are of rounds in which all
ask at once and each is served once: from the call of release to the return of acquire for one who was waiting, in whatever
process. They are compared with that from PUBLISH to its message in another process, among as many. Order and fairness are of
rounds in which the one that has released the key asks again at once: an inversion is a grant to one while another waited who had
asked 25 ms earlier. Commands are counted in the same way, also with a hold of ${LONG} ms, after which this library has sent the
confirmation that it saves for brief holds; peers that poll send the more the longer a key is held.`,
    metrics: [latency50, latency99, sentBrief, sentLong, fairness, starved, disorder],
    run,
};

async function run(bench: Bench): Promise<void> {
    await using server = await RedisServer.start();
    await using probe = new ServerProbe(server);
    bench.contestants.set(RING, RING_DOES);
    const strict = waiting.filter((one) => !localGrants.includes(one));
    for (const { name, does } of strict) bench.contestants.set(name, does);
    for (const waiters of bench.quick ? [1, 100, 1000] : WAITERS) {
        bench.tell(`${waiters} waiters`);
        const names = [RING, ...strict.map(({ name }) => name)].filter(
            (name) => !bench.quick || inQuick(name, waiters),
        );
        const place = { bench, probe, server, waiters };
        for (let round = 0; round < (bench.quick ? 1 : 3); round++) await compare(place, names);
        for (const name of bench.shuffled(bench.quick ? [ours.name] : names)) {
            await bench.attempt(name, () => observe(place, name));
            await bench.attempt(name, () => count(place, name, LONG, sentLong));
            if (!bench.quick) await bench.attempt(name, () => count(place, name, BRIEF, sentBrief));
        }
    }
}

interface Place {
    readonly bench: Bench;
    readonly probe: ServerProbe;
    readonly server: RedisServer;
    readonly waiters: number;
}

/** The peers take their time. */
function inQuick(name: string, waiters: number): boolean {
    return name === RING || name === ours.name || (name === 'redis-semaphore' && waiters === 100);
}

/** The time of hand-offs, of each contestant. */
async function compare(place: Place, names: readonly string[]): Promise<void> {
    const { bench, probe, waiters } = place;
    const [p50, p99] = [new Map<string, number>(), new Map<string, number>()];
    for (const name of bench.shuffled(names)) {
        let helping = 0;
        const options = {
            servers: [probe],
            disturbance: bench.disturbance,
            prepare: () => probe.empty(),
            helpers: async () => helping,
        };
        const cost = await bench.attempt(name, () =>
            segment(options, async () => {
                const { report, since } = await serveOnce(place, name);
                helping += report.cpu;
                return handOffs(report, waiters + 1, since);
            }),
        );
        if (cost === undefined) continue;
        p50.set(name, cost.answer.p50);
        p99.set(name, cost.answer.p99);
    }
    bench.addRatios(latency50, waiters, p50, RING);
    bench.addRatios(latency99, waiters, p99, RING);
}

/** All ask at once, and each is served once; again and again, until that took long enough. The first round is not counted. */
async function serveOnce(
    { bench, server, waiters }: Place,
    contestant: string,
): Promise<{ report: Report; since: number }> {
    const size = waiters + 1;
    await using processes = await WaiterProcesses.open({ contestant, server, size, stay: BRIEF, again: false });
    const serve = async (): Promise<void> => {
        const served = processes.start();
        // The processes are killed while it waits, if it takes too long.
        served.catch(() => undefined);
        await Promise.race([served, sleep(LONGEST, null, { ref: false })]);
    };
    await serve();
    const since = machineTime();
    const end = performance.now() + (bench.quick ? 400 : 2000);
    do await serve();
    while (performance.now() < end);
    return { report: await processes.report(), since };
}

/** Order and fairness, when everybody wants the key all the time. */
async function observe({ bench, probe, server, waiters }: Place, contestant: string): Promise<void> {
    await probe.empty();
    const size = waiters + 1;
    const whole = size * (BRIEF + 1);
    await using processes = await WaiterProcesses.open({ contestant, server, size, stay: BRIEF, again: true });
    await processes.start();
    await sleep(300 + whole / 4);
    const since = machineTime();
    await sleep(bench.quick ? 300 + whole * 1.1 : 1500 + whole * 3);
    const found = handOffs(await processes.report(), size, since);
    bench.findings.add(fairness, contestant, waiters, found.jain);
    bench.findings.add(starved, contestant, waiters, found.starved);
    bench.findings.add(disorder, contestant, waiters, (found.inversions / found.grants) * 1000);
}

/** Commands per grant, once everybody waits. */
async function count(
    { bench, probe, server, waiters }: Place,
    contestant: string,
    stay: number,
    metric: Metric,
): Promise<void> {
    await probe.empty();
    await using processes = await WaiterProcesses.open({ contestant, server, size: waiters + 1, stay, again: true });
    await processes.start();
    await sleep(300 + waiters);
    const before = (await processes.report()).holds.length;
    const { sent } = await probe.count(() => sleep(bench.quick ? 400 : 2000));
    const grants = (await processes.report()).holds.length - before;
    bench.findings.add(metric, contestant, waiters, sent / grants);
}
