import { localGrants, ours } from '../contestants/ours';
import { oursShared } from '../contestants/sharing';
import type { Findings, Metric } from '../harness/Findings';
import { growthKeys, growthWaiters, QUANTITIES } from '../rows/growth';
import { disorder, fairness, latency50, latency99, sentBrief, sentLong } from '../rows/handOff';
import { heapHeld, heapWaiting } from '../rows/heap';
import { commands, grants } from '../rows/hotKey';
import { keysLeft } from '../rows/leftBehind';
import { rareTime } from '../rows/nowAndThen';
import { quorumName, rate, time } from '../rows/quorum';
import { renewalCpu, worstDelay } from '../rows/renewal';
import { permitRate, sharedRate, writerWait } from '../rows/sharing';
import { clientCpu, sent, throughput } from '../rows/uncontended';
import { figure, markdown } from './tables';

/** What a figure should be. */
interface Goal {
    readonly text: string;
    readonly metric: Metric;
    /** At which column; without it the worst of all counts. */
    readonly at?: number;
    readonly wanted: Wanted;
    /** Whose; the worst of them counts. Default: this library. */
    readonly of?: readonly string[];
    /** What was tried, and what the limit is: told where it is missed. */
    readonly limit?: string;
}

type Wanted = { readonly least: number } | { readonly most: number };

const local = localGrants.slice(0, 1).map(({ name }) => name);
const five = [quorumName(ours)];
const [readers = [], permits = []] = oursShared.map(({ name }) => [name]);
const MANY = 100_000;

const SINGLE = `A call takes about 60 µs more than a plain SET where one is made every 5 ms. 25 of them are the script on the server: any script takes
10 µs when it runs cold, and this one runs four commands, which are the queue, the time, the clock and the key. 24 are our JavaScript before the
write, which passes some forty functions, each about half a microsecond cold; 12 are behind the answer. With texts instead of numbers in
the script, or with no loop in it, it took as long.`;

const FEW = `Calls that begin together go out as one command. Those of callers that go on go out in halves, so that client and server work
side by side. With one list at a time they worked in turns, and it was 0.41. The client is the limit now: it takes 1.6 times the CPU of raw
calls.`;

const LISTS = `The server takes half of what it takes for raw calls: the client is the limit now. It makes three objects that are due at a time, a
lease and its upkeep, an event for each step, and a promise.`;

const QUORUM = `Five nodes take ten commands for two, each a write of the one thread of the client, and their servers share two cores with
it. Fewer promises brought its throughput from 0.15 to 0.20. Giving back to all nodes at once, instead of to the lead last, made less than a tenth of
difference.`;

const HAND_OFF = `With 1 waiter it is faster than the raw message. With more, those who hear that they are the next wake up on the same two
cores. The one that is granted is told last, because the server then writes to it first: that took a tenth to a sixth off. Who becomes the first
in line asks again before its grant when its last answer is old: that took a third off with 1,000.`;

const LOCAL = `A turn of nine grants is one hand-off to the next process, which nothing saves, and eight that cost only this process. Fewer
objects and promises for those made them two and a half times as fast. The baseline, strict order, is this version's own.`;

const RENEWALS = `Raw ioredis with this script, in lists of 100 to 1,000 and with nothing around it, takes 0.2: that is the floor. Lists
without a promise for each renewal brought 1.5 down to what it is; longer lists gained nothing more.`;

const SLICES = `What is due runs in slices of 3 ms; without them it was 75 times 10 ms. Slices of 1 and 2 ms were no better: what exceeds
them is mostly garbage collection.`;

const WAITER = `Seven functions and what they refer to are 800 bytes of it, by a heap snapshot; what was asked and answered 280, numbers of
more than 31 bits 160, the waiter itself 120, the promise 150, hidden classes of its own 180.`;

