import { assert } from 'chai';
import { LockError } from '../../../../src/engine/port/errors';
import { explain, isReply, saidBy, textOf } from '../../../../src/engine/redis/connection/replies';
import { ScriptError } from '../../../../src/engine/redis/scripts/Script';

/** An error as ioredis makes it of what a server answers. */
function reply(text: string): Error {
    const error = new Error(text);
    error.name = 'ReplyError';
    return error;
}

suite('replies', () => {
    for (const [text, code] of [
        ['WRONGTYPE Operation against a key holding the wrong kind of value', 'WRONG_TYPE'],
        ['NOAUTH Authentication required.', 'WRONG_PASSWORD'],
        ['NOPERM No permissions to access a key', 'NO_PERMISSION'],
        ['READONLY You can not write against a read only replica.', 'SERVER_REFUSED'],
        ["ERR unknown command 'eval'", 'NOT_SUPPORTED'],
    ] as const) {
        test(`the answer ${text.slice(0, 40)} is ${code}, and had no effect`, () => {
            const cause = reply(text);
            const error = explain(cause, { key: 'k', unknown: true });
            assert.deepInclude({ ...error }, { code, key: 'k', unknown: false });
            assert.strictEqual(error.cause, cause);
        });
    }

    test('keep what the server said, however often they are explained', () => {
        const text = "@user_script: 1: -READONLY You can't write against a read only replica.";
        const once = explain(new ScriptError(text), {});
        const twice = explain(once, { key: 'k' });
        for (const error of [new ScriptError(text), once, twice]) {
            assert.strictEqual(saidBy(error), 'READONLY');
            assert.strictEqual(textOf(error), "READONLY You can't write against a read only replica.");
        }
        assert.include(twice.message, "READONLY You can't write");
        assert.notInclude(twice.message, 'user_script');
        assert.isUndefined(saidBy(explain(new Error('READONLY says the network'), {})));
        assert.strictEqual(textOf(new Error('read ECONNRESET')), '');
    });

    test('of protected mode tell the first sentence only', () => {
        const error = explain(reply('DENIED Redis is running in protected mode. It goes on. And on.'), {});
        assert.match(error.message, /DENIED Redis is running in protected mode\.$/);
    });

    test('an error of the connection leaves the outcome as it is said', () => {
        for (const unknown of [true, false]) {
            const error = explain(new Error('read ECONNRESET'), { unknown });
            assert.deepInclude({ ...error }, { code: 'CONNECTION_FAILED', unknown });
            assert.include(error.message, 'ECONNRESET');
        }
    });

    test('what the client did not send had no effect', () => {
        const text = "Stream isn't writeable and enableOfflineQueue options is false";
        const error = explain(new Error(text), { unknown: true });
        assert.deepInclude({ ...error }, { code: 'CONNECTION_FAILED', unknown: false });
        assert.notInclude(error.message, 'writeable');
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
