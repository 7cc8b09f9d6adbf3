/**
 * Ten thousand leases with a ttl of 10 s are kept alive for 25 s: does the event loop notice?
 *
 *     npm run build && node obj/test/bench/heldLeases.js
 *
 * Prints how late the event loop was meanwhile; exits with 1 when the 99th percentile is 20 ms or more, or when a lease was
 * lost. The server is one of its own, or the one that REDIS_SERVICE_HOST and REDIS_SERVICE_PORT name.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lease } from '../../src';
import { openLock } from '../fixtures/Locks';
import { ServerCommands } from '../fixtures/ServerCommands';
import { sharedServer, stopSharedServer } from '../fixtures/sharedServer';

const LEASES = 10_000;
const TTL = 10_000;
const DURATION = 25_000;
const LIMIT = 20;

async function run(): Promise<boolean> {
    const server = await sharedServer();
    const lock = await openLock(server, {});
    await using commands = new ServerCommands(server);
    try {
        const leases: Lease[] = [];
        // Not all in one turn, as nobody acquires them so.
        while (leases.length < LEASES) {
            const keys = Array.from({ length: 100 }, (_, at) => `bench:held:${leases.length + at}`);
            leases.push(...(await Promise.all(keys.map((key) => lock.acquire(null, key, { ttl: TTL })))));
        }
        let lost = 0;
        for (const { signal } of leases) signal.addEventListener('abort', () => (lost += 1));

        await commands.reset();
        const usage = process.cpuUsage();
        const delay = monitorEventLoopDelay({ resolution: 1 });
        delay.enable();
        await sleep(DURATION);
        delay.disable();
        const { user, system } = process.cpuUsage(usage);

        const held = leases.filter((lease) => lease.isHeld()).length;
        const p99 = ms(delay.percentile(99));
        console.log(`${held} of ${LEASES} leases held after ${DURATION / 1000} s with a ttl of ${TTL / 1000} s`);
        console.log(`event loop delay: p50 ${ms(delay.percentile(50))} ms, p99 ${p99} ms, max ${ms(delay.max)} ms`);
        console.log(
            `${await commands.scripts()} commands, ${Math.round((user + system) / DURATION / 10)} % of one CPU`,
        );
        return lost === 0 && held === LEASES && p99 < LIMIT;
    } finally {
        await lock.close(null);
    }
}

function ms(nanoseconds: number): number {
    return Math.round(nanoseconds / 1e5) / 10;
}

run().then(
    async (good) => {
        await stopSharedServer();
        process.exitCode = good ? 0 : 1;
    },
    async (error: unknown) => {
        console.error(error);
        await stopSharedServer();
        process.exitCode = 1;
    },
);
