import type { Bench, Row } from '../harness/Bench';
import type { Metric } from '../harness/Findings';
import { QUIET } from '../harness/segment';
import { goals } from './goals';
import { table } from './tables';

/** What is known of the place and the way in which it was measured. */
export interface Setting {
    readonly command: string;
    readonly machine: readonly string[];
}

/** All that was found, as Markdown. */
export function document(bench: Bench, rows: readonly Row[], setting: Setting): string {
    const { segments, repeated, disturbed } = bench.disturbance;
    const quiet = `${Math.round(QUIET * 100)} %`;
    return [
        '# What the benchmarks found',
        `Written by \`${setting.command}\`. ${setting.machine.join('. ')}.`,
        `A figure is the median over the rounds, with the least and the most of them. Times are not told: they are those of a
machine at a moment. ${segments} segments were measured; ${repeated} times one was repeated because other processes used more than
${quiet} of a core; ${disturbed} stayed disturbed.`,
        ...[...bench.notes].map((note) => `Note: ${note}`),
        '## Goals',
        goals(bench.findings),
        '## Contestants',
        [...bench.contestants].map(([name, does]) => `- **${name}**: ${does}`).join('\n'),
        ...rows.flatMap((row) => section(bench, row)),
    ].join('\n\n');
}

function section({ findings }: Bench, row: Row): string[] {
    const tables = row.metrics.flatMap((metric) => {
        const picture = metric.chart === undefined ? [] : [`![${metric.title}](${chartFile(metric)})`];
        return [...picture, table(findings, metric)];
    });
    return [`## ${row.title}`, row.about, ...tables];
}

/** Where the chart of a metric is, from here. */
export function chartFile({ name }: Metric): string {
    return `charts/${name}.svg`;
}
