/**
 * Compares this library with the raw client and with its peers.
 *
 *     npm run bench -- [--quick] [--only ROW]… [--seed NUMBER]
 *
 * Writes test/bench/RESULTS.md and its charts. With --quick it measures little, within two minutes, and with --only some rows:
 * then it only prints.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Bench } from './harness/Bench';
import type { Row } from './harness/Bench';
import { BENCH } from './harness/paths';
import { seeded } from './harness/random';
import { installPeers } from './install';
import { chart } from './report/charts';
import { chartFile, document } from './report/document';
import { machine } from './report/machine';
import { ROWS } from './rows';

async function run(): Promise<void> {
    const { values } = parseArgs({
        options: {
            quick: { type: 'boolean', default: false },
            only: { type: 'string', multiple: true, default: [] },
            seed: { type: 'string', default: '1' },
        },
    });
    const rows = chosen(values.only);
    installPeers();
    const bench = new Bench(values.quick, seeded(Number(values.seed)), (text) => console.error(`  ${text}`));
    for (const row of rows) {
        console.error(row.title);
        await row.run(bench);
    }
    const command = ['npm run bench', ...process.argv.slice(2)].join(' ').replace('bench --', 'bench -- --');
    const text = document(bench, rows, { command, machine: machine() });
    if (values.quick || values.only.length > 0) console.log(text);
    else await write(bench, rows, text);
}

async function write({ findings }: Bench, rows: readonly Row[], text: string): Promise<void> {
    const file = join(BENCH, 'RESULTS.md');
    const { format, resolveConfig } = await import('prettier');
    writeFileSync(file, await format(text, { ...(await resolveConfig(file)), filepath: file }));
    mkdirSync(join(BENCH, 'charts'), { recursive: true });
    for (const metric of rows.flatMap(({ metrics }) => metrics)) {
        if (metric.chart === undefined) continue;
        writeFileSync(join(BENCH, chartFile(metric)), chart(findings, metric, metric.chart.logarithmic));
    }
}

function chosen(names: readonly string[]): readonly Row[] {
    const unknown = names.find((name) => !ROWS.some((row) => row.name === name));
    if (unknown !== undefined) {
        throw new Error(`There is no row ${unknown}; there are ${ROWS.map(({ name }) => name).join(', ')}`);
    }
    return names.length === 0 ? ROWS : ROWS.filter(({ name }) => names.includes(name));
}

run().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
});
