import {
    checkHolder,
    checkKey,
    checkNumber,
    checkPattern,
    checkSignal,
    checkTimeout,
    checkTtl,
    checkType,
} from '../port/checks';
import { LONGEST } from '../time/Clock';
import { GiveUps } from '../followups/GiveUps';
import { SystemClock } from '../time/Clock';
import type { Clock } from '../time/Clock';
import { LockError, asError } from '../port/errors';
import { ClaimTimeouts } from '../followups/ClaimTimeouts';
import { chosenHolder, nameOf, newId } from '../port/holder';
import { KeepAlive } from '../lease/KeepAlive';
import { HeldLease } from '../lease/HeldLease';
import type { LeasedKey } from '../lease/HeldLease';
import type { Lease } from '../lease/Lease';
import type { LockEvent, LockObserver } from '../port/LockObserver';
import { promised } from '../port/LockStore';
import type { Busy, Callback, LockInfo, LockStore, ReleaseAnswer } from '../port/LockStore';
import { shareHolder } from '../port/ReservingRequest';
import { quietly } from '../port/quietly';
import { Waiters } from '../waiting/Waiters';
import type { Acquired, WaitRequest } from '../waiting/Waiter';

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

/** Who takes a key from its holder, and why: for the observer. */
export interface ForceReleaseOptions {
    readonly by: string;
    readonly reason: string;
    /** From whom, so that nobody else loses it. Default: whoever has it. */
    readonly holder?: string | undefined;
    /** Handed to the observer. */
    readonly context?: unknown;
}

export interface LockerOptions {
    /** Default length of a lease, ms. */
    readonly ttl: number;
    /** Default of how long to wait, ms. */
    readonly timeout: number;
    /** Pause between attempts where the store does not wake waiters, ms. */
    readonly retryTimeout: number;
    /** How many leases may be held, and how many callers may wait, at a time. */
    readonly maxHeld: number;
    readonly maxWaiting: number;
    /**
     * Makes what acquisitions and leases throw, of an error of ours and the context of the request. Must not throw. Default: the
     * error itself.
     */
    readonly exceptionOf: (error: LockError, context: unknown) => Error;
}

/** How much a locker has to do. */
export interface LockLoad {
    readonly held: number;
    readonly waiting: number;
}

const DEFAULTS: LockerOptions = {
    ttl: 30_000,
    timeout: 300,
    retryTimeout: 100,
    maxHeld: 100_000,
    maxWaiting: 10_000,
    exceptionOf: (error) => error,
};

/** Of leases and of callers. */
const MOST = 10_000_000;

const NONE: readonly string[] = [];

/** A key that nobody can acquire, and its holder. */
const NOBODY = 'redis-lock:ping';

/** What is asked for: first of all its first key. */
interface Wanted extends WaitRequest {
    /** The other keys, in sorted order and without repetition. */
    readonly rest: readonly string[];
    readonly keepAlive: boolean;
    readonly since: number;
}

/** Who has called for a lease. */
interface Call {
    readonly wanted: Wanted;
    /** Busy is an answer: null. */
    readonly once: boolean;
    readonly resolve: (lease: Lease | null) => void;
    readonly reject: (error: Error) => void;
}

/**
 * Gives leases of keys, out of a store.
 *
 * new → open → closed; it is not opened again.
 */
export class Locker {
    private readonly _options: LockerOptions;
    private readonly _giveUps: GiveUps;
    private readonly _keepAlive: KeepAlive;
    private readonly _waiters: Waiters;
    private readonly _handOffs: ClaimTimeouts;
    /** Acquisitions of several keys that have their first. */
    private readonly _partial = new Set<Promise<void>>();
    private _state: 'new' | 'open' | 'closed' = 'new';

