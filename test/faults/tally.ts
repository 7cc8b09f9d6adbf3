import type { Verdict } from './Checker';
import { INVARIANTS, PROMISES } from './HistoryEvent';
import { byKey, endOf, RECOVERY, turnsOf } from './Reading';
import type { FaultSpan, LeaseSpan, Reading } from './Reading';

/** What was seen while a fault was there, and shortly after. */
export interface FaultTally {
    readonly name: string;
    times: number;
    grants: number;
    /** Those of them that the holder before, of the same process, passed on. */
    passed: number;
    waits: number;
    losses: number;
    /** How long after its deadline a holder was told of its loss, ms; time that its process did not run is not counted. */
    readonly lateness: number[];
    /** Spans in which two believed to hold a key. */
    overlaps: number;
    /** Findings that were exempt, and how long the promise was not given, ms. */
    exempt: number;
    exemptTime: number;
}

/** By fault, in the order of their first time; without any: `nothing broken`. */
export function tally(verdicts: readonly Verdict[]): FaultTally[] {
    const tallies = new Map<string, FaultTally>();
    for (const verdict of verdicts) {
        for (const fault of verdict.reading.faults) add(of(tallies, fault.name), verdict, fault);
    }
    return [...tallies.values()];
}

function of(tallies: Map<string, FaultTally>, name: string): FaultTally {
    const known = tallies.get(name);
    if (known !== undefined) return known;
    const empty = { name, times: 0, grants: 0, passed: 0, waits: 0, losses: 0, overlaps: 0, exempt: 0, exemptTime: 0 };
    const fresh: FaultTally = { ...empty, lateness: [] };
    tallies.set(name, fresh);
    return fresh;
}

function add(sum: FaultTally, { reading, violations, exempted }: Verdict, fault: FaultSpan): void {
    const until = fault.until + Math.max(fault.tail, RECOVERY);
    const during = (at: number): boolean => at >= fault.from && at <= until;
    sum.times += 1;
    sum.grants += reading.leases.filter(({ from }) => during(from)).length;
    sum.passed += passedOn(reading).filter(({ from }) => during(from)).length;
    sum.waits += reading.waits.filter(({ lined }) => during(lined)).length;
    for (const lease of reading.leases) {
        if (!during(lease.lost)) continue;
        sum.losses += 1;
        sum.lateness.push(latenessOf(lease, reading));
    }
    const exempt = exempted.filter((one) => one.fault === fault).map(({ finding }) => finding);
    const broken = violations.filter(({ from }) => during(from));
    sum.overlaps += [...exempt, ...broken].filter(({ invariant }) => invariant === 'I1').length;
    sum.exempt += exempt.length;
    if (fault.exempts.length > 0) sum.exemptTime += fault.until + fault.tail - fault.from;
}

function latenessOf(lease: LeaseSpan, reading: Reading): number {
    const late = lease.lost - lease.deadline;
    return Math.max(0, late - reading.blocked(lease.client, lease.deadline, lease.lost));
}

/** The leases that were passed on to their holders. */
function passedOn(reading: Reading): LeaseSpan[] {
    return [...byKey(reading.leases).values()].flatMap((leases) =>
        turnsOf(leases).flatMap((turn) => turn.leases.slice(1)),
    );
}

export function totals(verdicts: readonly Verdict[]): { grants: number; passed: number; waits: number; held: number } {
    const readings = verdicts.map(({ reading }) => reading);
    return {
        grants: readings.reduce((sum, { leases }) => sum + leases.length, 0),
        passed: readings.reduce((sum, reading) => sum + passedOn(reading).length, 0),
        waits: readings.reduce((sum, { waits }) => sum + waits.filter(({ lined }) => lined < Infinity).length, 0),
        held: readings.reduce(
            (sum, { leases }) => sum + leases.reduce((time, lease) => time + endOf(lease) - lease.from, 0),
            0,
        ),
    };
}

/** The row of a table. */
export function cells(one: FaultTally): string[] {
    const lateness = [...one.lateness].sort((a, b) => a - b);
    const p50 = lateness[Math.floor((lateness.length - 1) / 2)];
    const most = lateness.at(-1);
    return [
        one.name,
        ...[one.times, one.grants, one.passed, one.waits, one.losses].map(String),
        ...[p50, most].map((late) => (late === undefined ? '' : `${late.toFixed(1)} ms`)),
        ...[one.overlaps, one.exempt].map(String),
        one.exemptTime === 0 ? '' : `${(one.exemptTime / 1000).toFixed(1)} s`,
    ];
}

export const COLUMNS = [
    ...['fault', 'times', 'grants', 'passed on', 'waits', 'lost leases', 'late by (p50)', 'late by (max)', 'overlaps'],
    ...['exempt findings', 'exempt windows'],
];

/** The page RESULTS.md. */
export function resultsPage(verdicts: readonly Verdict[], command: string, skipped: readonly string[]): string {
    const { grants, passed, waits } = totals(verdicts);
    const violations = verdicts.flatMap((verdict) => verdict.violations);
    const rows = [COLUMNS, ...tally(verdicts).map(cells)];
    const widths = widthsOf(rows);
    const row = (items: readonly string[]): string => `| ${aligned(items, widths).join(' | ')} |`;
    const rule = widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
    return [
        '# What the fault lab saw',
        '',
        `\`${command}\`: ${grants} grants, of which ${passed} were passed on within a process, and ${waits} waits under ` +
            `${tally(verdicts).length} kinds of faults, ${violations.length} violations.`,
        '',
        row(COLUMNS),
        row(rule),
        ...rows.slice(1).map(row),
        '',
        'Some rounds are in strict order and some with `options.local_grants`: passed on are grants that the holder before, of the',
        'same process, passed on without asking Redis.',
        '',
        'Grants, waits and losses are those from the fault to its heal and what comes shortly after. Late is how long after its',
        'deadline a holder was told of a loss; time that its process demonstrably did not run is not counted. Overlaps are spans',
        'in which two holders believed to have a key. In an exempt window the promise is not given (Redis forgot a key, its clock',
        'jumped, a line was deleted); what would be a violation then is counted as an exempt finding.',
        '',
        'The checker looks at:',
        '',
        ...INVARIANTS.map((one) => `- ${one}: ${PROMISES[one]}`),
        ...skipped.map((why) => `\nLeft out: ${why}`),
        '',
    ].join('\n');
}

/** The length of the longest cell of each column. */
export function widthsOf(rows: readonly (readonly string[])[]): number[] {
    return COLUMNS.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
}

/** Names to the left, figures to the right. */
export function aligned(row: readonly string[], widths: readonly number[]): string[] {
    return row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)));
}