const GOALS: readonly Goal[] = [
    { text: 'Uncontended: throughput, 1 call', metric: throughput, at: 1, wanted: { least: 0.8 }, limit: SINGLE },
    { text: 'Uncontended: throughput, 10 at once', metric: throughput, at: 10, wanted: { least: 1 }, limit: FEW },
    { text: 'Uncontended: throughput, 100 at once', metric: throughput, at: 100, wanted: { least: 1.5 }, limit: LISTS },
    {
        text: 'Uncontended: throughput, 1,000 at once',
        metric: throughput,
        at: 1000,
        wanted: { least: 1.8 },
        limit: LISTS,
    },
    { text: 'Uncontended: client CPU, 1 call', metric: clientCpu, at: 1, wanted: { most: 1.4 }, limit: SINGLE },
    { text: 'Uncontended: client CPU, 100 at once', metric: clientCpu, at: 100, wanted: { most: 0.7 }, limit: LISTS },
    { text: 'A cycle every 5 ms: p50', metric: rareTime, wanted: { most: 1.35 }, limit: SINGLE },
    { text: 'Keys left in Redis', metric: keysLeft, wanted: { most: 1 } },
    { text: 'Uncontended: commands sent per cycle', metric: sent, wanted: { most: 2.1 } },
    { text: 'Hand-off: p50, any number of waiters', metric: latency50, wanted: { most: 1.4 }, limit: HAND_OFF },
    { text: 'Hand-off: p99, any number of waiters', metric: latency99, wanted: { most: 4 } },
    { text: 'Hand-off: commands sent, held for 2 ms', metric: sentBrief, wanted: { most: 3.1 } },
    { text: 'Hand-off: commands sent, held for 25 ms', metric: sentLong, wanted: { most: 3.1 } },
    { text: "Hand-off: Jain's index", metric: fairness, wanted: { least: 0.99 } },
    { text: 'Hand-off: order inversions', metric: disorder, wanted: { most: 0 } },
    { text: 'Local succession of 8: grants per second', metric: grants, wanted: { least: 6 }, of: local, limit: LOCAL },
    { text: 'Local succession of 8: commands per grant', metric: commands, wanted: { most: 0.2 }, of: local },
    {
        text: 'Renewal: client CPU, 100,000 leases',
        metric: renewalCpu,
        at: MANY,
        wanted: { most: 0.15 },
        limit: RENEWALS,
    },
    { text: 'Renewal: worst delay, part of 10 ms', metric: worstDelay, at: MANY, wanted: { most: 1 }, limit: SLICES },
    { text: 'Heap per held lease, bytes', metric: heapHeld, wanted: { most: 400 } },
    { text: 'Heap per waiter, bytes', metric: heapWaiting, wanted: { most: 600 }, limit: WAITER },
    {
        text: 'Quorum of 5: p50, 1 call, of one node',
        metric: time,
        at: 1,
        wanted: { most: 1.4 },
        of: five,
        limit: QUORUM,
    },
    {
        text: 'Quorum of 5: throughput, 100 at once, of raw',
        metric: rate,
        at: 100,
        wanted: { least: 1 },
        of: five,
        limit: QUORUM,
    },
    { text: 'Readers: cycles, 10 at once', metric: sharedRate, at: 10, wanted: { least: 0.8 }, of: readers },
    { text: 'Readers: cycles, 100 at once', metric: sharedRate, at: 100, wanted: { least: 0.8 }, of: readers },
    { text: 'Permits: cycles', metric: permitRate, wanted: { least: 1 }, of: permits },
    { text: 'A writer among 100 readers, of a hold', metric: writerWait, wanted: { most: 1.2 } },
    { text: 'Growth with keys, part of log n', metric: growthKeys, wanted: { most: 1 }, of: QUANTITIES },
    { text: 'Growth with waiters, part of log n', metric: growthWaiters, wanted: { most: 1 }, of: QUANTITIES },
];

/** Every goal with its figure, and whether that meets it; what was not measured is said to be so. Then why some are missed. */
export function goals(findings: Findings): string {
    const all = GOALS.map((goal) => ({ ...goal, ...judged(findings, goal) }));
    const limits = new Map<string, string[]>();
    for (const { judgement, limit, text } of all) {
        if (judgement === 'missed' && limit !== undefined) limits.set(limit, [...(limits.get(limit) ?? []), text]);
    }
    return [
        markdown(
            ['goal', 'wanted', 'measured', ''],
            all.map(({ text, wanted, measured, judgement }) => [
                text,
                'least' in wanted ? `≥ ${wanted.least}` : `≤ ${wanted.most}`,
                measured,
                judgement,
            ]),
        ),
        [...limits].map(([limit, texts]) => `- **${texts.join('; ')}**: ${limit}`).join('\n'),
    ].join('\n\n');
}

function judged(
    findings: Findings,
    { metric, at, wanted, of = [ours.name] }: Goal,
): { readonly measured: string; readonly judgement: string } {
    const lines = of.map((name) => findings.lines(metric).get(name));
    const medians = lines.flatMap((line) =>
        [...(line ?? [])].flatMap(([column, { median }]) => (at === undefined || at === column ? [median] : [])),
    );
    if (medians.length === 0) return { measured: '', judgement: 'not measured' };
    const worst = 'least' in wanted ? Math.min(...medians) : Math.max(...medians);
    const met = 'least' in wanted ? worst >= wanted.least : worst <= wanted.most;
    return { measured: figure(worst), judgement: met ? 'met' : 'missed' };
}