    constructor(
        private readonly _store: LockStore,
        options: Partial<LockerOptions> = {},
        private readonly _observer: LockObserver = { observe: () => undefined },
        private readonly _clock: Clock = new SystemClock(),
    ) {
        this._options = { ...DEFAULTS, ...options };
        checkOptions(this._options);
        const { exceptionOf } = this._options;
        const tell = (event: LockEvent): void => this._tell(event);
        this._handOffs = new ClaimTimeouts(this._store, _clock);
        this._giveUps = new GiveUps(this._store, _clock);
        this._keepAlive = new KeepAlive(this._store, _clock, this._giveUps, tell, exceptionOf);
        this._waiters = new Waiters(this._store, _clock, this._giveUps, this._options, tell);
    }

    /** How many leases are held and how many callers wait. */
    get load(): LockLoad {
        return { held: this._keepAlive.size, waiting: this._waiters.size };
    }

    /** @throws LockError CONNECTION_FAILED, WRONG_PASSWORD, NO_PERMISSION; ALREADY_OPENED, CLOSED. */
    async open(): Promise<void> {
        if (this._state === 'closed') throw new LockError('CLOSED', 'The lock was closed.');
        if (this._state === 'open') throw new LockError('ALREADY_OPENED', 'The lock is open already.');
        this._state = 'open';
        try {
            await this._store.open({
                granted: (key, id, fence, ttl) => this._waiters.granted(key, id, fence, ttl),
                woken: (key, id) => this._waiters.woken(key, id),
                first: (key, id, remaining) => this._waiters.first(key, id, remaining),
                handedOn: (key, window) => {
                    if (this._state === 'open') this._handOffs.follow(key, window);
                },
                changed: (key) => this._waiters.changed(key),
                reconnected: () => {
                    this._waiters.recheck();
                    this._giveUps.retry();
                },
                disconnected: (error) => {
                    this._waiters.disconnected();
                    this._tell({ kind: 'unreachable', error });
                },
                recovered: (message) => this._tell({ kind: 'reachable', message }),
                warned: (message) => this._tell({ kind: 'warning', message }),
            });
        } catch (error) {
            this._state = 'closed';
            throw error;
        }
    }

    /** Sends waiters away (CLOSED), releases every lease, closes the store. Bounded by the store's command timeout. */
    async close(): Promise<void> {
        if (this._state !== 'open') return;
        this._state = 'closed';
        this._waiters.close();
        this._handOffs.close();
        // Whoever releases its lease in this very turn is to find it released by this.
        if (this._partial.size > 0) await Promise.all(this._partial);
        await Promise.all([this._keepAlive.close(), this._giveUps.close()]);
        await this._store.close();
    }

    /**
     * Takes a key, or several (all or nothing), if that is possible now.
     *
     * @returns null when somebody else holds a key or waits for it.
     * @throws LockError BAD_KEY, BAD_TTL, BAD_HOLDER, NOT_OPENED, CLOSED, LOCK_ABORTED, TOO_MANY, WRONG_TYPE, NO_PERMISSION,
     * CONNECTION_FAILED.
     */
    tryAcquire(key: string | readonly string[], options: LeaseOptions = {}): Promise<Lease | null> {
        return this._call(key, options, 'try');
    }

    /**
     * Waits for a key, or for several (all or nothing, in sorted order so that two callers cannot block each other). Whoever
     * came first is served first.
     *
     * @throws LockError LOCK_TIMEOUT when it was busy to the end, BAD_TIMEOUT, and all that tryAcquire throws.
     */
    acquire(key: string | readonly string[], options: LeaseOptions = {}): Promise<Lease> {
        return this._call(key, options, 'wait');
    }

    /**
     * Runs `work` while holding a key. The lease is released on every path.
     *
     * @throws what `work` throws, first of all; LOCK_LOST when the lease was lost and `work` did not notice; what acquire
     * throws. A release that fails is told to the observer only.
     */
    async withLock<T>(
        key: string | readonly string[],
        options: LeaseOptions,
        work: (lease: Lease) => Promise<T>,
    ): Promise<T> {
        checkType(work, 'function', 'work');
        return holding(await this.acquire(key, options), work);
    }

    /** Renews a lease of this locker from now on until it ends, or no more. */
    keepAlive(lease: Lease, whether: boolean): void {
        if (lease instanceof HeldLease) lease.keeper.keep(whether);
    }

