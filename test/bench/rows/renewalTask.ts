import { createHash } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisAddress } from '../../fixtures/sharedServer';
import { openLock } from '../../fixtures/Locks';
import { connect } from '../contestants/client';
import { ServerProbe } from '../harness/ServerProbe';
import { serve } from '../harness/task';

export interface Renewal {
    readonly how: 'library' | 'thread' | 'timers';
    readonly server: RedisAddress;
    readonly leases: number;
    readonly ttl: number;
}

export interface RenewalCost {
    /** For one renewal of each lease, ms. */
    readonly clientCpu: number;
    readonly serverCpu: number;
    /** Of the event loop, when all are due at once, ms. */
    readonly worstDelay: number;
    /** Of the client, also for what is not measured, ms. */
    readonly total: number;
    /** Leases that were ours in the end. */
    readonly held: number;
}

const RENEW = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`;
const RENEW_SHA = createHash('sha1').update(RENEW).digest('hex');

/** By then a thread has started, ms. */
const STARTED = 3000;

/** Takes some leases; answers how many are ours. */
type Take = (keys: readonly string[]) => Promise<() => number>;

async function run({ how, server, leases, ttl }: Renewal): Promise<RenewalCost> {
    const take = how === 'timers' ? await timers(server, ttl) : await library(server, leases, ttl, how === 'thread');
    const held: (() => number)[] = [];
    for (let at = 0; at < leases; at += 1000) {
        const keys = Array.from({ length: Math.min(1000, leases - at) }, (_, next) => `renewed:${at + next}`);
        held.push(await take(keys));
    }
    await using probe = new ServerProbe(server);
    globalThis.gc?.();
    // Renewed at each third of the ttl, whenever it was acquired: in such a time each is renewed once.
    const third = ttl / 3;
    const before = { server: await probe.cpu(), client: process.cpuUsage() };
    await sleep(third);
    const { user, system } = process.cpuUsage(before.client);
    const serverCpu = (await probe.cpu()) - before.server;
    const worstDelay = await burst(third);
    const all = process.cpuUsage();
    return {
        total: (all.user + all.system) / 1000,
        clientCpu: (user + system) / 1000,
        serverCpu,
        worstDelay,
        held: held.reduce((sum, count) => sum + count(), 0),
    };
}

/** Lets all of them become due while the event loop is blocked, and tells how late it is after that. */
async function burst(third: number): Promise<number> {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, third);
    // What is due runs first, before the histogram has begun.
    const since = performance.now();
    delay.enable();
    await new Promise(setImmediate);
    const first = performance.now() - since;
    await sleep(third * 0.9);
    delay.disable();
    // The histogram counts its own pause of 1 ms.
    return Math.max(first, delay.max / 1e6 - 1);
}

async function library(server: RedisAddress, leases: number, ttl: number, thread: boolean): Promise<Take> {
    const lock = await openLock(server, { ttl, max_held: leases, keep_alive_thread: thread });
    // Its start is not measured.
    if (thread) await sleep(STARTED);
    return async (keys) => {
        const taken = await Promise.all(keys.map((key) => lock.acquire(null, key, { ttl, timeout: 60_000 })));
        return () => taken.filter((lease) => lease.isHeld()).length;
    };
}

async function timers(server: RedisAddress, ttl: number): Promise<Take> {
    const client = await connect(server);
    await client.script('LOAD', RENEW);
    return async (keys) => {
        const lost = new Set<string>();
        const keep = async (key: string): Promise<void> => {
            await client.set(key, 'holder', 'PX', ttl, 'NX');
            setInterval(() => void renew(key), ttl / 3);
        };
        const renew = async (key: string): Promise<void> => {
            if ((await client.evalsha(RENEW_SHA, 1, key, 'holder', ttl)) !== 1) lost.add(key);
        };
        await Promise.all(keys.map(keep));
        return () => keys.length - lost.size;
    };
}

if (require.main === module) serve(run);
