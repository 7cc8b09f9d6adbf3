import type { Findings, Metric } from '../harness/Findings';
import type { Spread } from '../harness/statistics';

/** A metric as Markdown: contestants down, numbers across, each the median of the rounds with the least and the most. */
export function table(findings: Findings, metric: Metric): string {
    const lines = findings.lines(metric);
    const columns = [...new Set([...lines.values()].flatMap((line) => [...line.keys()]))].sort((a, b) => a - b);
    if (columns.length === 0) return '';
    const head = [`${metric.title}, ${metric.unit}`, ...columns.map((at) => `${count(at)} ${metric.columns}`)];
    const body = [...lines].map(([name, line]) => [name, ...columns.map((at) => cell(line.get(at)))]);
    return markdown(head, body);
}

export function markdown(head: readonly string[], body: readonly (readonly string[])[]): string {
    return [head, head.map(() => '---'), ...body].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function cell(value: Spread | undefined): string {
    if (value === undefined) return '';
    const [median, least, most] = [value.median, value.least, value.most].map(figure);
    return least === most ? `${median}` : `${median} (${least}–${most})`;
}

/** With as many digits as say something. */
export function figure(value: number): string {
    if (Number.isNaN(value)) return '–';
    if (value >= 100) return count(Math.round(value));
    return value.toFixed(value >= 10 ? 1 : 2);
}

function count(value: number): string {
    return value.toLocaleString('en');
}
