import { assert } from 'chai';
import { holderOf, newId, readHolder } from '../../src/engine/port/holder';
import { READER, holding, waiterOf } from '../../src/engine/port/LockStore';
import type { LockInfo } from '../../src/engine/port/LockStore';
import { linesOf, reportOf } from '../../src/bin/LockReport';
import type { LockReport } from '../../src/bin/LockReport';
import { clockTime, jsonOf, printable, redacted, spoken, table } from '../../src/bin/text';
import { sentenceOf } from '../../src/bin/tellOfWait';
import { frame } from '../../src/bin/watch';

suite('The text of the command line', () => {
    test('says a duration by its two largest units', () => {
        const said = [0, 999, 1000, 61_000, 3_600_000, 3_661_000, 90_000_000, Infinity].map(spoken);
        assert.deepEqual(said, ['0ms', '999ms', '1s', '1m1s', '1h', '1h1m', '1d1h', 'ever']);
    });

    test('has columns as wide as their widest cell', () => {
        assert.deepEqual(
            table([
                ['a', 'bb', ''],
                ['ccc', 'd', 'e'],
            ]),
            ['a    bb', 'ccc  d   e'],
        );
    });

    test('cuts the ends of what is widest where the terminal is too narrow', () => {
        const rows = [
            ['KEY', 'HOST', 'TTL'],
            ['a-very-long-key', 'host-of-some', '10s'],
        ];
        assert.deepEqual(table(rows, 24), ['KEY       HOST       TTL', 'a-very-…  host-of-…  10s']);
        for (const width of [12, 20, 30, 34]) {
            for (const line of table(rows, width)) assert.isAtMost(line.length, Math.max(width, 15));
        }
        assert.deepEqual(table(rows, 100), table(rows));
    });

    test('has no half letters where it is cut', () => {
        assert.deepEqual(table([['😀😀😀😀😀😀', 'x']], 7), ['😀😀😀…  x']);
    });

    test('holds nothing that a terminal would take for a command, or hide', () => {
        const bad = ['\u001b', '\n', '\r', '\u007f', '\u009b', '\u202e', '\u2066', '\u200b', '\u2028', '\ud800'];
        for (const sign of bad) {
            assert.strictEqual(printable(`a${sign}b`), 'a?b', JSON.stringify(sign));
            const json = jsonOf({ key: `a${sign}b` });
            assert.match(json, /^[ -~]*$/, json);
            assert.deepEqual(JSON.parse(json), { key: `a${sign}b` });
        }
        assert.strictEqual(printable('Zürich 😀 东京'), 'Zürich 😀 东京');
        assert.strictEqual(jsonOf('Zürich 😀'), '"Zürich 😀"');
    });

    test('tells a time by the clock, with its day unless that is today', () => {
        const at = new Date(2026, 10, 7, 4, 5, 6);
        assert.strictEqual(clockTime(at, new Date(2026, 10, 7, 23, 0, 0)), '04:05:06');
        assert.strictEqual(clockTime(at, new Date(2026, 10, 8, 0, 0, 0)), '2026-11-07 04:05:06');
    });

    test('has no credentials', () => {
        assert.strictEqual(redacted('at redis://u:p@h:1 and rediss://:p@h'), 'at redis://***@h:1 and rediss://***@h');
    });

    test('knows where a holder is by its id, and only where the id was made here', () => {
        assert.deepInclude(readHolder(holderOf(newId(), 7)), { pid: process.pid, fence: 7 });
        assert.deepEqual(readHolder('a:b:12:Abc_-123:1z:7'), { host: 'a:b', pid: 12, fence: 7 });
        const others = ['', 'token', 'host:1:short:1:7', 'host:x:Abc_-123:1:7', 'a:b:12:Abc_-123:1z:'];
        for (const other of others) assert.isUndefined(readHolder(other));
    });

    test('fills a terminal, and says what is left', () => {
        const reports = [1, 2, 3, 4, 5].map((at) => reportOf({ key: `k${at}`, ...held('h', 10, 5), waiters: [] }));
        const lines = frame(reports, { rows: 5, columns: 80 }).split('\n');
        assert.deepEqual(lines.slice(1), [
            'k1   exclusive  h     -    5ms   10ms  1      0',
            'k2   exclusive  h     -    5ms   10ms  1      0',
            '… 3 more',
            '',
        ]);
        assert.include(frame(reports, { rows: 24, columns: 80 }), 'k5');
        assert.include(frame([], { rows: 24, columns: 80 }), 'no lock is held');
    });

    test('has a line for each holder of a key that is shared', () => {
        const both = reportOf({ key: 'k', ...shared(2), waiters: [] });
        const [, ...lines] = frame([both], { rows: 9, columns: 80 }).trimEnd().split('\n');
        assert.deepEqual(lines, [
            'k    shared     h1    -    1s    9s   1      0',
            'k    2 permits  h2    -    1s    9s   2      0',
        ]);
        const told = linesOf(both).map((line) => line.replace(/, since .*/, ''));
        assert.deepEqual(told, [
            'k is shared by 2',
            ...['  holder     h1', '  held       for 1s', '  runs out   in 9s, unless it is renewed', '  fence      1'],
            ...['  holder     h2', '  permits    2', '  held       for 1s'],
            ...['  runs out   in 9s, unless it is renewed', '  fence      2'],
        ]);
    });

    test('says of each waiter how it wants the key', () => {
        const waiters = [
            waiterOf('w1', 3000, undefined),
            waiterOf('w2', 2000, READER),
            waiterOf('w3', 1000, { limit: 5, permits: 2 }),
        ];
        const report = reportOf({ key: 'k', ...shared(1), waiters });
        assert.deepEqual(linesOf(report).slice(-4), [
            '  waiters    in order',
            '             w1, exclusive, for 3s',
            '             w2, shared, for 2s',
            '             w3, 2 of 5 permits, for 1s',
        ]);
        const { waiters: told } = JSON.parse(jsonOf(report)) as LockReport;
        assert.deepEqual(told, [
            { holder: 'w1', waited: 3000, mode: 'exclusive', permits: 1, limit: null },
            { holder: 'w2', waited: 2000, mode: 'shared', permits: 1, limit: null },
            { holder: 'w3', waited: 1000, mode: 'shared', permits: 2, limit: 5 },
        ]);
    });

    test('tells of a key that is shared, and whose holders are not known any more', () => {
        const lost = { ...shared(0), holder: '(shared)', mode: 'shared', remaining: 9000 } as const;
        const report = reportOf({ key: 'k', ...lost, waiters: [] });
        assert.deepEqual(linesOf(report).slice(1), [
            '  holders    are not known any more',
            '  runs out   in 9s, unless it is renewed',
        ]);
        assert.match(frame([report], { rows: 9, columns: 80 }), /k +shared +\(shared\)/);
    });

    test('fills no more than the width of a terminal', () => {
        const key = `\u001b[2J${'k'.repeat(200)}`;
        const report = reportOf({ key, ...held('h'.repeat(99), 10, 5), waiters: [] });
        const [, ...lines] = frame([report], { rows: 24, columns: 60 }).split('\n');
        for (const line of lines) assert.isAtMost(line.length, 60);
        assert.match(lines[0] ?? '', /^\?\[2Jk+… .*10ms +1 +0$/);
    });

    test('says for whom a command waits, and how many are before it', () => {
        const info = { key: 'job', ...held('host:1:x', 26_000, 4000), waiters: [] };
        assert.strictEqual(
            sentenceOf(info, 2),
            'waiting for job: held by host:1:x for 4s, runs out in 26s unless renewed; 2 others are before this one',
        );
        const foreign = { ...info, ...held('token', Infinity) };
        assert.strictEqual(
            sentenceOf(foreign, 1),
            'waiting for job: held by token, never runs out; 1 other is before this one',
        );
        const readers = { key: 'job', ...shared(2), waiters: [] };
        assert.strictEqual(sentenceOf(readers, 0), 'waiting for job: shared by 2; 0 others are before this one');
    });
});

/** What is known of a key that one has alone. */
function held(holder: string, remaining: number, since?: number): Omit<LockInfo, 'key' | 'waiters'> {
    return holding([{ holder, remaining, fence: 1, held: since, permits: 1 }], 'exclusive');
}

/** A number of holders that share a key; the n-th has n permits. */
function shared(count: number): Omit<LockInfo, 'key' | 'waiters'> {
    const numbers = Array.from({ length: count }, (_, at) => at + 1);
    return holding(
        numbers.map((one) => ({ holder: `h${one}`, remaining: 9000, fence: one, held: 1000, permits: one })),
        'shared',
    );
}
