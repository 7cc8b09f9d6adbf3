import { ClaimTimeouts } from '../followups/ClaimTimeouts';
import { GiveUps } from '../followups/GiveUps';
import { HeldLease } from '../lease/HeldLease';
import { KeepAlive } from '../lease/KeepAlive';
import type { Lease } from '../lease/Lease';
import { checkType } from '../port/checks';
import { LockError, asError } from '../port/errors';
import { drawAnew, nameOf } from '../port/holder';
import type { LockEvent, LockObserver } from '../port/LockObserver';
import type { LockInfo, LockStore, StoreListener } from '../port/LockStore';
import { SHARED } from '../port/protocol';
import { quietly } from '../port/quietly';
import { systemClock } from '../time/Clock';
import type { Clock } from '../time/Clock';
import { Waiters } from '../waiting/Waiters';
import { Acquisitions } from './Acquisitions';
import type { BusyKey } from './Acquisitions';
import { DirectAccess } from './DirectAccess';
import type { ForceReleaseOptions } from './DirectAccess';
import { holding } from './holding';
import { Leaders } from './Leaders';
import { leaseCall } from './LeaseOptions';
import type { LeaseCall, LeaseOptions } from './LeaseOptions';
import { lockerOptions } from './LockerOptions';
import type { LockerOptions } from './LockerOptions';
import { SeveralKeys } from './SeveralKeys';

/** How much a locker has to do. */
export interface LockLoad {
    readonly held: number;
    readonly waiting: number;
}

/** A key that nobody can acquire, and its holder. */
const NOBODY = 'redis-lock:ping';

/**
 * Gives leases of keys, out of a store.
 *
 * new → open → closed; it is not opened again.
 */
export class Locker {
    private readonly _options: LockerOptions;
    private readonly _giveUps: GiveUps;
    private readonly _claims: ClaimTimeouts;
    private readonly _keepAlive: KeepAlive;
    private readonly _waiters: Waiters;
    private readonly _acquisitions: Acquisitions;
    private readonly _several: SeveralKeys;
    private readonly _direct: DirectAccess;
    private readonly _leaders: Leaders;
    private _state: 'new' | 'open' | 'closed' = 'new';

