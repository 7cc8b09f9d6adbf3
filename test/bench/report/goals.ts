import { localGrants, ours } from '../contestants/ours';
import type { Findings, Metric } from '../harness/Findings';
import { growthKeys, growthWaiters, QUANTITIES } from '../rows/growth';
import { disorder, fairness, latency50, latency99, sentBrief, sentLong } from '../rows/handOff';
import { heapHeld, heapWaiting } from '../rows/heap';
import { commands, grants } from '../rows/hotKey';
import { quorumName, rate, time } from '../rows/quorum';
import { renewalCpu, worstDelay } from '../rows/renewal';
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
}

type Wanted = { readonly least: number } | { readonly most: number };

const local = localGrants.slice(0, 1).map(({ name }) => name);
const five = [quorumName(ours)];
const MANY = 100_000;

const GOALS: readonly Goal[] = [
    { text: 'Uncontended: throughput, 1 call', metric: throughput, at: 1, wanted: { least: 0.95 } },
    { text: 'Uncontended: throughput, 10 at once', metric: throughput, at: 10, wanted: { least: 0.95 } },
    { text: 'Uncontended: throughput, 100 at once', metric: throughput, at: 100, wanted: { least: 3 } },
    { text: 'Uncontended: throughput, 1,000 at once', metric: throughput, at: 1000, wanted: { least: 4 } },
    { text: 'Uncontended: client CPU, 1 call', metric: clientCpu, at: 1, wanted: { most: 1.1 } },
    { text: 'Uncontended: client CPU, 100 at once', metric: clientCpu, at: 100, wanted: { most: 0.3 } },
    { text: 'Uncontended: commands sent per cycle', metric: sent, wanted: { most: 2.1 } },
    { text: 'Hand-off: p50, any number of waiters', metric: latency50, wanted: { most: 1.3 } },
    { text: 'Hand-off: p99, any number of waiters', metric: latency99, wanted: { most: 4 } },
    { text: 'Hand-off: commands sent, held for 2 ms', metric: sentBrief, wanted: { most: 3.1 } },
    { text: 'Hand-off: commands sent, held for 25 ms', metric: sentLong, wanted: { most: 3.1 } },
    { text: "Hand-off: Jain's index", metric: fairness, wanted: { least: 0.99 } },
    { text: 'Hand-off: order inversions', metric: disorder, wanted: { most: 0 } },
    { text: 'Local succession of 8: grants per second', metric: grants, wanted: { least: 5 }, of: local },
    { text: 'Local succession of 8: commands per grant', metric: commands, wanted: { most: 0.2 }, of: local },
    { text: 'Renewal: client CPU, 100,000 leases', metric: renewalCpu, at: MANY, wanted: { most: 0.15 } },
    { text: 'Renewal: worst delay, part of 10 ms', metric: worstDelay, at: MANY, wanted: { most: 1 } },
    { text: 'Heap per held lease, bytes', metric: heapHeld, wanted: { most: 400 } },
    { text: 'Heap per waiter, bytes', metric: heapWaiting, wanted: { most: 600 } },
    { text: 'Quorum of 5: p50, 1 call, of one node', metric: time, at: 1, wanted: { most: 1.4 }, of: five },
    { text: 'Quorum of 5: throughput, 100 at once, of raw', metric: rate, at: 100, wanted: { least: 1 }, of: five },
    { text: 'Growth with keys, part of log n', metric: growthKeys, wanted: { most: 1 }, of: QUANTITIES },
    { text: 'Growth with waiters, part of log n', metric: growthWaiters, wanted: { most: 1 }, of: QUANTITIES },
];

/** Every goal with its figure, and whether that meets it. What was not measured is said to be so. */
export function goals(findings: Findings): string {
    return markdown(
        ['goal', 'wanted', 'measured', ''],
        GOALS.map((goal) => [
            goal.text,
            'least' in goal.wanted ? `≥ ${goal.wanted.least}` : `≤ ${goal.wanted.most}`,
            ...judged(findings, goal),
        ]),
    );
}

function judged(
    findings: Findings,
    { metric, at, wanted, of = [ours.name] }: Goal,
): [measured: string, judgement: string] {
    const lines = of.map((name) => findings.lines(metric).get(name));
    const medians = lines.flatMap((line) =>
        [...(line ?? [])].flatMap(([column, { median }]) => (at === undefined || at === column ? [median] : [])),
    );
    if (medians.length === 0) return ['', 'not measured'];
    const worst = 'least' in wanted ? Math.min(...medians) : Math.max(...medians);
    const met = 'least' in wanted ? worst >= wanted.least : worst <= wanted.most;
    return [figure(worst), met ? 'met' : 'missed'];
}
