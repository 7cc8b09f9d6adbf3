import {
    checkHolder,
    checkKey,
    checkMode,
    checkSignal,
    checkTimeout,
    checkTtl,
    checkType,
    checkWhole,
} from '../port/checks';
import { LockError } from '../port/errors';
import { newId } from '../port/holder';
import { READER } from '../port/LockStore';
import type { LockMode, Share } from '../port/LockStore';
import { LONGEST } from '../time/Clock';
import type { WaitRequest } from '../waiting/WaitRequest';

/** How a lease is wanted. */
export interface LeaseOptions {
    /** Length of the lease, ms. Default: that of the locker. */
    readonly ttl?: number | undefined;
    /** How long to wait, ms; 0: one attempt; Infinity is allowed. Default: that of the locker. Ignored by tryAcquire. */
    readonly timeout?: number | undefined;
    /** Renew the lease until it is released or lost. Default: true. */
    readonly keepAlive?: boolean | undefined;
    /** Whether it is held alone, or beside others that share it. Default: exclusive; shared, where a limit is given. */
    readonly mode?: LockMode | undefined;
    /**
     * How many permits of the key may be out at a time, those of this lease included. Each caller speaks for itself: give the same
     * limit everywhere. Not for a quorum.
     */
    readonly limit?: number | undefined;
    /** How many permits it takes. Default: 1. Only with a limit. */
    readonly permits?: number | undefined;
    /**
     * From its grant on the key stays taken for so long, ms, even when it is released sooner. Default: 0. A process that dies frees the
     * key when the ttl is over, as always.
     */
    readonly atLeast?: number | undefined;
    /** Stops waiting. */
    readonly signal?: AbortSignal | undefined;
    /**
     * The id to hold the key under; one that holds the key already gets it again. Default: a new one. While a lease of the same id is
     * being given back, its next acquisition by the same locker waits for that. Another process, or a caller that releases by its holder, must
     * do that itself: a release that is still on its way would end the next lease, too.
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

/** The most permits that a key may have. */
const MOST_PERMITS = 1_000_000_000;

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
    const { ttl = defaults.ttl, keepAlive = true, atLeast = 0, holder, signal, context } = options;
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
    const share = shareOf(options);
    checkAtLeast(atLeast, keepAlive ? LONGEST : ttl);
    // Who says so long means as long as it takes: no timer is longer.
    const patience = timeout > LONGEST ? Infinity : timeout;
    const request = { key: first, id: newId(holder), ttl, share, atLeast, timeout: patience, signal, context };
    return { request, rest: rest.length === 0 ? NONE : rest, keepAlive };
}

/** What a lease takes of its keys; undefined: it is exclusive. @throws LockError BAD_PARAMETER */
export function shareOf({ limit, mode, permits }: LeaseOptions): Share | undefined {
    checkMode(mode);
    if (limit === undefined) {
        if (permits === undefined) return mode === 'shared' ? READER : undefined;
        throw new LockError('BAD_PARAMETER', 'The parameter permits needs a limit, of which they are taken.');
    }
    checkWhole(limit, 1, MOST_PERMITS, 'limit');
    if (mode !== undefined) {
        const text = `The parameters mode and limit exclude each other: permits of a limit are always shared.`;
        throw new LockError('BAD_PARAMETER', text);
    }
    if (permits !== undefined) checkWhole(permits, 1, limit, 'number of permits');
    return { limit, permits: permits ?? 1 };
}

/** @throws LockError BAD_PARAMETER */
function checkAtLeast(atLeast: unknown, longest: number): void {
    if (atLeast === 0) return;
    checkWhole(atLeast, 0, LONGEST, 'atLeast');
    if (atLeast <= longest) return;
    const text = `atLeast must not be longer than the ttl of a lease that is not kept alive: ${atLeast} and ${longest} ms.`;
    throw new LockError('BAD_PARAMETER', text);
}

/** Array.isArray makes `any` of a readonly array. */
function isList(key: string | readonly string[]): key is readonly string[] {
    return Array.isArray(key);
}
