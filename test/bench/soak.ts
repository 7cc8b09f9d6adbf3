/**
 * Acquires and releases again and again, on a quorum of three, with waiters, losses and keys that are never used again, in strict
 * order and with local succession: do the memory and the open files of this process grow?
 *
 *     npm run soak -- [--cycles NUMBER | --minutes NUMBER]
 *
 * Does ten million cycles if it is not told otherwise. Prints the heap in use and the file descriptors after each twentieth;
 * exits with 1 when either grew after the first fifth, the heap by more than 4 MB.
 */
import { existsSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { RedisLock } from '../../src';
import { openLock } from '../fixtures/Locks';
import { QuorumNodes } from '../fixtures/QuorumNodes';

const [LONGEST, NODE, AT_ONCE] = [3000, 1500, 100];

/** By how much the heap may grow, MB. */
const LIMIT = 4;

let failed = 0;

/** How many cycles run at once: with keys of their own, most of them; some wait for each other, and some are left to run out. */
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

interface Reading {
    /** Heap in use when nothing is left to be collected, MB. */
    readonly heap: number;
    /** Open file descriptors; 0 where the system does not tell. */
    readonly files: number;
}

function read(): Reading {
    globalThis.gc?.();
    return {
        heap: process.memoryUsage().heapUsed / 1024 / 1024,
        files: existsSync('/dev/fd') ? readdirSync('/dev/fd').length : 0,
    };
}

async function run(): Promise<boolean> {
    if (globalThis.gc === undefined) throw new Error('It needs --expose-gc');
    const { values } = parseArgs({ options: { cycles: { type: 'string' }, minutes: { type: 'string' } } });
    const cycles = Number(values.cycles ?? 10_000_000);
    const time = Number(values.minutes ?? Infinity) * 60_000;
    await using nodes = await QuorumNodes.start(3);
    await nodes.voting(LONGEST);
    const options = { ttl: LONGEST, node_timeout: NODE };
    const locks = [
        await openLock(nodes.servers, options),
        await openLock(nodes.servers, { ...options, local_grants: 4 }),
    ];
    try {
        const readings: Reading[] = [];
        const since = performance.now();
        for (let done = 0, share = 0; share < 1;) {
            for (const lock of locks) {
                await together(lock, done);
                done += AT_ONCE;
            }
            share = time === Infinity ? done / cycles : (performance.now() - since) / time;
            if (share < (readings.length + 1) / 20) continue;
            const reading = read();
            readings.push(reading);
            console.log(`${done} cycles: ${reading.heap.toFixed(1)} MB, ${reading.files} files`);
        }
        const [early, last] = [readings[Math.floor(readings.length / 5)], readings.at(-1)];
        if (early === undefined || last === undefined) throw new Error('It was too short to tell.');
        const grown = { heap: last.heap - early.heap, files: last.files - early.files };
        console.log(`grown by ${grown.heap.toFixed(1)} MB, ${grown.files} files; ${failed} acquisitions failed`);
        return grown.heap <= LIMIT && grown.files <= 0;
    } finally {
        for (const lock of locks) await lock.close(null);
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
