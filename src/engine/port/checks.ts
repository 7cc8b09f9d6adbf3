import { LONGEST } from '../time/Clock';
import { LockError } from './errors';

/** @throws LockError BAD_KEY */
export function checkKey(key: unknown): asserts key is string {
    if (typeof key !== 'string' || key === '')
        throw new LockError('BAD_KEY', 'A key must be a string that is not empty.');
    // Half a surrogate pair becomes U+FFFD on the wire: different keys would be one.
    if (!isWellFormed(key)) throw new LockError('BAD_KEY', 'The key is not well-formed Unicode.', { key });
}

/** @throws LockError BAD_HOLDER */
export function checkHolder(holder: unknown): asserts holder is string {
    if (typeof holder === 'string' && holder !== '' && !/[\n\r]/.test(holder) && isWellFormed(holder)) return;
    throw new LockError('BAD_HOLDER', 'A holder must be one line of well-formed text that is not empty.');
}

/** @throws LockError BAD_TTL */
export function checkTtl(ttl: number, key: string): void {
    if (Number.isInteger(ttl) && ttl >= 1 && ttl <= LONGEST) return;
    throw new LockError('BAD_TTL', `The ttl must be a whole number of ms from 1 to ${LONGEST}, not ${ttl}.`, { key });
}

/** @throws LockError BAD_TIMEOUT */
export function checkTimeout(timeout: number, key: string): void {
    if (timeout === Infinity || (timeout >= 0 && timeout <= LONGEST)) return;
    throw new LockError('BAD_TIMEOUT', `The timeout must be from 0 to ${LONGEST} ms or Infinity, not ${timeout}.`, {
        key,
    });
}

function isWellFormed(text: string): boolean {
    return !/\p{Surrogate}/u.test(text);
}
