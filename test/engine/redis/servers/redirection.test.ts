import { assert } from 'chai';
import { LockError } from '../../../../src/engine/port/errors';
import type { LockErrorCode } from '../../../../src/engine/port/errors';
import { isPassing, mayBeReplaced, redirectionOf } from '../../../../src/engine/redis/servers/redirection';

function saying(text: string, code: LockErrorCode = 'SERVER_REFUSED'): LockError {
    return new LockError(code, text, { cause: Object.assign(new Error(text), { name: 'ReplyError' }) });
}

suite('An answer of a server of a cluster', () => {
    test('that redirects names the server, and whether the slot stays there', () => {
        assert.deepEqual(redirectionOf(saying('MOVED 3999 10.0.0.2:6381'), '10.0.0.1:6380'), {
            kind: 'moved',
            address: '10.0.0.2:6381',
        });
        assert.deepEqual(redirectionOf(saying('ASK 3999 10.0.0.2:6381'), '10.0.0.1:6380'), {
            kind: 'ask',
            address: '10.0.0.2:6381',
        });
    });

    test('that names no host means the host that answered', () => {
        for (const text of ['MOVED 3999 :6381', 'MOVED 3999 ?:6381']) {
            assert.strictEqual(redirectionOf(saying(text), '10.0.0.1:6380')?.address, '10.0.0.1:6381');
        }
    });

    test('of any other kind redirects nowhere', () => {
        assert.isUndefined(redirectionOf(saying('CLUSTERDOWN Hash slot not served'), '10.0.0.1:6380'));
        assert.isUndefined(redirectionOf(saying('ERR The answer was MOVED 1 a:1'), '10.0.0.1:6380'));
    });

    for (const [text, passes, replaced] of [
        ['TRYAGAIN Multiple keys request during rehashing of slot', true, false],
        ['CLUSTERDOWN The cluster is down', true, true],
        ['MASTERDOWN Link with MASTER is down', true, true],
        ['LOADING Redis is loading the dataset in memory', true, false],
        ['NOPERM this user has no permissions', false, false],
    ] as const) {
        test(`${passes ? 'is' : 'is not'} a reason to try again: ${text}`, () => {
            assert.deepEqual([isPassing(saying(text)), mayBeReplaced(saying(text))], [passes, replaced]);
        });
    }

    test('that never came is a reason to try again, and to look for another master', () => {
        for (const code of ['CONNECTION_FAILED', 'CLOSED'] as const) {
            assert.isTrue(isPassing(saying('', code)) && mayBeReplaced(saying('', code)));
        }
    });
});
