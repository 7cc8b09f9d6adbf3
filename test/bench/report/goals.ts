import type { Findings, Metric } from '../harness/Findings';
import { ours } from '../contestants/ours';
import { clientCpu, sent, throughput } from '../rows/uncontended';
import { figure, markdown } from './tables';

/** What a figure of this library should be. */
export interface Goal {
    readonly text: string;
    readonly metric: Metric;
    /** At which columns; the worst of them counts. */
    readonly at: readonly number[];
    readonly limit: Limit;
    readonly contestant?: string;
}

type Limit = { readonly least: number } | { readonly most: number };

const GOALS: readonly Goal[] = [
    { text: 'Uncontended throughput, 1 call', metric: throughput, at: [1], limit: { least: 0.95 } },
    { text: 'Uncontended throughput, 10 at once', metric: throughput, at: [10], limit: { least: 0.95 } },
    { text: 'Uncontended throughput, 100 at once', metric: throughput, at: [100], limit: { least: 3 } },
    { text: 'Uncontended throughput, 1,000 at once', metric: throughput, at: [1000], limit: { least: 4 } },
    { text: 'Client CPU per cycle, 1 call', metric: clientCpu, at: [1], limit: { most: 1.1 } },
    { text: 'Client CPU per cycle, 100 at once', metric: clientCpu, at: [100], limit: { most: 0.3 } },
    { text: 'Commands sent per uncontended cycle', metric: sent, at: [1, 10, 100, 1000], limit: { most: 2.1 } },
];

/** Every goal with its figure, and whether it is met: those of rows that were not run are left open. */
export function goals(findings: Findings): string {
    return markdown(
        ['goal', 'wanted', 'measured', ''],
        GOALS.map((goal) => [goal.text, wanted(goal.limit), ...judged(findings, goal)]),
    );
}

function wanted(limit: Limit): string {
    return 'least' in limit ? `≥ ${limit.least}` : `≤ ${limit.most}`;
}

function judged(findings: Findings, { metric, at, limit, contestant = ours.name }: Goal): [string, string] {
    const medians = at.flatMap((column) => findings.spread(metric, contestant, column)?.median ?? []);
    if (medians.length === 0) return ['', 'not measured'];
    const worst = 'least' in limit ? Math.min(...medians) : Math.max(...medians);
    const met = 'least' in limit ? worst >= limit.least : worst <= limit.most;
    return [figure(worst), met ? 'met' : 'missed'];
}
