import { assert } from 'chai';
import { LockError, asError, asLockError } from '../../../src/engine/port/errors';

suite('LockError', () => {
    test('carries its code, the key, the holder, the remaining time and the cause', () => {
        const cause = new Error('why');
        const error = new LockError('LOCK_TIMEOUT', 'what', { key: 'k', holder: 'h', remaining: 5, cause });
        assert.instanceOf(error, Error);
        assert.strictEqual(error.name, 'LockError');
        assert.strictEqual(error.message, 'what');
        assert.strictEqual(error.cause, cause);
        assert.deepInclude({ ...error }, { code: 'LOCK_TIMEOUT', key: 'k', holder: 'h', remaining: 5, unknown: false });
    });

    test('has no cause when there is none', () => {
        assert.notProperty(new LockError('CLOSED', 'what'), 'cause');
    });

    test('of another error says that its outcome is unknown', () => {
        const cause = new Error('why');
        const error = asLockError(cause, 'k', 'h');
        assert.deepInclude({ ...error }, { code: 'CONNECTION_FAILED', key: 'k', holder: 'h', unknown: true });
        assert.strictEqual(error.cause, cause);
        assert.strictEqual(error.message, 'why');
    });

    test('stays as it is', () => {
        const error = new LockError('CLOSED', 'what');
        assert.strictEqual(asLockError(error, 'k', 'h'), error);
    });

    test('is made of anything that may be thrown', () => {
        for (const thrown of ['text', 7, null, undefined]) assert.strictEqual(asError(thrown).message, String(thrown));
    });
});
