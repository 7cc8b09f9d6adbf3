/**
 * What a lock on five independent nodes costs, against one on a single server, and what one frozen node does to it.
 *
 *     npm run build && node obj/test/bench/quorum.js
 *
 * Prints the median time of acquire + release for each, over several rounds in turn, and their ratios; exits with 1 when
 * a frozen node makes it slower by more than half. Absolute times are those of this machine at this moment.
 */
import { openLock } from '../fixtures/Locks';
import { QuorumNodes } from '../fixtures/QuorumNodes';
import type { RedisLock } from '../../src';

const [ROUNDS, CYCLES, LONGEST, LIMIT] = [5, 400, 2000, 1.5];

async function cycles(lock: RedisLock, key: string): Promise<number> {
    const times: number[] = [];
    for (let at = 0; at < CYCLES; at++) {
        const since = performance.now();
        const lease = await lock.acquire(null, `${key}:${at}`, { ttl: LONGEST, keepAlive: false });
        await lease.release();
        times.push(performance.now() - since);
    }
    return median(times);
}

function median(values: readonly number[]): number {
    return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

function tell(name: string, ratios: readonly number[]): number {
    const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((one) => one.toFixed(2));
    console.log(`${name}: ${median(ratios).toFixed(2)} (${least}–${most})`);
    return median(ratios);
}

async function run(): Promise<boolean> {
    await using nodes = await QuorumNodes.start(5);
    const [first, last] = [nodes.servers[0], nodes.servers[4]];
    if (first === undefined || last === undefined) return false;
    const single = await openLock(first, { ttl: LONGEST });
    await nodes.voting(LONGEST);
    const quorum = await openLock(nodes.servers, { ttl: LONGEST });
    try {
        const against: { single: number[]; last: number[]; lead: number[] } = { single: [], last: [], lead: [] };
        await Promise.all([cycles(single, 'warm:1'), cycles(quorum, 'warm:5')]);
        for (let round = 0; round < ROUNDS; round++) {
            const alone = await cycles(single, `single:${round}`);
            const all = await cycles(quorum, `all:${round}`);
            against.single.push(all / alone);
            for (const [node, ratios] of [
                [last, against.last],
                [first, against.lead],
            ] as const) {
                node.freeze();
                // The first one waits to see that it is frozen.
                await (await quorum.acquire(null, 'frozen', { ttl: LONGEST })).release();
                ratios.push((await cycles(quorum, `frozen:${round}`)) / all);
                node.thaw();
                await (await quorum.acquire(null, 'thawed', { ttl: LONGEST })).release();
            }
        }
        tell('five nodes : one server', against.single);
        const worst = Math.max(
            tell('five nodes, the last frozen : all healthy', against.last),
            tell('five nodes, the first, which leads, frozen : all healthy', against.lead),
        );
        return worst <= LIMIT;
    } finally {
        await Promise.all([single.close(null), quorum.close(null)]);
    }
}

run().then(
    (good) => {
        process.exitCode = good ? 0 : 1;
    },
    (error: unknown) => {
        console.error(error);
        process.exitCode = 1;
    },
);