    /** Says what is wrong with a request, and does nothing. @throws what acquire throws for it. */
    check(key: string | readonly string[], options: LeaseOptions = {}): void {
        const { signal, id } = this._wanted(key, options);
        if (signal?.aborted !== true) return;
        const holder = nameOf(id);
        throw new LockError('LOCK_ABORTED', `Waiting for ${String(key)} was aborted.`, {
            holder,
            cause: signal.reason,
        });
    }

    /** Lengthens a lease by its holder, also one of another process. @returns whether it was still that holder's. */
    async renew(key: string, holder: string, ttl: number = this._options.ttl): Promise<boolean> {
        this._checkOpen();
        checkKey(key);
        checkHolder(holder);
        checkTtl(ttl, key);
        return (await this._store.renew(key, holder, ttl)).kind === 'renewed';
    }

    /** Gives back a lease by its holder, also one of another process. @returns whether it was still that holder's. */
    async release(key: string, holder: string): Promise<boolean> {
        return (await this._release(key, holder)) === 'released';
    }

    /** Asks the store for something that changes nothing. @returns how long the answer took, ms. */
    async ping(): Promise<number> {
        this._checkOpen();
        const since = this._clock.now();
        await this._store.renew(NOBODY, NOBODY, this._options.ttl).catch((error: unknown) => {
            // A server that refuses the key answers, too.
            if (!(error instanceof LockError && error.code === 'NO_PERMISSION')) throw error;
        });
        return this._clock.now() - since;
    }

    /** Who holds a key and who waits for it. */
    async inspect(key: string): Promise<LockInfo> {
        this._checkOpen();
        checkKey(key);
        return this._store.inspect(key);
    }

    /**
     * The locks that are held, as far as they are known to this library, each once and in no order.
     *
     * @param pattern of their keys: `*` stands for any characters, `?` for one, a `\\` before one for that one itself.
     */
    async *list(pattern = '*'): AsyncIterable<LockInfo> {
        this._checkOpen();
        checkPattern(pattern);
        yield* this._store.list(pattern);
    }

    /**
     * Takes a key from its holder, and passes it to the first in line in the same step. The holder learns of it as of any
     * loss, a third of its ttl later at most.
     *
     * @returns from whom; undefined: nobody had it, or not any more.
     */
    async forceRelease(key: string, options: ForceReleaseOptions): Promise<string | undefined> {
        checkType(options.by, 'string', 'by');
        checkType(options.reason, 'string', 'reason');
        const holder = options.holder ?? (await this.inspect(key)).holder;
        // What is released by its holder goes to whoever is next; that one is not to lose it.
        if (holder === undefined || (await this._release(key, holder)) !== 'released') return undefined;
        const { by, reason, context } = options;
        this._tell({ kind: 'forced', key, holder, context, by, reason });
        return holder;
    }

    private async _release(key: string, holder: string): Promise<ReleaseAnswer> {
        this._checkOpen();
        checkKey(key);
        checkHolder(holder);
        shareHolder(this._store, key, holder);
        return promised((callback) => this._store.release({ key, holder }, callback));
    }

    private _call(key: string | readonly string[], options: LeaseOptions, how: 'wait'): Promise<Lease>;
    private _call(key: string | readonly string[], options: LeaseOptions, how: 'try'): Promise<Lease | null>;
    private _call(key: string | readonly string[], options: LeaseOptions, how: 'wait' | 'try'): Promise<Lease | null> {
        return new Promise((resolve, reject) => {
            try {
                const wanted = this._wanted(key, options, how === 'try' ? 0 : options?.timeout);
                this._checkRoom(wanted.key, nameOf(wanted.id));
                const call: Call = { wanted, once: how === 'try', resolve, reject };
                this._waiters.acquire(wanted, (outcome) => this._settled(call, outcome));
            } catch (error) {
                reject(this._exception(error, options?.context));
            }
        });
    }

