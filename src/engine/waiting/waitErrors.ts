import { LockError } from '../port/errors';
import { nameOf } from '../port/holder';
import type { WaitRequest } from './WaitRequest';

/** The signal of the caller aborted. */
export function aborted({ key, id }: WaitRequest, signal: AbortSignal): LockError {
    const holder = nameOf(id);
    return new LockError('LOCK_ABORTED', `Waiting for ${key} was aborted.`, { key, holder, cause: signal.reason });
}

/** The lock was closed. */
export function closed({ key, id }: WaitRequest): LockError {
    const holder = nameOf(id);
    return new LockError('CLOSED', `The lock was closed while ${key} was waited for.`, { key, holder });
}

/** The grant took longer to arrive than it lasts, or than the others that were asked for with it last. */
export function tooLate({ key, id, ttl }: WaitRequest): LockError {
    const text = `Redis took longer to answer than the lease of ${key} would have lasted (ttl ${ttl}).`;
    return new LockError('CONNECTION_FAILED', text, { key, holder: nameOf(id), unknown: true });
}

/** Redis did not answer once. */
export function unanswered({ key, id, timeout, whole = timeout }: WaitRequest): LockError {
    const text = `Redis did not answer within the timeout of ${Math.round(whole)} ms.`;
    return new LockError('CONNECTION_FAILED', text, { key, holder: nameOf(id), unknown: true });
}

/** The last attempt failed. @param cause why. */
export function unserved({ key, id, timeout, whole = timeout }: WaitRequest, cause: LockError): LockError {
    const { code, message, unknown, votes } = cause;
    const text = `${key} could not be had within the timeout of ${Math.round(whole)} ms: ${message}`;
    return new LockError(code, text, { key, holder: nameOf(id), cause, unknown, votes });
}

/** As many wait as may. */
export function tooMany({ key, id }: WaitRequest, waiting: number): LockError {
    const text = `${waiting} callers wait already, as many as options.max_waiting allows.`;
    return new LockError('TOO_MANY', text, { key, holder: nameOf(id) });
}

/** It waits until its owner has given the key back. @param cause why the release of that has no answer. */
export function notGivenBack({ key, id }: WaitRequest, cause: LockError): LockError {
    const text = `It is unknown whether ${key} was given back: ${cause.message}`;
    return new LockError(cause.code, text, { key, holder: nameOf(id), cause });
}
