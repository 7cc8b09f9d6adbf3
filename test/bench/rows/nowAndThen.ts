import { setTimeout as sleep } from 'node:timers/promises';
import type { Locking } from '../contestants/Contestant';
import { ours } from '../contestants/ours';
import { peers, tuned } from '../contestants/peers';
import { raw, rawPipelining } from '../contestants/raw';
import { RedisServer } from '../../fixtures/RedisServer';
import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { segment } from '../harness/segment';
import { ServerProbe } from '../harness/ServerProbe';
import { percentile } from '../harness/statistics';

/** Between two cycles, ms. */
const PAUSE = 5;

export const rareTime: Metric = {
    name: 'rareTime',
    title: 'Time of a cycle, p50',
    unit: 'relative to raw ioredis',
    columns: 'calls at once',
};

/** As most services call: now and then, so that little of the code is in the processor's caches. */
export const nowAndThen: Row = {
    name: 'nowAndThen',
    title: `A cycle every ${PAUSE} ms`,
    about: `One caller acquires a key that was never used before, releases it, and does nothing for ${PAUSE} ms. Most services call like that, and
code that runs rarely runs slowly.`,
    metrics: [rareTime],
    run,
};

async function run(bench: Bench): Promise<void> {
    await using server = await RedisServer.start();
    await using probe = new ServerProbe(server);
    await using opened = await bench.open([raw, rawPipelining, ours, ...peers, ...tuned], server);
    const { disturbance } = bench;
    const options = { servers: [probe], disturbance, prepare: () => probe.empty() };
    const count = bench.quick ? 40 : 200;
    for (const { locking } of bench.shuffled(opened.all)) await rareCycles(locking, count);
    for (let round = 0; round < (bench.quick ? 2 : 9); round++) {
        const times = new Map<string, number>();
        for (const { contestant, locking } of bench.shuffled(opened.all)) {
            const { answer } = await segment(options, () => rareCycles(locking, count));
            times.set(contestant.name, percentile(answer, 50));
        }
        bench.addRatios(rareTime, 1, times, raw.name);
    }
}

let used = 0;

async function rareCycles(locking: Locking, count: number): Promise<Float64Array> {
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
        await sleep(PAUSE);
        const since = performance.now();
        const held = await locking.acquire(`now-and-then:${(used += 1)}`);
        await held.release();
        times.push(performance.now() - since);
    }
    return Float64Array.from(times);
}
