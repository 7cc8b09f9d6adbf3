import { assert } from 'chai';
import { LockError } from '../../../../src/engine/port/errors';
import type { LockErrorCode } from '../../../../src/engine/port/errors';
import { explain, isReply } from '../../../../src/engine/redis/connection/replies';
import { ScriptError } from '../../../../src/engine/redis/scripts/Script';

/** An error as ioredis makes it of what a server answers. */
function reply(text: string): Error {
    const error = new Error(text);
    error.name = 'ReplyError';
    return error;
}

const CODES: Readonly<Record<string, LockErrorCode>> = {
    'WRONGTYPE Operation against a key holding the wrong kind of value': 'WRONG_TYPE',
    'WRONGPASS invalid username-password pair or user is disabled.': 'WRONG_PASSWORD',
    'NOAUTH Authentication required.': 'WRONG_PASSWORD',
    'ERR invalid password': 'WRONG_PASSWORD',
    'ERR AUTH <password> called without any password configured for the default user.': 'WRONG_PASSWORD',
    "NOPERM this user has no permissions to run the 'evalsha' command": 'NO_PERMISSION',
    'NOPERM No permissions to access a key': 'NO_PERMISSION',
    "ERR Error running script: @user_script:3: The user executing the script can't run this command or subcommand":
        'NO_PERMISSION',
    'READONLY You can not write against a read only replica.': 'SERVER_REFUSED',
    'OOM command not allowed when used memory > maxmemory.': 'SERVER_REFUSED',
};

suite('replies', () => {
    for (const [text, code] of Object.entries(CODES)) {
        test(`the answer ${text.slice(0, 40)} is ${code}, and had no effect`, () => {
            const cause = reply(text);
            const error = explain(cause, { key: 'k', unknown: true });
            assert.deepInclude({ ...error }, { code, key: 'k', unknown: false });
            assert.strictEqual(error.cause, cause);
        });
    }

    test('an error of the connection leaves the outcome as it is said', () => {
        for (const unknown of [true, false]) {
            const error = explain(new Error('read ECONNRESET'), { unknown });
            assert.deepInclude({ ...error }, { code: 'CONNECTION_FAILED', unknown });
            assert.include(error.message, 'ECONNRESET');
        }
    });

    test('an error without a message is told by its code', () => {
        const error = explain(Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }), { unknown: false });
        assert.include(error.message, 'ECONNREFUSED');
    });

    test('an error of ours keeps its code and outcome, and gets the key', () => {
        const ours = new LockError('CLOSED', 'It was closed.', { unknown: true });
        const error = explain(ours, { key: 'k' });
        assert.deepInclude({ ...error }, { code: 'CLOSED', key: 'k', unknown: true });
        assert.strictEqual(error.message, 'It was closed.');
    });

    test('are what a server or a script says, not what a connection does', () => {
        assert.isTrue(isReply(reply('ERR no')));
        assert.isTrue(isReply(new ScriptError('WRONGTYPE')));
        assert.isFalse(isReply(new Error('Connection is closed.')));
        assert.isFalse(isReply('ERR no'));
    });
});
