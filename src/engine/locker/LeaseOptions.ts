import { checkHolder, checkKey, checkSignal, checkTimeout, checkTtl, checkType } from '../port/checks';
import { LockError } from '../port/errors';
import { newId } from '../port/holder';
import { LONGEST } from '../time/Clock';
import type { WaitRequest } from '../waiting/Waiter';

/** How a lease is wanted. */
export interface LeaseOptions {
    /** Length of the lease, ms. Default: that of the locker. */
    readonly ttl?: number | undefined;
    /** How long to wait, ms; 0: one attempt; Infinity is allowed. Default: that of the locker. Ignored by tryAcquire. */
    readonly timeout?: number | undefined;
    /** Renew the lease until it is released or lost. Default: true. */
    readonly keepAlive?: boolean | undefined;
    /** Stops waiting. */
    readonly signal?: AbortSignal | undefined;
    /**
     * The id to hold the key under; one that holds the key already gets it again. Default: a new one. Do not use one again
     * while it is unknown what became of an acquisition with it: what is still on its way would be taken for the new one's.
     */
    readonly holder?: string | undefined;
    /** Handed to the observer with every event of this acquisition. */
    readonly context?: unknown;
}

/** A call for a lease: its first key is asked for first. */
export interface LeaseCall {
    readonly request: WaitRequest;
    /** The other keys, in sorted order. */
    readonly rest: readonly string[];
    readonly keepAlive: boolean;
}

const NONE: readonly string[] = [];

/**
 * Checks what a caller asks for.
 *
 * @throws LockError BAD_KEY, BAD_TTL, BAD_TIMEOUT, BAD_HOLDER, BAD_PARAMETER
 */
export function leaseCall(
    key: string | readonly string[],
    options: LeaseOptions,
    defaults: { readonly ttl: number; readonly timeout: number },
    how: 'try' | 'wait',
): LeaseCall {
    checkType(options, 'object', 'options');
    const { ttl = defaults.ttl, keepAlive = true, holder, signal, context } = options;
    const timeout = how === 'try' ? 0 : (options.timeout ?? defaults.timeout);
    const [first, ...rest] = isList(key) ? [...new Set(key)].sort() : [key];
    if (first === undefined) throw new LockError('BAD_KEY', 'The list of keys is empty.');
    checkKey(first);
    for (const one of rest) checkKey(one);
    checkTtl(ttl, first);
    checkTimeout(timeout, first);
    checkType(keepAlive, 'boolean', 'keepAlive');
    checkSignal(signal, first);
    if (holder !== undefined) checkHolder(holder);
    // Who says so long means as long as it takes: no timer is longer.
    const patience = timeout > LONGEST ? Infinity : timeout;
    const request = { key: first, id: newId(holder), ttl, timeout: patience, signal, context };
    return { request, rest: rest.length === 0 ? NONE : rest, keepAlive };
}

/** Array.isArray makes `any` of a readonly array. */
function isList(key: string | readonly string[]): key is readonly string[] {
    return Array.isArray(key);
}
