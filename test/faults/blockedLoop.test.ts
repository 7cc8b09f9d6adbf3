import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import { check } from './Checker';
import type { Verdict } from './Checker';
import { readHistory } from './History';
import type { HistoryEvent } from './HistoryEvent';
import { Lab } from './Lab';
import type { LabWorker } from './LabWorker';

const TTL = 2000;
const BLOCK = 3 * TTL;

/** What a lease says of itself. */
type Stated = Extract<HistoryEvent, { readonly held: boolean; readonly attempt: string }>;

/** One key, that somebody always holds and the others wait for. */
const PACE = { loops: 1, ttl: [TTL, TTL], stay: TTL, pause: 20, keepAlive: 1 } as const;
const PATIENT = { tries: 0, impatient: 0, cancel: 0, overstay: 0 };

suite('The fault lab with keep-alive threads', function () {
    this.timeout(180_000);
    // Whether the holder is seen before it releases is a matter of luck on a crowded machine.
    this.retries(2);
    suiteSetup(skipWithoutRedis);

    let folder = '';
    setup(() => (folder = mkdtempSync(join(tmpdir(), 'blocked-'))));
    teardown(() => rmSync(folder, { recursive: true }));

    /** The event loop of one that holds the key is blocked. @returns what is known of that lease, and the verdict. */
    async function blocked(maxBlock: number): Promise<{ readonly lease: HistoryEvent[]; readonly verdict: Verdict }> {
        const history = join(folder, `${maxBlock}.jsonl`);
        const config = { 'options.keep_alive_thread': true, 'options.max_block': maxBlock };
        let attempt = '';
        {
            const pace = { ...PACE, ...PATIENT };
            await using lab = await Lab.start({ seed: 8, history, workers: 3, keys: 1, config, pace });
            // The connection of each thread is the last of its worker.
            await until(
                () => lab.workers.every(({ proxies }, at) => (proxies[0]?.accepted ?? 0) >= 2 + (at % 2)),
                30_000,
            );
            await sleep(2000);
            const grant = await fresh(history);
            attempt = grant.attempt;
            const worker = lab.workers.find(({ client }) => client === grant.client);
            assert.isDefined(worker);
            await block(lab, worker);
            await lab.quiesce();
        }
        const events = readHistory(history);
        const lease = events.filter((event) => 'attempt' in event && event.attempt === attempt);
        return { lease, verdict: check(events) };
    }

    /** The next grant. */
    async function fresh(history: string): Promise<Stated> {
        const grants = (): Stated[] =>
            readHistory(history).flatMap((event) => (event.operation === 'grant' ? [event] : []));
        const before = grants().length;
        await until(() => grants().length > before, 20_000);
        return grants().at(-1) ?? assert.fail('There is none.');
    }

    async function block(lab: Lab, worker: LabWorker): Promise<void> {
        const clients = [worker.client];
        const name = 'event loop blocked';
        lab.note({ operation: 'fault', name, exempts: [], tail: 0, unheard: 0, clients });
        worker.block(BLOCK);
        await sleep(BLOCK + 500);
        lab.note({ operation: 'heal', name });
    }

    function texts({ violations }: Verdict): string[] {
        return violations.map(({ invariant, text }) => `${invariant}: ${text}`);
    }

    test('keeps the lease of a holder whose event loop is blocked', async () => {
        const { lease, verdict } = await blocked(60_000);
        assert.deepEqual(texts(verdict), []);
        const checks = lease.flatMap((event) => (event.operation === 'check' ? [event.held] : []));
        assert.deepEqual(checks, [true]);
        assert.notInclude(
            lease.map(({ operation }) => operation),
            'lost',
        );
    });

    test('loses it when that takes longer than it may, and the holder knows', async () => {
        const { lease, verdict } = await blocked(300);
        assert.deepEqual(texts(verdict), []);
        const checks = lease.flatMap((event) => (event.operation === 'check' ? [event.held] : []));
        assert.deepEqual(checks, [false]);
    });
});
