/**
 * Runs the fault lab and judges what happened.
 *
 *     npm run faults                                  every fault, with a fixed seed: once in strict order, once with local grants
 *     npm run faults -- --minutes 30 --seed 7         faults at random; without a seed a new one, which is printed
 *     npm run faults -- --only 'Redis frozen'         those whose name contains it
 *     npm run faults -- --topology quorum             those of one topology
 *     npm run faults -- --local-grants 3              with options.local_grants; 0: in strict order
 *     npm run faults -- --html FILE                   a page to look at; without, one is written on a violation
 *     npm run faults -- --results                     writes test/faults/RESULTS.md
 *
 * Exits with 1 on a violation.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Topology } from '../../src/connect/serverClients';
import { ServerClock } from '../fixtures/ServerClock';
import { check } from './Checker';
import type { Verdict } from './Checker';
import { suffer } from './Fault';
import type { Fault } from './Fault';
import { FAULTS } from './faults';
import { readHistory } from './History';
import { INVARIANTS, PROMISES } from './HistoryEvent';
import { Lab } from './Lab';
import { timelinePage } from './page';
import { Seed } from './Seed';
import { aligned, cells, COLUMNS, resultsPage, tally, totals, widthsOf } from './tally';

const RESULTS = join(__dirname, '..', '..', '..', 'test', 'faults', 'RESULTS.md');
const FIXED_SEED = 8;
/** Of workers that pass keys on among their own callers. */
const LOCAL_GRANTS = 3;
/** Violations that are printed of each lab. */
const SHOWN = 10;
/** Between two faults, ms. */
const PAUSE = 600;
const TOPOLOGIES: readonly Topology[] = ['single', 'sentinel', 'cluster', 'quorum'];

const { values: options } = parseArgs({
    options: {
        minutes: { type: 'string' },
        seed: { type: 'string' },
        only: { type: 'string', default: '' },
        topology: { type: 'string' },
        'local-grants': { type: 'string' },
        html: { type: 'string' },
        results: { type: 'boolean', default: false },
    },
});

const folder = mkdtempSync(join(tmpdir(), 'fault-lab-'));
const skipped: string[] = [];

/** The faults that can be had on this machine. */
function available(): readonly Fault[] {
    const chosen = FAULTS.filter(({ name }) => name.includes(options.only)).filter(
        ({ topology }) => options.topology === undefined || topology === options.topology,
    );
    const clock = ServerClock.create();
    if (typeof clock !== 'string') {
        clock[Symbol.dispose]();
        return chosen;
    }
    skipped.push(`faults of the server's clock: ${clock}`);
    return chosen.filter(({ name }) => !name.startsWith('clock'));
}

/** What a lab is started with. */
interface Round {
    readonly topology: Topology;
    readonly localGrants: number;
    readonly seed: number;
}

/** A lab in which a schedule of faults runs. */
async function experiment(round: Round, run: (lab: Lab) => Promise<void>): Promise<Verdict> {
    const { topology, localGrants, seed } = round;
    const history = join(folder, `${topology}-${localGrants}-${seed}.jsonl`);
    {
        await using lab = await Lab.start({ ...round, history });
        await sleep(PAUSE);
        await run(lab);
        await sleep(PAUSE);
        await lab.quiesce();
    }
    const verdict = check(readHistory(history));
    for (const { invariant, text } of verdict.violations.slice(0, SHOWN)) {
        console.error(`VIOLATION of ${invariant} (${PROMISES[invariant]}):\n    ${text}`);
    }
    const hidden = verdict.violations.length - SHOWN;
    if (hidden > 0) console.error(`and ${hidden} more`);
    if (verdict.violations.length > 0) console.error(`in ${history}`);
    return verdict;
}

/** The ways in which the workers may be run: in strict order, and with local grants. */
function orders(): readonly number[] {
    const chosen = options['local-grants'];
    return chosen === undefined ? [0, LOCAL_GRANTS] : [Number(chosen)];
}

/** Each of them side by side: what takes its time is waiting. */
async function fixedRuns(faults: readonly Fault[], seed: number): Promise<Verdict[]> {
    const runs = orders().map((localGrants) => fixedRun(faults, seed, localGrants));
    return (await Promise.all(runs)).flat();
}

