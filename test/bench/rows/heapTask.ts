import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisAddress } from '../../fixtures/sharedServer';
import { raw } from '../contestants/raw';
import { waiting } from '../contestants';
import { withThread } from '../contestants/ours';
import type { Held, Locking } from '../contestants/Contestant';
import { serve } from '../harness/task';

export interface Heap {
    readonly contestant: string;
    readonly server: RedisAddress;
    readonly what: 'held' | 'waiting';
    readonly count: number;
}

export interface HeapCost {
    /** Bytes for each lease, or waiter. */
    readonly bytes: number;
}

async function run({ contestant, server, what, count }: Heap): Promise<HeapCost> {
    const locking = await [raw, withThread, ...waiting].find(({ name }) => name === contestant)?.open([server]);
    if (locking === undefined) throw new Error(`There is no ${contestant}`);
    // The caller has the keys whatever the lock does with them.
    const keys = Array.from({ length: count }, (_, at) => `heap:${at}`);
    const kept: unknown[] = Array.from({ length: count }, () => null);
    await warmUp(locking, keys.slice(0, 1000));
    const before = await settled();
    if (what === 'held') await hold(locking, keys, kept);
    else await wait(locking, kept);
    const bytes = ((await settled()) - before) / count;
    // Not before: they must not be collected.
    kept.length = 0;
    return { bytes };
}

async function warmUp(locking: Locking, keys: readonly string[]): Promise<void> {
    await Promise.all(keys.map(async (key) => (await locking.acquire(key)).release()));
}

async function hold(locking: Locking, keys: readonly string[], kept: unknown[]): Promise<void> {
    for (let at = 0; at < keys.length; at += 500) {
        const held = await Promise.all(keys.slice(at, at + 500).map((key) => locking.acquire(key)));
        for (const [next, one] of held.entries()) kept[at + next] = one;
    }
}

async function wait(locking: Locking, kept: unknown[]): Promise<void> {
    kept[0] = await locking.acquire('hot');
    for (let at = 1; at < kept.length; at++) {
        const waiter: Promise<Held> = locking.acquire('hot');
        kept[at] = waiter;
        // All in one turn would be unlike anything that happens.
        if (at % 100 === 0) await sleep(2);
    }
    await sleep(1000);
}

/** Heap in use, bytes: the least of a few looks, as what is on its way comes and goes. */
async function settled(): Promise<number> {
    let least = Infinity;
    for (let look = 0; look < 5; look++) {
        await sleep(60);
        globalThis.gc?.();
        least = Math.min(least, process.memoryUsage().heapUsed);
    }
    return least;
}

if (require.main === module) serve(run);