    /** @throws LockError BAD_OPTION */
    constructor(
        private readonly _store: LockStore,
        options: Partial<LockerOptions> = {},
        private readonly _observer: LockObserver = { observe: () => undefined },
        private readonly _clock: Clock = systemClock,
    ) {
        const clock = _clock;
        this._options = lockerOptions(options);
        const { deputy, exceptionOf, maxHeld } = this._options;
        const tell = (event: LockEvent): void => this._tell(event);
        const giveUps = (this._giveUps = new GiveUps(_store, clock));
        const keepAlive = (this._keepAlive = new KeepAlive(_store, clock, giveUps, tell, exceptionOf, deputy));
        const waiters = (this._waiters = new Waiters(_store, clock, giveUps, this._options, tell));
        this._claims = new ClaimTimeouts(_store, clock);
        this._acquisitions = new Acquisitions({ clock, giveUps, keepAlive, waiters, tell, maxHeld });
        this._several = new SeveralKeys(this._acquisitions, clock);
        this._direct = new DirectAccess(_store, tell);
        this._leaders = new Leaders(clock, tell);
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
        drawAnew();
        try {
            await this._store.open(this._listener());
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
        this._leaders.close();
        this._claims.close();
        // Leases end in this turn: a caller that releases its own after that finds it released by this.
        await Promise.all([this._keepAlive.close(), this._several.idle(), this._giveUps.close()]);
        await this._store.close();
    }

    /**
     * Takes a key, or several (all or nothing), if that is possible now.
     *
     * @returns null when somebody else holds a key or waits for it.
     * @throws LockError BAD_KEY, BAD_TTL, BAD_HOLDER, BAD_PARAMETER, NOT_OPENED, CLOSED, LOCK_ABORTED, TOO_MANY, WRONG_TYPE,
     * NO_PERMISSION, CONNECTION_FAILED.
     */
    tryAcquire(key: string | readonly string[], options: LeaseOptions = {}): Promise<Lease | null> {
        return this._acquire(key, options, 'try');
    }

    /**
     * Waits for a key, or for several (all or nothing, in sorted order so that two callers cannot block each other). Callers are
     * served in the order in which they came.
     *
     * @throws LockError LOCK_TIMEOUT when it was busy to the end, BAD_TIMEOUT, and all that tryAcquire throws.
     */
    acquire(key: string | readonly string[], options: LeaseOptions = {}): Promise<Lease> {
        return this._acquire(key, options, 'wait');
    }

    /**
     * Runs `work` while holding a key. The lease is released on every path.
     *
     * @throws what `work` throws, first of all; LOCK_LOST when the lease was lost and `work` did not notice, CLOSED when the locker
     * was closed meanwhile; what acquire throws. A release that fails is told to the observer only.
     */
    async withLock<T>(
        key: string | readonly string[],
        options: LeaseOptions,
        work: (lease: Lease) => Promise<T>,
    ): Promise<T> {
        checkType(work, 'function', 'work');
        return holding(await this.acquire(key, options), work);
    }

    /**
     * Runs `work` while leading: while holding a key. Waits for it without end, also through outages, and renews the lease.
     *
     * `lease.signal` tells `work` to end: the lease was lost, `options.signal` aborted, or the locker was closed. What `work` returns
     * or throws then does not count. When it has settled, it is run again in the next term, or the call ends. Work that ignores the
     * signal goes on beside the next leader, and keeps this call out of the line. There is one term of a call at a time, and
     * each has a greater fence.
     *
     * @param options timeout, keepAlive and holder are ignored.
     * @returns what `work` returns by itself; the lease is released before.
     * @throws what `work` throws by itself; LOCK_ABORTED by `options.signal`; CLOSED; what acquire throws, unless it may pass.
     */
    async lead<T>(
        key: string | readonly string[],
        options: LeaseOptions,
        work: (lease: Lease) => Promise<T>,
    ): Promise<T> {
        checkType(options, 'object', 'options');
        const wanted = { ...options, timeout: Infinity, keepAlive: true, holder: undefined };
        const acquire = (signal: AbortSignal): Promise<Lease> => this.acquire(key, { ...wanted, signal });
        const exceptionOf = (error: LockError): Error => this._exception(error, options.context);
        return this._leaders.lead({ key: String(key), acquire, exceptionOf }, options.signal, work);
    }

    /** Renews a lease of this locker from now on until it ends, or no more. */
    keepAlive(lease: Lease, whether: boolean): void {
        if (lease instanceof HeldLease) lease.keeper.keep(whether);
    }

    /** Has the keys of a lease of this locker stay taken for so long from now on, ms, even when it is released sooner. */
    hold(lease: Lease, atLeast: number): void {
        if (lease instanceof HeldLease) lease.hold(atLeast);
    }

    /** Whether a lease of this locker is held, as soon as that is known: the answer to a renewal may be there, and only not be read. */
    async isHeld(lease: Lease): Promise<boolean> {
        return lease instanceof HeldLease ? lease.decided() : lease.isHeld();
    }

    /** Hands over a lease of this locker that was held a moment ago: several are handed over together. @see Lease.handOver */
    handOver(lease: Lease): void {
        if (lease instanceof HeldLease) lease.leave();
    }

    /** Says what is wrong with a request, and does nothing. @throws what acquire throws for it. */
    check(key: string | readonly string[], options: LeaseOptions = {}): void {
        this._checkOpen();
        const { id, signal } = leaseCall(key, options, this._options, 'wait').request;
        if (signal?.aborted !== true) return;
        throw new LockError('LOCK_ABORTED', `Waiting for ${String(key)} was aborted.`, {
            holder: nameOf(id),
            cause: signal.reason,
        });
    }

    /** Lengthens a lease by its holder, also one of another process. @returns whether it was still that holder's. */
    async renew(key: string, holder: string, ttl: number = this._options.ttl): Promise<boolean> {
        this._checkOpen();
        return this._direct.renew(key, holder, ttl);
    }

    /** Gives back a lease by its holder, also one of another process. @returns whether it was still that holder's. */
    async release(key: string, holder: string): Promise<boolean> {
        this._checkOpen();
        return this._direct.release(key, holder);
    }

    /** Asks the store for something that changes nothing. @returns how long the answer took, ms. */
    async ping(): Promise<number> {
        this._checkOpen();
        const since = this._clock.now();
        await this._store.renew(NOBODY, NOBODY, this._options.ttl, false).catch((error: unknown) => {
            // A server that refuses the key answers, too.
            if (!(error instanceof LockError && error.code === 'NO_PERMISSION')) throw error;
        });
        return this._clock.now() - since;
    }

    /** Who holds a key and who waits for it. */
    async inspect(key: string): Promise<LockInfo> {
        this._checkOpen();
        return this._direct.inspect(key);
    }

    /**
     * The locks that are held, as far as they are known to this library, each once and in no order.
     *
     * @param pattern of their keys: `*` stands for any characters, `?` for one, a `\\` before one for that one itself.
     */
    async *list(pattern = '*'): AsyncIterable<LockInfo> {
        this._checkOpen();
        yield* this._direct.list(pattern);
    }

    /**
     * Takes a key from its holder, and passes it to the first in line in the same step. The holder learns of it as of any
     * loss, a third of its ttl later at most. Of a key that several share it takes all their shares, if no holder is given.
     *
     * @returns from whom, of several the first; undefined: nobody had it, or not any more.
     */
    async forceRelease(key: string, options: ForceReleaseOptions): Promise<string | undefined> {
        this._checkOpen();
        return this._direct.forceRelease(key, options);
    }

    private _listener(): StoreListener {
        return {
            granted: (key, id, fence, ttl) => this._waiters.granted(key, id, fence, ttl),
            woken: (key, id) => this._waiters.woken(key, id),
            first: (key, id, remaining) => this._waiters.first(key, id, remaining),
            handedOn: (key, window) => {
                if (this._state === 'open') this._claims.follow(key, window);
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
        };
    }

    private _acquire(key: string | readonly string[], options: LeaseOptions, how: 'wait'): Promise<Lease>;
    private _acquire(key: string | readonly string[], options: LeaseOptions, how: 'try'): Promise<Lease | null>;
    private _acquire(
        key: string | readonly string[],
        options: LeaseOptions,
        how: 'wait' | 'try',
    ): Promise<Lease | null> {
        return new Promise((resolve, reject) => {
            try {
                this._checkOpen();
                const call = leaseCall(key, options, this._options, how);
                const done = (outcome: HeldLease | BusyKey | Error): void => {
                    if (outcome instanceof HeldLease) resolve(outcome);
                    else if (outcome instanceof Error) reject(this._exception(outcome, call.request.context));
                    else if (how === 'try') resolve(null);
                    else reject(this._exception(timedOut(outcome, call), call.request.context));
                };
                if (call.rest.length > 0) this._several.acquire(call, done);
                else this._acquisitions.begin(call.request, call.keepAlive, done);
            } catch (error) {
                reject(this._exception(error, options?.context));
            }
        });
    }

    private _exception(error: unknown, context: unknown): Error {
        return error instanceof LockError ? this._options.exceptionOf(error, context) : asError(error);
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

function timedOut({ key, holder, remaining }: BusyKey, { request: { timeout } }: LeaseCall): LockError {
    const was = timeout === 0 ? 'is busy' : `was busy for all of the timeout of ${timeout} ms`;
    const by = holder === SHARED ? 'others share it' : `${holder || 'nobody'} holds it`;
    return new LockError('LOCK_TIMEOUT', `${key} ${was}; ${by}.`, { key, holder, remaining });
}
