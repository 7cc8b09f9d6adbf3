import { traceIdOf } from '../connect/context';
import type { LockContext } from '../connect/context';
import type { ThreadServers } from '../connect/threadServers';
import type { Deputy } from '../engine/lease/Deputy';
import type { Lease } from '../engine/lease/Lease';
import { Locker } from '../engine/locker/Locker';
import type { LeaseOptions } from '../engine/locker/LeaseOptions';
import type { LockerOptions } from '../engine/locker/LockerOptions';
import { checkType } from '../engine/port/checks';
import type { LockError } from '../engine/port/errors';
import type { LockEvent } from '../engine/port/LockObserver';
import type { LockStore } from '../engine/port/LockStore';
import { systemClock } from '../engine/time/Clock';
import type { Clock } from '../engine/time/Clock';
import { CallChains } from './CallChains';
import { toException } from './exceptions';
import { HeldLocks } from './HeldLocks';
import { KeepAliveThread } from './KeepAliveThread';
import { LongHeld } from './LongHeld';
import type { LockSettings } from './LockSettings';
import type { LockTelemetry } from './LockTelemetry';
import type { SharedLease } from './SharedLease';

/** @inline */
export type Keys = string | readonly string[];

/** Whether a key is waited for. */
export type How = 'wait' | 'try';

/** What a component has from its opening to its close: a locker, and what its callers hold. */
export class Session {
    readonly locker: Locker;
    private readonly _held: HeldLocks;
    private readonly _chains: CallChains;
    private readonly _longHeld: LongHeld;
    private readonly _thread: KeepAliveThread | undefined;
    /** Whether the warning about callers without a trace id was given. */
    private _isWarned = false;

    constructor(
        store: LockStore,
        private readonly _settings: LockSettings,
        private readonly _telemetry: LockTelemetry,
        /** For the thread that keeps leases alive, where there is one. */
        servers?: ThreadServers,
        clock: Clock = systemClock,
    ) {
        this._held = new HeldLocks(clock);
        this._longHeld = new LongHeld(_settings.warnHeldAfter);
        const warned = (message: string): void => this._observe({ kind: 'warning', message });
        if (servers !== undefined) this._thread = new KeepAliveThread(servers, _settings, clock, warned);
        const options = lockerOptions(_settings, this._thread?.deputy);
        this.locker = new Locker(store, options, { observe: (event) => this._observe(event) }, clock);
        this._chains = new CallChains(this.locker, clock);
    }

    /** @throws what opening the locker throws. */
    async open(): Promise<void> {
        await this.locker.open();
        this._thread?.start();
    }

    async close(): Promise<void> {
        await this.locker.close();
        await this._thread?.close();
    }

    acquire(context: LockContext, key: Keys, options: LeaseOptions, how: 'wait'): Promise<Lease>;
    acquire(context: LockContext, key: Keys, options: LeaseOptions, how: How): Promise<Lease | null>;
    acquire(context: LockContext, key: Keys, options: LeaseOptions, how: How): Promise<Lease | null> {
        try {
            checkType(options, 'object', 'options');
        } catch (error) {
            return Promise.reject(exceptionOf(error as LockError, context));
        }
        return this._lease(context, key, { ...options, context }, how);
    }

    /** Acquires a key that is to be released by it alone, see {@link release}. @returns whether it is ours now. */
    async lock(context: LockContext, key: string, ttl: number, how: How, timeout?: number): Promise<boolean> {
        const { keepAlive } = this._settings;
        const options = { ttl, keepAlive, timeout: this._settings.budget(timeout), context };
        const lease = await this._lease(context, key, options, how);
        if (lease === null) return false;
        const caller = callerOf(context);
        const isAgain = this._held.add(caller, lease, ttl);
        if (isAgain && typeof caller !== 'string') this._warn(key);
        return true;
    }

    /** Releases a key that was acquired by {@link lock}; HeldLocks says which of them. @throws what releasing a lease throws. */
    release(context: LockContext, key: string): Promise<void> {
        return this._held.release(callerOf(context), key);
    }

    /** This lease is held for as long as it can be. */
    leads({ holder }: Lease): void {
        this._longHeld.expect(holder);
    }

    private _lease(context: LockContext, key: Keys, options: LeaseOptions, how: How): Promise<Lease | null> {
        // Without a trace id it is not known who comes again.
        const traceId = this._settings.reentrant ? traceIdOf(context) : undefined;
        if (traceId !== undefined) return this._again(traceId, key, options, how);
        return how === 'wait' ? this.locker.acquire(key, options) : this.locker.tryAcquire(key, options);
    }

    /** What the call chain has already, or a lease that it may come back to. */
    private async _again(traceId: string, key: Keys, options: LeaseOptions, how: How): Promise<SharedLease | null> {
        const { ttl = this._settings.ttl } = options;
        const timeout = how === 'try' ? 0 : (options.timeout ?? this._settings.budget(undefined));
        const request = { ...options, ttl, timeout };
        try {
            this.locker.check(key, request);
        } catch (error) {
            throw toException(error, traceId);
        }
        const [first = '', ...more] = [...new Set([key].flat())].sort();
        return this._chains.acquire(traceId, { ...request, keys: [first, ...more], how });
    }

    private _observe(event: LockEvent): void {
        if (event.kind === 'lost') {
            this._held.lost(event.key, event.holder);
            const traceId = traceIdOf(event.context as LockContext);
            if (traceId !== undefined) this._chains.lost(traceId, event.holder);
        }
        this._telemetry.observe(event, this.locker.load);
        const message = this._longHeld.observe(event);
        if (message !== undefined) this._observe({ kind: 'warning', message });
    }

    private _warn(key: string): void {
        if (this._isWarned) return;
        this._isWarned = true;
        const message =
            `A caller without a trace id acquired ${key} again and had not released it. releaseLock matches the locks of ` +
            'such callers with their releases in the order in which they began: give each caller a context with a trace ' +
            'id, or use acquire or withLock.';
        this._observe({ kind: 'warning', message });
    }
}

function exceptionOf(error: LockError, context: unknown): Error {
    return toException(error, traceIdOf(context as LockContext));
}

function lockerOptions(settings: LockSettings, deputy: Deputy | undefined): LockerOptions {
    const { maxHeld, maxWaiting, retryTimeout, ttl } = settings;
    const timeout = settings.budget(undefined);
    return { maxHeld, maxWaiting, retryTimeout, ttl, timeout, exceptionOf, deputy };
}

/** What tells callers of the ILock methods apart: their trace id, else the context itself. */
function callerOf(context: LockContext): unknown {
    return traceIdOf(context) ?? context ?? undefined;
}
