import { createRequire } from 'node:module';
import { PACKAGE } from '../harness/paths';
import type { Findings, Line, Metric } from '../harness/Findings';

// Installed with the peers, for the benchmarks only.
interface Charts {
    readonly init: (
        element: null,
        theme: null,
        options: object,
    ) => { setOption(option: object): void; renderToSVGString(): string; dispose(): void };
}

const [WIDTH, HEIGHT] = [760, 500];

/** A line for each contestant over the columns, as SVG. */
export function chart(findings: Findings, metric: Metric, logarithmic: boolean): string {
    const { init } = createRequire(PACKAGE)('echarts') as Charts;
    const lines = findings.lines(metric);
    const columns = [...new Set([...lines.values()].flatMap((line) => [...line.keys()]))].sort((a, b) => a - b);
    const view = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
    view.setOption({
        animation: false,
        backgroundColor: '#ffffff',
        title: { text: metric.title, subtext: metric.unit, left: 'center' },
        legend: { bottom: 0, left: 'center', width: WIDTH - 140, itemGap: 24 },
        grid: { left: 60, right: 30, top: 70, bottom: 190 },
        xAxis: {
            type: 'category',
            data: columns.map(String),
            name: metric.columns,
            nameLocation: 'middle',
            nameGap: 28,
        },
        yAxis: { type: logarithmic ? 'log' : 'value' },
        series: [...lines].map(([name, line], at) => ({ name, ...series(line, columns), ...look(at) })),
    });
    const svg = view.renderToSVGString();
    view.dispose();
    return svg;
}

function series(line: Line, columns: readonly number[]): object {
    const data = columns.map((at) => {
        const median = line.get(at)?.median;
        return median === undefined || Number.isNaN(median) ? null : Number(median.toPrecision(3));
    });
    return { type: 'line', data, connectNulls: true };
}

/** Lines differ also for who sees no colours. */
function look(at: number): object {
    const symbols = ['circle', 'rect', 'triangle', 'diamond'];
    const types = ['solid', 'dashed', 'dotted'];
    return {
        symbol: symbols[at % symbols.length],
        symbolSize: 7,
        lineStyle: { type: types[Math.floor(at / symbols.length) % types.length], width: 2 },
    };
}
