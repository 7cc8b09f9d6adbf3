import { assert } from 'chai';
import { check } from './Checker';
import type { Verdict } from './Checker';
import type { HistoryEvent } from './HistoryEvent';
import { resultsPage, tally, totals } from './tally';

function verdict(): Verdict {
    const lease = (attempt: string, fence: number) => ({ key: 'key:0', attempt, holder: attempt, fence });
    const events: HistoryEvent[] = [
        { at: 0, process: 1, client: 'a', operation: 'grant', ...lease('a-1', 1), held: true, deadline: 300 },
        { at: 10, process: 2, client: 'b', operation: 'try', key: 'key:0', attempt: 'b-1', patience: 1000, ttl: 300 },
        { at: 20, process: 2, client: 'b', operation: 'waiting', key: 'key:0', attempt: 'b-1' },
        {
            at: 30,
            process: 3,
            client: 'lab',
            operation: 'fault',
            name: 'FLUSHALL',
            clients: null,
            exempts: ['I1'],
            tail: 100,
            unheard: 0,
        },
        { at: 30, process: 3, client: 'lab', operation: 'heal', name: 'FLUSHALL' },
        { at: 40, process: 2, client: 'b', operation: 'grant', ...lease('b-1', 2), held: true, deadline: 340 },
        { at: 45, process: 1, client: 'a', operation: 'lost', ...lease('a-1', 1), reason: 'was deleted' },
        { at: 350, process: 2, client: 'b', operation: 'lost', ...lease('b-1', 2), reason: 'ran out' },
        {
            at: 9000,
            process: 3,
            client: 'lab',
            operation: 'fault',
            name: 'SCRIPT FLUSH',
            clients: null,
            exempts: [],
            tail: 0,
            unheard: 0,
        },
        { at: 9000, process: 3, client: 'lab', operation: 'heal', name: 'SCRIPT FLUSH' },
    ];
    return check(events);
}

suite('The results of the fault lab', () => {
    test('count by fault what happened while it was there and shortly after', () => {
        const [flush, script] = tally([verdict(), verdict()]);
        assert.deepEqual(flush, {
            ...{ name: 'FLUSHALL', times: 2, grants: 2, passed: 0, waits: 0, losses: 4, lateness: [0, 10, 0, 10] },
            ...{ overlaps: 2, exempt: 2, exemptTime: 200 },
        });
        assert.deepEqual(script, {
            ...{ name: 'SCRIPT FLUSH', times: 2, grants: 0, passed: 0, waits: 0, losses: 0, lateness: [] },
            ...{ overlaps: 0, exempt: 0, exemptTime: 0 },
        });
    });

    test('count what was passed on within a process', () => {
        const broken = { name: 'a fault', clients: null, exempts: [], tail: 0, unheard: 0 };
        const lease = (attempt: string, fence: number, holder: string) => ({ key: 'key:0', attempt, holder, fence });
        const granted = { operation: 'grant', held: true, deadline: 300 } as const;
        const passed = check([
            { at: 0, process: 3, client: 'lab', operation: 'fault', ...broken },
            { at: 1, process: 1, client: 'a', ...granted, ...lease('a-1', 1, 'a-1') },
            { at: 2, process: 1, client: 'a', ...granted, ...lease('a-2', 2, 'a-1') },
            { at: 3, process: 2, client: 'b', ...granted, ...lease('b-1', 3, 'b-1') },
        ]);
        assert.deepInclude(tally([passed])[0], { grants: 3, passed: 1 });
        assert.deepInclude(totals([passed]), { grants: 3, passed: 1 });
    });

    test('are a page with the command, a row per fault, and what was left out', () => {
        const page = resultsPage([verdict()], 'npm run faults', ['what there was no compiler for']);
        assert.match(
            page,
            /`npm run faults`: 2 grants, of which 0 were passed on within a process, and 1 waits under 2 kinds of faults, 0 violations/,
        );
        assert.match(
            page,
            /\| FLUSHALL +\| +1 \| +1 \| +0 \| +0 \| +2 \| +0\.0 ms \| +10\.0 ms \| +1 \| +1 \| +0\.1 s \|/,
        );
        assert.match(page, /Left out: what there was no compiler for/);
    });
});
