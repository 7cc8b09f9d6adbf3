import { assert } from 'chai';
import { holderOf, newId, readHolder } from '../../src/engine/port/holder';
import { reportOf } from '../../src/bin/LockReport';
import { redacted, spoken, table } from '../../src/bin/text';
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
        const reports = [1, 2, 3, 4, 5].map((at) =>
            reportOf({ key: `k${at}`, holder: 'h', remaining: 10, fence: 1, held: 5, waiters: [] }),
        );
        const lines = frame(reports, 5).split('\n');
        assert.deepEqual(lines.slice(1), [
            'k1   h     -    5ms  10ms  1      0',
            'k2   h     -    5ms  10ms  1      0',
            '… 3 more',
            '',
        ]);
        assert.include(frame(reports, 24), 'k5');
    });
});