    private _wanted(
        key: string | readonly string[],
        options: LeaseOptions,
        timeout = options?.timeout ?? this._options.timeout,
    ): Wanted {
        this._checkOpen();
        checkType(options, 'object', 'options');
        const { ttl = this._options.ttl, keepAlive = true, holder, signal, context } = options;
        const keys = isList(key) ? [...new Set(key)].sort() : undefined;
        const first = keys === undefined ? key : keys[0];
        const rest = keys?.slice(1) ?? NONE;
        if (first === undefined) throw new LockError('BAD_KEY', 'The list of keys is empty.');
        checkKey(first);
        for (const one of rest) checkKey(one);
        checkTtl(ttl, first);
        checkTimeout(timeout, first);
        checkType(keepAlive, 'boolean', 'keepAlive');
        checkSignal(signal, first);
        if (holder !== undefined) checkHolder(holder);
        return {
            key: first,
            rest,
            id: newId(holder),
            ttl,
            // Who says so long means as long as it takes; no timer is longer.
            timeout: timeout > LONGEST ? Infinity : timeout,
            keepAlive,
            signal,
            context,
            since: this._clock.now(),
        };
    }

    private _settled(call: Call, outcome: Acquired | Busy | LockError): void {
        const { wanted } = call;
        this._observe(wanted, outcome);
        if (outcome instanceof Error) this._failed(call, outcome);
        else if (outcome.kind === 'busy') this._busy(call, wanted.key, outcome);
        else this._granted(call, outcome);
    }

    private _failed({ wanted, reject }: Call, error: unknown): void {
        reject(this._exception(error, wanted.context));
    }

    private _exception(error: unknown, context: unknown): Error {
        return error instanceof LockError ? this._options.exceptionOf(error, context) : asError(error);
    }

    private _busy(call: Call, key: string, { holder, remaining }: Busy): void {
        if (call.once) {
            call.resolve(null);
            return;
        }
        const { timeout } = call.wanted;
        const was = timeout === 0 ? 'is busy' : `was busy for all of the timeout of ${timeout} ms`;
        const text = `${key} ${was}; ${holder || 'nobody'} holds it.`;
        this._failed(call, new LockError('LOCK_TIMEOUT', text, { key, holder, remaining }));
    }

    private _granted(call: Call, acquired: Acquired): void {
        const { context, keepAlive, key, rest, since, ttl } = call.wanted;
        const { fence, holder, buried } = acquired;
        const now = this._clock.now();
        try {
            // Others may have been granted theirs while this one was waited for.
            this._checkRoom(key, holder);
        } catch (error) {
            this._giveUps.release({ key, holder, buried }, now + ttl);
            this._failed(call, error);
            return;
        }
        const one = leased(key, acquired);
        // While other keys are waited for, those we have must not run out.
        const terms = { ttl, keepAlive: keepAlive || rest.length > 0, context };
        const lease = this._keepAlive.begin(one, terms, acquired.confirmed);
        this._tell({ kind: 'acquired', key, holder, context, fence, waited: now - since });
        if (rest.length === 0) call.resolve(lease);
        else this._goOn(call, lease);
    }

    private _goOn(call: Call, lease: HeldLease): void {
        const whole = this._acquireRest(call.wanted, lease).then(
            (missed) => {
                if (missed === undefined) call.resolve(lease);
                else this._busy(call, missed.key, missed.busy);
            },
            (error: unknown) => this._failed(call, error),
        );
        this._partial.add(whole);
        void whole.finally(() => this._partial.delete(whole));
    }

    /** All or nothing: what was acquired is given back when one of the others cannot be had. @returns that one. */
    private async _acquireRest(
        wanted: Wanted,
        lease: HeldLease,
    ): Promise<{ readonly key: string; readonly busy: Busy } | undefined> {
        const { context, rest, since, ttl } = wanted;
        // When one of those we have is lost, there is nothing to wait for.
        const signal = wanted.signal === undefined ? lease.signal : AbortSignal.any([wanted.signal, lease.signal]);
        try {
            for (const key of rest) {
                const next = await this._acquireOne({ ...wanted, key, signal });
                if (next.kind === 'busy') {
                    await lease.release().catch(() => false);
                    return { key, busy: next };
                }
                const { holder, fence, buried } = next;
                if (!lease.isHeld()) this._giveUps.release({ key, holder, buried }, this._clock.now() + ttl);
                lease.assertHeld();
                const one = leased(key, next);
                lease.add(one, next.confirmed);
                const waited = this._clock.now() - since;
                this._tell({ kind: 'acquired', key, holder, context, fence, waited });
            }
            // Also the first key is to last for the ttl from now.
            await lease.renew();
            if (!wanted.keepAlive) lease.keeper.keep(false);
            return undefined;
        } catch (error) {
            await lease.release().catch(() => false);
            throw lease.signal.aborted ? lease.signal.reason : error;
        }
    }

