import { join } from 'node:path';
import { RedisServer } from '../../fixtures/RedisServer';
import { waiting } from '../contestants';
import type { Contestant } from '../contestants/Contestant';
import { localGrants, ours, withThread } from '../contestants/ours';
import { raw } from '../contestants/raw';
import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { ServerProbe } from '../harness/ServerProbe';
import { runTask } from '../harness/task';
import type { Heap, HeapCost } from './heapTask';

export const heapHeld: Metric = { name: 'heapHeld', title: 'Heap', unit: 'bytes', columns: 'held leases, each' };
export const heapWaiting: Metric = { name: 'heapWaiting', title: 'Heap', unit: 'bytes', columns: 'waiters, each' };

export const [HELD, WAITING] = [10_000, 2000];

/** Memory of the client. */
export const heap: Row = {
    name: 'heap',
    title: 'Memory of the client',
    about: `Growth of the heap of a process of its own, after garbage collection, by a number of leases of different keys or of
waiters for one key; the strings of the keys are not counted. A lease has what the contestant gives: this library and
redis-semaphore renew it, the others do not.`,
    metrics: [heapHeld, heapWaiting],
    run,
};

async function run(bench: Bench): Promise<void> {
    await using server = await RedisServer.start();
    await using probe = new ServerProbe(server);
    const strict = waiting.filter((one) => !localGrants.includes(one));
    const some = [ours, ...strict.filter(({ name }) => name === 'redis-semaphore' || name === 'redlock 5')];
    const contestants = [raw, withThread, ...(bench.quick ? some : strict)];
    for (const { name, does } of contestants) bench.contestants.set(name, does);
    for (let round = 0; round < (bench.quick ? 1 : 3); round++) {
        for (const contestant of bench.shuffled(contestants)) {
            await probe.empty();
            await bench.attempt(contestant.name, () => measure(bench, server, contestant, 'held'));
            await probe.empty();
            if (!contestant.waits || contestant === withThread) continue;
            await bench.attempt(contestant.name, () => measure(bench, server, contestant, 'waiting'));
        }
    }
}

async function measure(
    bench: Bench,
    { host, port }: RedisServer,
    { name }: Contestant,
    what: Heap['what'],
): Promise<void> {
    const [metric, count] = what === 'held' ? [heapHeld, HELD] : [heapWaiting, WAITING];
    const task: Heap = { contestant: name, server: { host, port }, what, count };
    const { bytes } = await runTask<HeapCost>(join(__dirname, 'heapTask.js'), task);
    bench.findings.add(metric, name, count, bytes);
}
