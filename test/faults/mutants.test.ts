import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { Explorer } from '../model/Explorer';
import { exploreQuorum } from '../model/quorum/QuorumExplorer';
import { QUORUM_MUTANTS, quorumScenario } from '../model/quorum/quorumScenario';
import { MUTANTS, scenario } from '../model/scenario';
import { check } from './Checker';
import type { Verdict } from './Checker';
import { instant, readHistory } from './History';
import { INVARIANTS } from './HistoryEvent';
import type { Invariant } from './HistoryEvent';
import { Lab } from './Lab';
import { Mutant } from './Mutant';
import { MUTANT_CASES } from './mutants';
import type { MutantCase } from './mutants';
import { totals } from './tally';

/** Between two looks at the history, ms. */
const LOOK = 300;

suite('The fault lab', function () {
    this.timeout(180_000);
    suiteSetup(skipWithoutRedis);

    let folder = '';
    setup(() => (folder = mkdtempSync(join(tmpdir(), 'mutants-'))));
    teardown(() => rmSync(folder, { recursive: true }));

    async function judge(
        { breaks, options, pace, run, lasts = 0, afterwards }: MutantCase,
        library?: string,
    ): Promise<Verdict> {
        const history = join(folder, 'history.jsonl');
        {
            await using lab = await Lab.start({
                ...{ seed: 8, patience: breaks.includes('I7') ? 10_000 : 200, history, ...options, pace: pace ?? {} },
                ...(library === undefined ? {} : { library }),
            });
            await run?.(lab);
            const isSeen = (): boolean => check(readHistory(history), breaks).violations.length > 0;
            for (const end = instant() + lasts; instant() < end && !isSeen();) await sleep(LOOK);
            await lab.quiesce(breaks.includes('I7'), () => afterwards?.(lab));
            // A mutant that breaks down is no proof of anything.
            for (const { client, isRunning } of lab.workers) assert.isTrue(isRunning, `${client} broke down`);
        }
        return check(readHistory(history));
    }

    for (const [name, mutated] of Object.entries(MUTANT_CASES)) {
        test(`finds ${mutated.breaks.join(' or ')} broken when ${name}`, async function () {
            // It takes a coincidence, which a busy machine may prevent.
            this.retries(2);
            using mutant = Mutant.of(mutated.replacements);
            const { violations } = await judge(mutated, mutant.library);
            const broken = INVARIANTS.filter((one) => violations.some(({ invariant }) => invariant === one));
            const [first] = violations.filter(({ invariant }) => mutated.breaks.includes(invariant));
            console.log(`      ${broken.join(', ')}: ${first?.text ?? 'nothing found'}`);
            assert.isTrue(
                mutated.breaks.some((one) => broken.includes(one)),
                `broken: ${broken.join(', ')}`,
            );
        });
    }

    for (const [name, mutated] of Object.entries(MUTANT_CASES).filter(
        ([, { afterwards }]) => afterwards !== undefined,
    )) {
        test(`finds nothing broken in the library as it is, where a mutant is found because ${name}`, async () => {
            const { violations } = await judge(mutated);
            const told = violations.map(({ invariant, text }) => `${invariant}: ${text}`);
            assert.deepEqual(told, []);
        });
    }

    for (const topology of ['single', 'quorum'] as const) {
        test(`finds nothing broken where keys are passed on within processes: ${topology}`, async () => {
            const options = { topology, localGrants: 3, keys: 1, workers: 3, patience: 10_000 };
            const verdict = await judge({ replacements: [], breaks: [], options, lasts: 3000 });
            assert.deepEqual(verdict.violations, []);
            const { grants, passed } = totals([verdict]);
            assert.isAbove(passed, grants / 3);
        });
    }

    test('refuses a mutant whose text is not in the library', () => {
        assert.throws(() => Mutant.of([['index.js', 'what is not there', '']]), /index.js has 0 times/);
    });
});

/** What needs a coincidence that processes do not meet within seconds is found by the search of the protocol. */
suite('The explorer', function () {
    this.timeout(60_000);

    const FOUND: Readonly<Record<string, readonly [Invariant, RegExp]>> = {
        'a stale message is believed': ['I1', /both believe that they have the key/],
        'deadline counted from the reply': ['I1', /both believe that they have the key/],
        'no claim window': ['I6', /a live waiter is not served/],
    };
    for (const [name, [invariant, what]] of Object.entries(FOUND)) {
        test(`finds ${invariant} broken when the protocol is mutated: ${name}`, () => {
            const { violation } = new Explorer(scenario(MUTANTS[name] ?? {})).explore();
            assert.match(violation?.what ?? '', what);
        });
    }

    test('finds I3 broken when a fence is not written back to a quorum', () => {
        const changes = QUORUM_MUTANTS['a fence is used that only a minority has'];
        assert(changes !== undefined);
        const { violation } = exploreQuorum(quorumScenario(changes));
        assert.strictEqual(changes.breaks, 'fences');
        assert.isDefined(violation);
    });
});