    /** One of several keys, in what is left of the time. */
    private _acquireOne(wanted: Wanted): Promise<Acquired | Busy> {
        const { id, timeout, since } = wanted;
        const request: Wanted = {
            ...wanted,
            id: newId(chosenHolder(id)),
            timeout: timeout === 0 ? 0 : Math.max(since + timeout - this._clock.now(), 0),
        };
        return promised((callback: Callback<Acquired | Busy>) => {
            this._waiters.acquire(request, (outcome) => {
                this._observe(wanted, outcome);
                callback(outcome);
            });
        });
    }

    /** Tells how it ended, unless it began. */
    private _observe({ key, id, context, since, timeout }: Wanted, outcome: Acquired | Busy | LockError): void {
        const holder = nameOf(id);
        if (outcome instanceof Error) this._tell({ kind: 'failed', key, holder, context, error: outcome });
        else if (outcome.kind === 'granted') return;
        else if (timeout === 0) this._tell({ kind: 'busy', key, holder, context });
        else this._tell({ kind: 'timeout', key, holder, context, waited: this._clock.now() - since });
    }

    private _checkRoom(key: string, holder: string): void {
        const { size } = this._keepAlive;
        if (size < this._options.maxHeld) return;
        const text = `${size} leases are held already, as many as options.max_held allows.`;
        throw new LockError('TOO_MANY', text, { key, holder });
    }

    private _checkOpen(): void {
        if (this._state === 'new') throw new LockError('NOT_OPENED', 'The lock has not been opened.');
        if (this._state === 'closed') throw new LockError('CLOSED', 'The lock was closed.');
    }

    private _tell(event: LockEvent): void {
        // An observer cannot change what it observes.
        quietly(() => this._observer.observe(event));
    }
}

/** @throws LockError BAD_OPTION */
function checkOptions(options: LockerOptions): void {
    const { ttl, timeout, retryTimeout, maxHeld, maxWaiting, exceptionOf } = options;
    checkNumber(ttl, 1, LONGEST, 'ttl');
    if (timeout !== Infinity) checkNumber(timeout, 0, LONGEST, 'timeout');
    checkNumber(retryTimeout, 1, LONGEST, 'retryTimeout');
    checkNumber(maxHeld, 1, MOST, 'maxHeld');
    checkNumber(maxWaiting, 1, MOST, 'maxWaiting');
    checkType(exceptionOf, 'function', 'exceptionOf');
}

/** Runs `work` while holding `lease`, and releases it on every path. @see Locker.withLock */
export async function holding<T>(lease: Lease, work: (lease: Lease) => Promise<T>): Promise<T> {
    let result: T;
    try {
        lease.assertHeld();
        result = await work(lease);
    } catch (error) {
        // Cleanup never replaces the first error.
        await lease.release().catch(() => false);
        throw error;
    }
    // It may have been lost, or released by closing; `work` may have released it, too.
    const isEnded = !lease.isHeld();
    const released = await lease.release().catch(() => true);
    const { key, holder } = lease;
    if (isEnded && lease.signal.aborted) throw lease.signal.reason;
    if (released) return result;
    throw new LockError('LOCK_LOST', `The lease of ${key} was taken or deleted before it was released.`, {
        key,
        holder,
    });
}

function leased(key: string, { holder, fence, deadline, buried }: Acquired): LeasedKey {
    return { key, holder, fence, deadline, buried };
}

/** Array.isArray makes `any` of a readonly array. */
function isList(key: string | readonly string[]): key is readonly string[] {
    return Array.isArray(key);
}
