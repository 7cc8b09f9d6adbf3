import { setTimeout as sleep } from 'node:timers/promises';
import { openLock } from '../../fixtures/Locks';
import { RedisServer } from '../../fixtures/RedisServer';
import type { Contestant, Locking } from '../contestants/Contestant';
import { ours } from '../contestants/ours';
import { oursShared, PERMITS, semaphore } from '../contestants/sharing';
import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { segment } from '../harness/segment';
import { ServerProbe } from '../harness/ServerProbe';
import { percentile } from '../harness/statistics';

/** Calls at once. */
const AT_ONCE = [1, 10, 100];

/** How long each reader keeps the key, and how many there are all the time. */
const HOLD = 10;
const READERS = 100;

const columns = 'calls at once';

export const sharedRate: Metric = {
    name: 'sharedRate',
    title: 'Cycles per second',
    unit: 'relative to exclusive ones of this library, each of a key of its own',
    columns,
};
export const permitRate: Metric = {
    name: 'permitRate',
    title: `Cycles per second, ${PERMITS} permits`,
    unit: 'relative to redis-semaphore',
    columns,
};
export const writerWait: Metric = {
    name: 'writerWait',
    title: 'How long a writer waits',
    unit: 'relative to how long a reader keeps the key',
    columns: 'readers',
};

/** What readers and permits cost, and how long a writer waits among readers. */
export const sharing: Row = {
    name: 'sharing',
    title: 'Shared: readers and permits',
    about: `Loops share one key: as readers, or each with one of ${PERMITS} permits. Where more than ${PERMITS} want a permit, they wait for
each other. Then ${READERS} readers come and go, each of which keeps the key for ${HOLD} ms, and a writer asks for it now and then.`,
    metrics: [sharedRate, permitRate, writerWait],
    run,
};

async function run(bench: Bench): Promise<void> {
    await using server = await RedisServer.start();
    await using probe = new ServerProbe(server);
    await using opened = await bench.open([ours, ...oursShared, semaphore], server);
    const [readers, permits] = oursShared;
    for (const atOnce of AT_ONCE) {
        bench.tell(`${atOnce} at once`);
        for (let round = -1; round < (bench.quick ? 2 : 9); round++) {
            const rates = new Map<string, number>();
            for (const { contestant, locking } of bench.shuffled(opened.all)) {
                const { disturbance } = bench;
                const options = { servers: [probe], disturbance, prepare: () => probe.empty() };
                const work = (): Promise<number> => cycles(contestant, locking, atOnce, bench.quick ? 120 : 600);
                const { answer, elapsed } = await segment(options, work);
                rates.set(contestant.name, answer / elapsed);
            }
            // The first round warms up.
            if (round < 0) continue;
            bench.addRatios(sharedRate, atOnce, picked(rates, [ours, readers]), ours.name);
            bench.addRatios(permitRate, atOnce, picked(rates, [permits, semaphore]), semaphore.name);
        }
    }
    for (let round = 0; round < (bench.quick ? 1 : 3); round++) await writer(bench, server);
}

function picked(
    rates: ReadonlyMap<string, number>,
    contestants: readonly (Contestant | undefined)[],
): Map<string, number> {
    return new Map(
        contestants.flatMap((one) => {
            const rate = one === undefined ? undefined : rates.get(one.name);
            return one === undefined || rate === undefined ? [] : [[one.name, rate] as const];
        }),
    );
}

let used = 0;

/** How many cycles a number of loops do in some ms. */
async function cycles(contestant: Contestant, locking: Locking, atOnce: number, duration: number): Promise<number> {
    const end = performance.now() + duration;
    let done = 0;
    const loop = async (): Promise<void> => {
        while (performance.now() < end) {
            const key = contestant === ours ? `sharing:${(used += 1)}` : 'sharing';
            await (await locking.acquire(key)).release();
            done += 1;
        }
    };
    await Promise.all(Array.from({ length: atOnce }, loop));
    return done;
}

/** A reader that comes while a writer waits stands behind it. */
async function writer(bench: Bench, server: RedisServer): Promise<void> {
    const lock = await openLock(server, { ttl: 30_000 });
    let goOn = true;
    const reader = async (): Promise<void> => {
        while (goOn) {
            const lease = await lock.acquire(null, 'written', { mode: 'shared', timeout: Infinity });
            await sleep(HOLD);
            await lease.release();
        }
    };
    const readers = Array.from({ length: READERS }, reader);
    const waits: number[] = [];
    for (let write = 0; write < (bench.quick ? 5 : 50); write++) {
        await sleep(3 * HOLD);
        const since = performance.now();
        const lease = await lock.acquire(null, 'written', { timeout: Infinity });
        waits.push(performance.now() - since);
        await lease.release();
    }
    goOn = false;
    await Promise.all(readers);
    await lock.close(null);
    bench.findings.add(writerWait, ours.name, READERS, percentile(Float64Array.from(waits), 50) / HOLD);
}
