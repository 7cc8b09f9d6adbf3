import { LockError, asError } from '../../port/errors';
import type { LockErrorDetails } from '../../port/errors';

/** An error that the server sent, as opposed to one of the connection. */
export function isReply(error: unknown): error is Error {
    return error instanceof Error && (error.name === 'ReplyError' || error.name === 'ScriptError');
}

/** Says in our words and codes what the client or the server said. */
export function explain(thrown: unknown, details: LockErrorDetails): LockError {
    if (thrown instanceof LockError) {
        return new LockError(thrown.code, thrown.message, { cause: thrown.cause, unknown: thrown.unknown, ...details });
    }
    const cause = asError(thrown);
    // Of several addresses tried, Node.js gives an AggregateError without a message.
    const text = cause.message || ('code' in cause ? String(cause.code) : cause.name);
    const known = { ...details, cause, unknown: isReply(thrown) ? false : details.unknown };
    if (text.startsWith('WRONGTYPE')) {
        return new LockError('WRONG_TYPE', `The key ${details.key} holds something that is no lock.`, known);
    }
    if (/^All sentinels are unreachable.*No such master/.test(text)) {
        return new LockError(
            'CONNECTION_FAILED',
            'No Sentinel knows a master named as options.sentinel_name says.',
            known,
        );
    }
    if (/^(.* Last error: )?(WRONGPASS|NOAUTH|ERR invalid password|ERR AUTH)/.test(text)) {
        return new LockError('WRONG_PASSWORD', `Redis refused the credentials: ${text}`, known);
    }
    if (/NOPERM|no permissions to|can't run this command|can't access at least one/i.test(text)) {
        return new LockError('NO_PERMISSION', `The Redis user may not do this: ${text}`, known);
    }
    if (cause.name === 'MaxRetriesPerRequestError' || text === 'Connection is closed.') {
        return new LockError('CONNECTION_FAILED', 'The connection to Redis was lost before it answered.', known);
    }
    return new LockError(
        'CONNECTION_FAILED',
        isReply(thrown) ? `Redis refused: ${text}` : `Redis failed: ${text}`,
        known,
    );
}
