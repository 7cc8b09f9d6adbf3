import { assert } from 'chai';
import { LockError, LockErrorCode } from '../../src';
import { toException } from '../../src/lock/exceptions';
import type { Rejection } from '../fixtures/rejection';

/** What a user sees of each code. */
const EXPECTED: Readonly<Record<LockErrorCode, [name: string, status: number]>> = {
    LOCK_TIMEOUT: ['ConflictException', 409],
    LOCK_LOST: ['ConflictException', 409],
    LOCK_ABORTED: ['InvocationException', 500],
    NOT_OPENED: ['InvalidStateException', 500],
    ALREADY_OPENED: ['InvalidStateException', 500],
    CLOSED: ['InvalidStateException', 500],
    BAD_OPTION: ['ConfigException', 500],
    NO_CONNECTION: ['ConfigException', 500],
    NO_CREDENTIAL: ['ConfigException', 500],
    NO_QUORUM: ['ConnectionException', 500],
    NOT_REPLICATED: ['ConnectionException', 500],
    CONNECTION_FAILED: ['ConnectionException', 500],
    SERVER_REFUSED: ['ConnectionException', 500],
    NOT_SUPPORTED: ['InvalidStateException', 500],
    WRONG_PASSWORD: ['UnauthorizedException', 401],
    NO_PERMISSION: ['UnauthorizedException', 401],
    WRONG_TYPE: ['InvalidStateException', 500],
    BAD_KEY: ['BadRequestException', 400],
    BAD_HOLDER: ['BadRequestException', 400],
    BAD_TTL: ['BadRequestException', 400],
    BAD_TIMEOUT: ['BadRequestException', 400],
    BAD_PARAMETER: ['BadRequestException', 400],
    TOO_MANY: ['InvalidStateException', 500],
};

function exceptionOf(error: LockError, traceId?: string): Rejection {
    const exception = toException(error, traceId);
    assert.instanceOf(exception, Error);
    return exception;
}

suite('Exceptions', () => {
    test('have the codes that are exported, each by its own name', () => {
        assert.hasAllKeys(EXPECTED, Object.keys(LockErrorCode));
        for (const [name, code] of Object.entries(LockErrorCode)) assert.strictEqual(code, name);
    });

    for (const [code, [name, status]] of Object.entries(EXPECTED) as [LockErrorCode, [string, number]][]) {
        test(`of the code ${code} are a ${name} of status ${status}`, () => {
            const exception = exceptionOf(new LockError(code, 'What happened.'), 'trace-1');
            assert.strictEqual(exception.constructor.name, name);
            assert.strictEqual(exception.code, code);
            assert.strictEqual(exception.status, status);
            assert.strictEqual(exception.message, 'What happened.');
            assert.strictEqual(exception.trace_id, 'trace-1');
        });
    }

    test('have key, holder and remaining time in the details, where they are known', () => {
        const known = exceptionOf(new LockError('LOCK_TIMEOUT', 'Busy.', { key: 'k', holder: 'h', remaining: 0 }));
        assert.strictEqual(known.details?.getAsString('key'), 'k');
        assert.strictEqual(known.details?.getAsString('holder'), 'h');
        assert.strictEqual(known.details?.getAsString('remaining'), '0');
        const unknown = exceptionOf(new LockError('LOCK_TIMEOUT', 'Busy.'));
        assert.isUndefined(unknown.details);
    });

    test('have the cause, where there is one', () => {
        const cause = new Error('connect ECONNREFUSED');
        const exception = exceptionOf(new LockError('CONNECTION_FAILED', 'Unreachable.', { cause }));
        assert.include(JSON.stringify(exception.cause), 'ECONNREFUSED');
        assert.isNotOk(exceptionOf(new LockError('CONNECTION_FAILED', 'Unreachable.')).cause);
        assert.isNotOk(exceptionOf(new LockError('LOCK_ABORTED', 'Aborted.', { cause: 'a reason' })).cause);
    });

    test('have no trace id where the context had none', () => {
        assert.isNotOk(exceptionOf(new LockError('CLOSED', 'Closed.')).trace_id);
    });

    test('are not made of what is no error of the engine: that is handed back', () => {
        for (const other of [new Error('of a user'), 'text', undefined, { code: 'CLOSED' }]) {
            assert.strictEqual(toException(other, 'trace-1'), other);
        }
    });
});
