import type { Locking } from '../contestants/Contestant';
import { ours } from '../contestants/ours';
import { peers } from '../contestants/peers';
import { raw } from '../contestants/raw';
import { RedisServer } from '../../fixtures/RedisServer';
import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { ServerProbe } from '../harness/ServerProbe';

export const keysLeft: Metric = {
    name: 'keysLeft',
    title: 'Keys in Redis afterwards',
    unit: 'keys',
    columns: 'cycles',
};

/** At once. */
const LOOPS = 100;

/** What stays in Redis of locks that nobody has. */
export const leftBehind: Row = {
    name: 'leftBehind',
    title: 'What is left behind',
    about: `The keys are acquired and released once each, on a server that is empty before. Then its keys are counted. That of this library
is its clock, which there is one of for a server.`,
    metrics: [keysLeft],
    run,
};

async function run(bench: Bench): Promise<void> {
    await using server = await RedisServer.start();
    await using probe = new ServerProbe(server);
    await using opened = await bench.open([raw, ours, ...peers], server);
    const count = bench.quick ? 2000 : 100_000;
    for (const { contestant, locking } of opened.all) {
        bench.tell(contestant.name);
        await probe.empty();
        await Promise.all(Array.from({ length: LOOPS }, (_, loop) => cycles(locking, loop, count / LOOPS)));
        bench.findings.add(keysLeft, contestant.name, count, await probe.keys());
    }
}

async function cycles(locking: Locking, loop: number, count: number): Promise<void> {
    for (let i = 0; i < count; i++) await (await locking.acquire(`left:${loop}:${i}`)).release();
}
