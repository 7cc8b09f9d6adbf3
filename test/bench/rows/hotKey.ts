import { setTimeout as sleep } from 'node:timers/promises';
import { machineTime } from '../../fixtures/worker';
import { RedisServer } from '../../fixtures/RedisServer';
import { waiting } from '../contestants';
import { localGrants, ours } from '../contestants/ours';
import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { handOffs } from '../harness/handOffs';
import { segment } from '../harness/segment';
import { ServerProbe } from '../harness/ServerProbe';
import { WaiterProcesses } from '../harness/WaiterProcesses';

const columns = 'waiters';

export const grants: Metric = {
    name: 'grants',
    title: 'Grants per second',
    unit: `relative to ${ours.name}`,
    columns,
    chart: { logarithmic: true },
};
export const commands: Metric = { name: 'commandsPerGrant', title: 'Sent per grant', unit: 'commands', columns };
const cpu: Metric = { name: 'cpuPerGrant', title: 'CPU of clients and server per grant', unit: grants.unit, columns };
const fairness: Metric = { name: 'hotFairness', title: "Jain's index of grants", unit: '1 is fair', columns };

const disorder: Metric = { name: 'hotDisorder', title: 'Order inversions', unit: 'of 1,000 grants', columns };

const WAITERS = 100;

/** How fast one key goes round. */
export const hotKey: Row = {
    name: 'hotKey',
    title: 'One hot key',
    about: `${WAITERS} callers in four processes want one key all the time, and release it as soon as they have it. Strict order over all
processes, which is this library's default, is the baseline. With locks that poll, the one that has released the key mostly takes it
again before another asks: their grants are many and unfair, as the inversions tell.`,
    metrics: [grants, commands, cpu, fairness, disorder],
    run,
};

interface Found {
    readonly perSecond: number;
    readonly cpu: number;
    readonly jain: number;
    /** Of 1,000 grants. */
    readonly inversions: number;
}

async function run(bench: Bench): Promise<void> {
    await using server = await RedisServer.start();
    await using probe = new ServerProbe(server);
    const names = await able(bench, server, bench.quick ? [ours, ...localGrants] : waiting);
    for (let round = 0; round < (bench.quick ? 1 : 5); round++) {
        const found = new Map<string, Found>();
        for (const name of bench.shuffled(names)) {
            const one = await bench.attempt(name, () => measured(bench, probe, server, name));
            if (one !== undefined) found.set(name, one);
        }
        const values = (value: (one: Found) => number): Map<string, number> =>
            new Map([...found].map(([name, one]) => [name, value(one)]));
        bench.addRatios(
            grants,
            WAITERS,
            values(({ perSecond }) => perSecond),
            ours.name,
        );
        bench.addRatios(
            cpu,
            WAITERS,
            values((one) => one.cpu),
            ours.name,
        );
        for (const [name, { jain, inversions }] of found) {
            bench.findings.add(fairness, name, WAITERS, jain);
            bench.findings.add(disorder, name, WAITERS, inversions);
        }
    }
    for (const name of names) {
        const sent = await bench.attempt(name, () => counted(bench, probe, server, name));
        if (sent !== undefined) bench.findings.add(commands, name, WAITERS, sent);
    }
}

/** Those that this version can open. */
async function able(bench: Bench, server: RedisServer, contestants: typeof waiting): Promise<string[]> {
    await using opened = await bench.open(contestants, server);
    return opened.all.map(({ contestant }) => contestant.name);
}

async function measured(bench: Bench, probe: ServerProbe, server: RedisServer, contestant: string): Promise<Found> {
    let helping = 0;
    const { answer } = await segment(
        {
            servers: [probe],
            disturbance: bench.disturbance,
            prepare: () => probe.empty(),
            helpers: async () => helping,
        },
        async () => {
            await using processes = await WaiterProcesses.open({
                contestant,
                server,
                size: WAITERS,
                stay: 0,
                again: true,
            });
            await processes.start();
            await sleep(bench.quick ? 300 : 1000);
            const before = { server: await probe.cpu(), clients: (await processes.report()).cpu, at: machineTime() };
            await sleep(bench.quick ? 700 : 3000);
            const report = await processes.report();
            helping += report.cpu;
            const all = handOffs(report, WAITERS, before.at);
            const used = report.cpu - before.clients + (await probe.cpu()) - before.server;
            const perSecond = (all.grants / (machineTime() - before.at)) * 1000;
            return {
                perSecond,
                cpu: used / all.grants,
                jain: all.jain,
                inversions: (all.inversions / all.grants) * 1000,
            };
        },
    );
    return answer;
}

async function counted(bench: Bench, probe: ServerProbe, server: RedisServer, contestant: string): Promise<number> {
    await probe.empty();
    await using processes = await WaiterProcesses.open({ contestant, server, size: WAITERS, stay: 0, again: true });
    await processes.start();
    await sleep(300);
    const before = (await processes.report()).holds.length;
    const { sent } = await probe.count(() => sleep(bench.quick ? 300 : 1000));
    return sent / ((await processes.report()).holds.length - before);
}
