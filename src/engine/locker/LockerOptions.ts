import type { Deputy } from '../lease/Deputy';
import { checkNumber, checkType } from '../port/checks';
import type { LockError } from '../port/errors';
import { LONGEST } from '../time/Clock';

export interface LockerOptions {
    /** Default length of a lease, ms. */
    readonly ttl: number;
    /** Default of how long to wait, ms. */
    readonly timeout: number;
    /** Pause between attempts where the store does not wake waiters, ms. */
    readonly retryTimeout: number;
    /** How many leases may be held at a time. */
    readonly maxHeld: number;
    /** How many callers may wait at a time. */
    readonly maxWaiting: number;
    /**
     * Makes what acquisitions and leases throw, of an error of ours and the context of the request. Must not throw. Default: the
     * error itself.
     */
    readonly exceptionOf: (error: LockError, context: unknown) => Error;
    /** Renews leases while the event loop is blocked. Default: nobody does. */
    readonly deputy?: Deputy | undefined;
}

const DEFAULTS: LockerOptions = {
    ttl: 30_000,
    timeout: 300,
    retryTimeout: 100,
    maxHeld: 100_000,
    maxWaiting: 10_000,
    exceptionOf: (error) => error,
};

/** The most leases, and the most waiting callers, that may be allowed. */
const MOST = 10_000_000;

/** Completes options by their defaults. @throws LockError BAD_OPTION, BAD_PARAMETER */
export function lockerOptions(given: Partial<LockerOptions>): LockerOptions {
    const options = { ...DEFAULTS, ...given };
    const { ttl, timeout, retryTimeout, maxHeld, maxWaiting, exceptionOf } = options;
    checkNumber(ttl, 1, LONGEST, 'ttl');
    if (timeout !== Infinity) checkNumber(timeout, 0, LONGEST, 'timeout');
    checkNumber(retryTimeout, 1, LONGEST, 'retryTimeout');
    checkNumber(maxHeld, 1, MOST, 'maxHeld');
    checkNumber(maxWaiting, 1, MOST, 'maxWaiting');
    checkType(exceptionOf, 'function', 'exceptionOf');
    return options;
}
