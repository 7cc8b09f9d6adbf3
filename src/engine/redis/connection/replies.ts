import { LockError, asError } from '../../port/errors';
import type { LockErrorCode, LockErrorDetails } from '../../port/errors';
import { bareText, codeOf, wordOf } from './serverWords';
import type { ServerWord } from './serverWords';

/** Whether the server sent this error. If not, it is one of the connection. For an error that was explained use `saidBy`. */
export function isReply(error: unknown): error is Error {
    return error instanceof Error && (error.name === 'ReplyError' || error.name === 'ScriptError');
}

/** The word of a server's answer, also out of an explained error. @returns undefined: there is none, or none that is known. */
export function saidBy(error: unknown): ServerWord | undefined {
    if (isReply(error)) return wordOf(error.message);
    return error instanceof LockError && isReply(error.cause) ? wordOf(error.cause.message) : undefined;
}

/** The text of a server's answer, without what its version puts around it. Empty: there is none. */
export function textOf(error: unknown): string {
    if (isReply(error)) return bareText(error.message);
    return error instanceof LockError && isReply(error.cause) ? bareText(error.cause.message) : '';
}

/** Makes a LockError of what the client or the server said. */
export function explain(thrown: unknown, details: LockErrorDetails): LockError {
    if (thrown instanceof LockError) {
        return new LockError(thrown.code, thrown.message, { cause: thrown.cause, unknown: thrown.unknown, ...details });
    }
    if (isReply(thrown)) return refusal(thrown, details);
    const cause = asError(thrown);
    // After several addresses Node.js gives an AggregateError without a message.
    const text = cause.message || ('code' in cause ? String(cause.code) : cause.name);
    const known = { ...details, cause };
    if (/^All sentinels are unreachable.*No such master/.test(text)) {
        const sentence = 'No Sentinel knows a master named as options.sentinel_name says.';
        return new LockError('CONNECTION_FAILED', sentence, known);
    }
    if (/ Last error: NOAUTH/.test(text)) {
        const sentence = 'The Sentinels want a password, and none is configured: set sentinel_credential.password.';
        return new LockError('WRONG_PASSWORD', sentence, known);
    }
    if (/ Last error: WRONGPASS/.test(text)) {
        return new LockError('WRONG_PASSWORD', `The Sentinels refused the credentials: ${text}`, known);
    }
    if (cause.name === 'MaxRetriesPerRequestError' || text === 'Connection is closed.') {
        return new LockError('CONNECTION_FAILED', 'The connection to Redis was lost before it answered.', known);
    }
    if (text.startsWith("Stream isn't writeable")) {
        // It was not sent.
        const sentence = 'The connection to Redis was lost.';
        return new LockError('CONNECTION_FAILED', sentence, { ...known, unknown: false });
    }
    if (/wrong version number|packet length too long|EPROTO/i.test(text)) {
        return new LockError('CONNECTION_FAILED', `The server does not speak TLS at this port: ${text}`, known);
    }
    return new LockError('CONNECTION_FAILED', `Redis failed: ${text}`, known);
}

/** Names the option that would help. */
const ADVICE: Readonly<Partial<Record<ServerWord, string>>> = {
    NOAUTH: 'Redis wants a password, and none is configured: set credential.password.',
    NODATABASE: 'Redis has no database of that number: see options.db_num, or the number at the end of connection.uri.',
};

const SENTENCES: Readonly<Partial<Record<LockErrorCode, string>>> = {
    WRONG_PASSWORD: 'Redis refused the credentials',
    NO_PERMISSION: 'The Redis user may not do this',
    NOT_SUPPORTED: 'The Redis server cannot do what a lock needs',
};

function refusal(reply: Error, details: LockErrorDetails): LockError {
    const word = wordOf(reply.message);
    const code = codeOf(word);
    const known = { ...details, cause: reply, unknown: false };
    if (code === 'WRONG_TYPE') {
        return new LockError(code, `The key ${details.key} holds something that is no lock.`, known);
    }
    const advice = word === undefined ? undefined : ADVICE[word];
    if (advice !== undefined) return new LockError(code, advice, known);
    const text = bareText(reply.message);
    // It goes on for a page.
    const said = word === 'DENIED' ? (/^[^.]*\./.exec(text)?.[0] ?? text) : text;
    return new LockError(code, `${SENTENCES[code] ?? 'Redis refuses to work'}: ${said}`, known);
}
