import { LONGEST } from '../time/Clock';
import { LockError } from './errors';
import type { LockMode } from './LockStore';
import { SHARED } from './protocol';

/** The keys of ours in Redis begin with this: a lock of that name would break another one. */
const RESERVED = 'redis-lock:';

/** Longer texts are cut in messages. */
const SHOWN = 60;

/** @throws LockError BAD_KEY */
export function checkKey(key: unknown): asserts key is string {
    checkText(key, 'key');
    if (key.startsWith(RESERVED)) {
        throw new LockError('BAD_KEY', `A key must not begin with ${RESERVED}, as ${shown(key)} does.`, { key });
    }
}

/** @throws LockError BAD_KEY */
export function checkPattern(pattern: unknown): asserts pattern is string {
    checkText(pattern, 'pattern');
}

/** @throws LockError BAD_HOLDER */
export function checkHolder(holder: unknown): asserts holder is string {
    const isLine = typeof holder === 'string' && holder !== '' && !/[\n\r]/.test(holder) && isWellFormed(holder);
    // The value of a key that several have is no holder.
    if (isLine && holder !== SHARED) return;
    const text = isLine
        ? `A holder must not be ${SHARED}: a key that several hold has this value.`
        : `A holder must be one line of well-formed text that is not empty, not ${shown(holder)}.`;
    throw new LockError('BAD_HOLDER', text);
}

/** @throws LockError BAD_TTL */
export function checkTtl(ttl: unknown, key: string): asserts ttl is number {
    if (isWhole(ttl, 1, LONGEST)) return;
    const text = `The ttl must be a whole number of ms from 1 to ${LONGEST}, not ${shown(ttl)}.`;
    throw new LockError('BAD_TTL', text, { key });
}

/** @throws LockError BAD_TIMEOUT */
export function checkTimeout(timeout: unknown, key: string): asserts timeout is number {
    // A text compares as a number does, and a timer of it would be due at NaN.
    if (typeof timeout === 'number' && timeout >= 0) return;
    const text = `The timeout must be a number of ms, 0 or more, or Infinity, not ${shown(timeout)}.`;
    throw new LockError('BAD_TIMEOUT', text, { key });
}

/**
 * Anything that can be listened to as to an AbortSignal is one: jsdom has a class of its own.
 *
 * @throws LockError BAD_PARAMETER
 */
export function checkSignal(signal: unknown, key: string): asserts signal is AbortSignal | undefined {
    if (signal === undefined || isSignal(signal)) return;
    throw new LockError('BAD_PARAMETER', `The signal must be an AbortSignal, not ${shown(signal)}.`, { key });
}

/** @throws LockError BAD_PARAMETER */
export function checkMode(mode: unknown): asserts mode is LockMode | undefined {
    if (mode === undefined || mode === 'exclusive' || mode === 'shared') return;
    throw new LockError('BAD_PARAMETER', `The mode must be 'exclusive' or 'shared', not ${shown(mode)}.`);
}

/**
 * A parameter that counts something, or is a time in ms.
 *
 * @throws LockError BAD_PARAMETER
 */
export function checkWhole(value: unknown, least: number, most: number, name: string): asserts value is number {
    if (isWhole(value, least, most)) return;
    const text = `The ${name} must be a whole number from ${least} to ${most}, not ${shown(value)}.`;
    throw new LockError('BAD_PARAMETER', text);
}

/** @throws LockError BAD_PARAMETER */
export function checkType(value: unknown, type: 'boolean' | 'function' | 'object' | 'string', name: string): void {
    if (typeof value === type && value !== null) return;
    throw new LockError('BAD_PARAMETER', `The parameter ${name} must be ${article(type)}, not ${shown(value)}.`);
}

/** @throws LockError BAD_OPTION */
export function checkNumber(value: unknown, least: number, most: number, name: string): void {
    if (isWhole(value, least, most)) return;
    const text = `The option ${name} must be a whole number from ${least} to ${most}, not ${shown(value)}.`;
    throw new LockError('BAD_OPTION', text);
}

/** As a message shows a value. A text is quoted, so that it is seen not to be a number. */
export function shown(value: unknown): string {
    if (typeof value === 'string') {
        return value.length > SHOWN ? `${JSON.stringify(value.slice(0, SHOWN))}…` : JSON.stringify(value);
    }
    if (typeof value === 'object' && value !== null) return article(value.constructor?.name ?? 'object');
    return typeof value === 'function' || typeof value === 'symbol' ? `a ${typeof value}` : String(value);
}

function checkText(text: unknown, what: 'key' | 'pattern'): asserts text is string {
    if (typeof text !== 'string' || text === '') {
        throw new LockError('BAD_KEY', `A ${what} must be a string that is not empty, not ${shown(text)}.`);
    }
    // Half a surrogate pair becomes U+FFFD on the wire: different keys would be one.
    if (!isWellFormed(text)) throw new LockError('BAD_KEY', `The ${what} is not well-formed Unicode.`, { key: text });
}

function isWhole(value: unknown, least: number, most: number): value is number {
    return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}

function isSignal(value: unknown): value is AbortSignal {
    if (typeof value !== 'object' || value === null) return false;
    const { aborted, addEventListener, removeEventListener } = value as Readonly<Record<keyof AbortSignal, unknown>>;
    const listens = typeof addEventListener === 'function' && typeof removeEventListener === 'function';
    return typeof aborted === 'boolean' && listens;
}

function isWellFormed(text: string): boolean {
    return !/\p{Surrogate}/u.test(text);
}

function article(noun: string): string {
    return `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`;
}
