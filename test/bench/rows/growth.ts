import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisLock } from '../../../src';
import { openLock } from '../../fixtures/Locks';
import { RedisServer } from '../../fixtures/RedisServer';
import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { segment } from '../harness/segment';
import type { Cost } from '../harness/segment';
import { ServerProbe } from '../harness/ServerProbe';
import { cycles } from './uncontended';

const chart = { logarithmic: false };
const unit = 'relative to that with 10';

const byKeys: Metric = {
    name: 'growthKeys',
    title: 'Cost of an acquire and release',
    unit,
    columns: 'keys held meanwhile',
    chart,
};
const byWaiters: Metric = {
    name: 'growthWaiters',
    title: 'Cost of a hand-off',
    unit,
    columns: 'waiters for the key',
    chart,
};
export const growthKeys: Metric = { name: 'shareKeys', title: 'Growth', unit: 'as a part of log n', columns: 'keys' };
export const growthWaiters: Metric = { ...growthKeys, name: 'shareWaiters', columns: 'waiters' };

/** What a cycle costs; memory is that per key or waiter. */
export const QUANTITIES = ['client CPU', 'server CPU', 'commands', 'server memory'] as const;
type Quantities = Readonly<Record<(typeof QUANTITIES)[number], number>>;

const KEYS = [10, 100, 1000, 10_000, 100_000];
const WAITERS = [1, 10, 100, 1000, 10_000];
/** The first with a logarithm. */
const FROM = 10;

/** Nothing of what is held is renewed meanwhile, ms. */
const TTL = 900_000;

/** How the cost of one more grows with the number there is. */
export const growth: Row = {
    name: 'growth',
    title: 'How cost grows',
    about: `This library against itself: cycles of other keys, ten at once, while a number of keys are held; and hand-offs of one key, which
is released at once, while a number of callers wait for it in one process. Memory of the server is divided by the number of keys or waiters.
What grows with the logarithm of n costs log n / log ${FROM} of what it costs with ${FROM}: growth is told as a part of that.`,
    metrics: [byKeys, growthKeys, byWaiters, growthWaiters],
    run,
};

async function run(bench: Bench): Promise<void> {
    for (let round = 0; round < (bench.quick ? 1 : 3); round++) {
        record(bench, [byKeys, growthKeys], await alone(bench, (lock, probe) => keys(bench, lock, probe)));
        record(bench, [byWaiters, growthWaiters], await alone(bench, (lock, probe) => waiters(bench, lock, probe)));
    }
}

type Found = Map<number, Quantities>;

/** Each on a server that has done nothing else. */
async function alone(bench: Bench, measure: (lock: RedisLock, probe: ServerProbe) => Promise<Found>): Promise<Found> {
    await using server = await RedisServer.start();
    await using probe = new ServerProbe(server);
    const lock = await openLock(server, { ttl: TTL, max_held: 200_000, max_waiting: 20_000 });
    try {
        await cycles(lockingOf(lock), 10, bench.quick ? 300 : 2000);
        await probe.empty();
        return await measure(lock, probe);
    } finally {
        await lock.close(null);
    }
}

function lockingOf(lock: RedisLock): Parameters<typeof cycles>[0] {
    return {
        acquire: (key) => lock.acquire(null, key, { timeout: 60_000 }),
        [Symbol.asyncDispose]: () => lock.close(null),
    };
}

async function keys(bench: Bench, lock: RedisLock, probe: ServerProbe): Promise<Found> {
    const found: Found = new Map();
    let held = 0;
    for (const count of KEYS.slice(0, bench.quick ? -1 : undefined)) {
        bench.tell(`${count} keys`);
        while (held < count) {
            const some = Array.from({ length: Math.min(count - held, 500) }, (_, at) => `held:${held + at}`);
            await Promise.all(some.map((key) => lock.acquire(null, key, { timeout: 60_000 })));
            held += some.length;
        }
        const memory = (await probe.memory('*held:*')) / count;
        const work = async (): Promise<number> => (await cycles(lockingOf(lock), 10, duration(bench))).length;
        found.set(count, await quantities(bench, probe, memory, work));
        // With what is remembered of them.
        await probe.forget('*uncontended:*');
    }
    return found;
}

async function waiters(bench: Bench, lock: RedisLock, probe: ServerProbe): Promise<Found> {
    const found: Found = new Map();
    let [served, paused] = [0, true];
    // The one that has the key while nothing is measured keeps it until it goes on.
    let goOn: () => void = () => undefined;
    const loop = async (): Promise<void> => {
        for (;;) {
            const lease = await lock.acquire(null, 'hot', { timeout: Infinity });
            if (paused) await new Promise<void>((resolve) => (goOn = resolve));
            served += 1;
            await lease.release();
        }
    };
    const work = async (): Promise<number> => {
        [served, paused] = [0, false];
        goOn();
        await sleep(duration(bench));
        paused = true;
        return served;
    };
    let waiting = -1;
    for (const count of WAITERS.slice(0, bench.quick ? -1 : undefined)) {
        bench.tell(`${count} waiters`);
        while (waiting < count) {
            for (const to = Math.min(waiting + 200, count); waiting < to; waiting++) {
                // They end when the lock is closed.
                loop().catch(() => undefined);
            }
            await sleep(20);
        }
        await sleep(300);
        const memory = (await probe.memory('*hot*')) / count;
        found.set(count, await quantities(bench, probe, memory, work));
    }
    return found;
}

function duration(bench: Bench): number {
    return bench.quick ? 200 : 800;
}

async function quantities(
    bench: Bench,
    probe: ServerProbe,
    memory: number,
    work: () => Promise<number>,
): Promise<Quantities> {
    const cost: Cost<number> = await segment({ servers: [probe], disturbance: bench.disturbance }, work);
    let done = 0;
    const { sent } = await probe.count(async () => {
        done = await work();
    });
    return {
        'client CPU': cost.clientCpu / cost.answer,
        'server CPU': cost.serverCpu / cost.answer,
        commands: sent / done,
        'server memory': memory,
    };
}

function record(bench: Bench, [relative, share]: readonly [Metric, Metric], found: Found): void {
    const unitOf = found.get(FROM);
    if (unitOf === undefined) return;
    for (const [count, values] of found) {
        for (const quantity of QUANTITIES) {
            const ratio = values[quantity] / unitOf[quantity];
            bench.findings.add(relative, quantity, count, ratio);
            if (count > FROM) bench.findings.add(share, quantity, count, ratio / (Math.log(count) / Math.log(FROM)));
        }
    }
}