async function fixedRun(faults: readonly Fault[], seed: number, localGrants: number): Promise<Verdict[]> {
    const verdicts: Verdict[] = [];
    for (const topology of TOPOLOGIES) {
        const those = faults.filter((fault) => fault.topology === topology);
        if (those.length === 0) continue;
        const run = async (lab: Lab): Promise<void> => {
            for (const fault of those) {
                await suffer(fault, lab);
                await sleep(PAUSE);
            }
        };
        verdicts.push(await experiment({ topology, localGrants, seed }, run));
    }
    return verdicts;
}

/** One lab after another, of half a minute each; most are of a single server, where two faults may meet. */
async function randomRun(faults: readonly Fault[], seed: number, minutes: number): Promise<Verdict[]> {
    const random = new Seed(seed);
    const end = performance.now() + minutes * 60_000;
    const verdicts: Verdict[] = [];
    for (let round = 1; performance.now() < end; round += 1) {
        const topologies = TOPOLOGIES.filter((one) => faults.some((fault) => fault.topology === one));
        const topology = random.happens(0.6) && topologies.includes('single') ? 'single' : random.one(topologies);
        const localGrants = random.one(orders());
        const those = faults.filter((fault) => fault.topology === topology);
        const schedule = Array.from({ length: topology === 'single' ? 14 : 4 }, () => {
            const fault = random.one(those);
            const others = those.filter(({ reach }) => reach !== fault.reach);
            const pair = others.length > 0 && random.happens(0.3) ? [fault, random.one(others)] : [fault];
            return { pair, pause: random.between(200, 1500) };
        });
        const verdict = await experiment({ topology, localGrants, seed: seed * 1000 + round }, async (lab) => {
            for (const { pair, pause } of schedule) {
                await Promise.all(pair.map((fault) => suffer(fault, lab)));
                await sleep(pause);
            }
        });
        const { grants, passed } = totals([verdict]);
        const found = `${grants} grants, ${passed} passed on, ${verdict.violations.length} violations`;
        console.log(`round ${round}, ${topology}, local grants ${localGrants}: ${found}`);
        verdicts.push(verdict);
    }
    return verdicts;
}

function report(verdicts: readonly Verdict[]): void {
    const rows = [COLUMNS, ...tally(verdicts).map(cells)];
    const widths = widthsOf(rows);
    console.log(rows.map((row) => aligned(row, widths).join('  ')).join('\n'));
    const exempted = verdicts.flatMap((verdict) => verdict.exempted);
    const counts = INVARIANTS.map((one) => [one, exempted.filter(({ finding }) => finding.invariant === one).length]);
    const told = counts.filter(([, count]) => count !== 0).map(([one, count]) => `${count} of ${one}`);
    const windows = verdicts.flatMap(({ reading }) => reading.faults.filter(({ exempts }) => exempts.length > 0));
    console.log(`${windows.length} exempt windows; exempt in them: ${told.join(', ') || 'nothing'}`);
    const { grants, passed, waits } = totals(verdicts);
    const violations = verdicts.flatMap((verdict) => verdict.violations);
    console.log(`${grants} grants, ${passed} of them passed on, ${waits} waits, ${violations.length} violations`);
}

async function main(): Promise<void> {
    const random = options.minutes !== undefined;
    const minutes = Number(options.minutes ?? 0);
    const seed = Number(options.seed ?? (random ? Math.floor(Math.random() * 1e6) : FIXED_SEED));
    const chosen = (['only', 'topology', 'local-grants'] as const).flatMap((name) => {
        const value = options[name] ?? '';
        return value === '' ? [] : [` --${name} '${value}'`];
    });
    const which = (random ? ` --minutes ${minutes} --seed ${seed}` : '') + chosen.join('');
    const command = `npm run faults${which === '' ? '' : ` --${which}`}`;
    if (!Number.isInteger(seed) || !(minutes >= 0)) throw new Error('--seed and --minutes take a number');
    console.log(`seed ${seed}`);
    const faults = available();
    for (const why of skipped) console.log(`Left out: ${why}`);
    const verdicts = random ? await randomRun(faults, seed, minutes) : await fixedRuns(faults, seed);
    report(verdicts);
    if (options.results) writeFileSync(RESULTS, resultsPage(verdicts, command, skipped));
    const broken = verdicts.filter(({ violations }) => violations.length > 0);
    if (options.html !== undefined || broken.length > 0) {
        const path = options.html ?? join(folder, 'violation.html');
        writeFileSync(path, timelinePage(options.html === undefined ? broken : verdicts, command));
        console.log(`To look at: ${path}`);
    }
    if (broken.length === 0) rmSync(folder, { recursive: true });
    else process.exitCode = 1;
}

main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
});
