/**
 * Acquires and releases again and again, on a quorum of three, with waiters, losses and keys that are never used again: does
 * the memory of this process grow?
 *
 *     npm run build && node --expose-gc obj/test/bench/soak.js [cycles, default 10000000]
 *
 * Prints the heap in use after each twentieth; exits with 1 when it grew by more than 4 MB after the first fifth.
 */
import type { RedisLock } from '../../src';
import { openLock } from '../fixtures/Locks';
import { QuorumNodes } from '../fixtures/QuorumNodes';

const [LONGEST, NODE, AT_ONCE, LIMIT] = [3000, 1500, 100, 4 * 1024 * 1024];

let failed = 0;

/** So many cycles at once: with keys of their own, most of them; some wait for each other, and some are left to run out. */
async function together(lock: RedisLock, from: number): Promise<void> {
    await Promise.all(
        Array.from({ length: AT_ONCE }, async (_, at) => {
            const key = at % 10 === 0 ? `shared:${at % 3}` : `own:${from + at}`;
            // On a machine that stood still for a moment a node may be too late: that is a cycle, too.
            const lease = await lock
                .acquire(null, key, { ttl: LONGEST, timeout: 60_000, keepAlive: false })
                .catch(() => undefined);
            if (lease === undefined) failed += 1;
            else if (at !== 1) await lease.release().catch(() => false);
        }),
    );
}

/** Heap in use when nothing is left to be collected, bytes. */
function heap(): number {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
}

async function run(cycles: number): Promise<boolean> {
    if (globalThis.gc === undefined) throw new Error('It needs --expose-gc');
    await using nodes = await QuorumNodes.start(3);
    await nodes.voting(LONGEST);
    const lock = await openLock(nodes.servers, { ttl: LONGEST, node_timeout: NODE });
    try {
        const heaps: number[] = [];
        for (let done = 0; done < cycles;) {
            await together(lock, done);
            done += AT_ONCE;
            if (done % Math.max(Math.ceil(cycles / 20 / AT_ONCE) * AT_ONCE, AT_ONCE) !== 0) continue;
            heaps.push(heap());
            console.log(`${done} cycles: ${((heaps.at(-1) ?? 0) / 1024 / 1024).toFixed(1)} MB`);
        }
        const grown = (heaps.at(-1) ?? 0) - (heaps[Math.floor(heaps.length / 5)] ?? 0);
        console.log(`grown by ${(grown / 1024 / 1024).toFixed(1)} MB; ${failed} acquisitions failed`);
        return grown <= LIMIT;
    } finally {
        await lock.close(null);
    }
}

run(Number(process.argv[2] ?? 10_000_000)).then(
    (good) => {
        process.exitCode = good ? 0 : 1;
    },
    (error: unknown) => {
        console.error(error);
        process.exitCode = 1;
    },
);
