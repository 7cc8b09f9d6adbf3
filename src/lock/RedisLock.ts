import { ConfigParams } from 'pip-services4-components-node';
import type { IConfigurable, IOpenable, IReferenceable, IReferences } from 'pip-services4-components-node';
import { traceIdOf } from '../connect/context';
import type { LockContext } from '../connect/context';
import { RedisConnector } from '../connect/RedisConnector';
import type { BorrowedClient } from '../connect/clients';
import { LockError } from '../engine/port/errors';
import type { Lease } from '../engine/lease/Lease';
import { SystemClock } from '../engine/time/Clock';
import { Locker, holding } from '../engine/locker/Locker';
import type { ForceReleaseOptions as LockerForceReleaseOptions } from '../engine/locker/Locker';
import type { LeaseOptions as LockerLeaseOptions, LockerOptions } from '../engine/locker/Locker';
import type { LockEvent, LockSubject } from '../engine/port/LockObserver';
import type { LockInfo } from '../engine/port/LockStore';
import { CallChains } from './CallChains';
import { toException } from './exceptions';
import { HeldLocks } from './HeldLocks';
import type { ILock } from './ILock';
import { LockSettings } from './LockSettings';
import { LockTelemetry } from './LockTelemetry';
import type { SharedLease } from './SharedLease';
import { storeOf } from './storeOf';

/** How a lease is wanted. Times in ms. */
export type LeaseOptions = Omit<LockerLeaseOptions, 'context'>;

/** Who takes a key from its holder, why, and from whom. */
export type ForceReleaseOptions = Omit<LockerForceReleaseOptions, 'context'>;

/** @inline */
type Keys = string | readonly string[];

/**
 * A distributed lock on Redis: on one server, a master that Sentinels watch, a Redis Cluster, or several
 * independent servers of which most must agree.
 *
 * Who holds a key is a plain string under that key, with an expiry, so this lock excludes the locks of every other edition
 * of the toolkit. Waiters are served in the order in which they came, over all processes. Every grant has a fencing token.
 * A holder learns on its own clock when its lease is over.
 *
 * ### Configuration parameters ###
 *
 * - connection(s), credential(s), options.db_num, options.connect_timeout, options.tls.*: see RedisConnector
 * - options:
 *   - ttl: default length of a lease, 30000 ms
 *   - retry_timeout: pause between attempts where the server cannot wake waiters, 100 ms
 *   - retries: bounds the wait of acquireLock to retries × retry_timeout; not set by default
 *   - key_prefix: put before every key; empty by default, which is what the other editions do
 *   - keep_alive: renew the locks of tryAcquireLock and acquireLock too; false
 *   - reentrant: a call chain (trace id) may acquire again what it holds; false
 *   - wait: queue, poll, or auto: queue where the server has publish/subscribe
 *   - yield_after: after so many hand-offs in a row leave the key free for one retry_timeout, so that other editions'
 *     pollers are not starved; 0: never
 *   - local_grants: how many times in a row a process may pass a key among its own callers without asking Redis, and no
 *     longer than a third of the ttl; 0: strict order over all processes
 *   - acks: how many replicas must confirm a grant for it to count, 0; acks_timeout: within so many ms, 1000
 *   - node_timeout: how long a node of a quorum may take to answer; 5 % of the ttl by default
 *   - drift_factor: how much faster than ours the clock of a server may run, 0.01
 *   - command_timeout: no call to Redis takes longer, 3000 ms
 *   - max_held, max_waiting: bounds on what this component keeps in memory, 100000 and 10000
 *
 * ### References ###
 *
 * - `*:discovery:*:*:1.0`, `*:credential-store:*:*:1.0` (optional) to resolve connection and credentials
 * - `*:client:ioredis:*:1.0` (optional) a client to be used instead of connections
 * - `*:logger:*:*:1.0`, `*:counters:*:*:1.0`, `*:tracer:*:*:1.0` (optional) to watch it
 *
 * ### Example ###
 *
 *     const lock = new RedisLock();
 *     lock.configure(ConfigParams.fromTuples('connection.host', 'localhost', 'connection.port', 6379));
 *     await lock.open(context);
 *
 *     await lock.acquireLock(context, 'order:42', 10000, 5000);
 *     try {
 *         // Only one process at a time is here.
 *     } finally {
 *         await lock.releaseLock(context, 'order:42');
 *     }
 *
 * Errors are toolkit exceptions, told apart by `code`.
 */
export class RedisLock implements ILock, IConfigurable, IReferenceable, IOpenable {
    private readonly _connector: RedisConnector;
    private readonly _telemetry = new LockTelemetry();
    private readonly _clock = new SystemClock();
    private _settings = new LockSettings(new ConfigParams());
    private _locker: Locker | undefined;
    private _open = false;
    private _closes = 0;
    /** The last call of open or close: one comes after the other. */
    private _turn: Promise<void> = Promise.resolve();
    private _held = new HeldLocks(this._clock);
    private _chains: CallChains | undefined;
    /** Whether the warning about callers without a trace id was given. */
    private _warned = false;

    /**
     * @param client (optional) an ioredis client to be used instead of connections of its own. It is never closed; closing
     * the lock only stops using it.
     */
    constructor(client?: BorrowedClient) {
        this._connector = new RedisConnector(client);
    }

    /**
     * @param config see the class.
     * @throws ConfigException BAD_OPTION, with the name of the option.
     */
    configure(config: ConfigParams): void {
        this._settings = new LockSettings(config);
        this._connector.configure(config);
    }

    setReferences(references: IReferences): void {
        this._connector.setReferences(references);
        this._telemetry.setReferences(references);
    }

    isOpen(): boolean {
        return this._open;
    }

    /**
     * Connects to the server. Resolves when it answers.
     *
     * @param context (optional) of the call chain.
     * @throws ConfigException NO_CONNECTION, NO_CREDENTIAL, BAD_OPTION; ConnectionException CONNECTION_FAILED after
     * connect_timeout; UnauthorizedException WRONG_PASSWORD, NO_PERMISSION; InvalidStateException ALREADY_OPENED.
     */
    open(context: LockContext): Promise<void> {
        const closes = this._closes;
        return this._inTurn(async () => {
            try {
                await this._connect(context, closes);
            } catch (error) {
                throw toException(error, traceIdOf(context));
            }
        });
    }

    /**
     * Sends waiters away (CLOSED), releases every lock that is held and disconnects, within command_timeout. May be called
     * again, and before `open`.
     *
     * @param _context (optional) of the call chain.
     */
    close(_context: LockContext): Promise<void> {
        this._closes += 1;
        this._open = false;
        // One that is being opened is not waited for: this makes it fail.
        const closed = this._locker?.close();
        return this._inTurn(async () => {
            await closed;
            this._open = false;
            this._held = new HeldLocks(this._clock);
            this._chains = undefined;
        });
    }

    /**
     * Takes a key if it is free and nobody waits for it.
     *
     * @param context (optional) of the call chain.
     * @param key     of the lock.
     * @param ttl     ms until the lock runs out.
     * @returns whether the lock is ours now.
     * @throws see {@link tryAcquire}.
     */
    async tryAcquireLock(context: LockContext, key: string, ttl: number): Promise<boolean> {
        const options = { ttl, keepAlive: this._settings.keepAlive };
        const lease = await this._acquire(context, 'try_acquire_lock', key, options, 'try');
        if (lease !== null) this._hold(context, lease, ttl);
        return lease !== null;
    }

    /**
     * Waits for a key; whoever came first is served first.
     *
     * @param context (optional) of the call chain.
     * @param key     of the lock.
     * @param ttl     ms until the lock runs out.
     * @param timeout ms to wait at most, if `retries` does not end it sooner; without both 3 × retry_timeout.
     * @throws ConflictException LOCK_TIMEOUT when it was busy to the end; see {@link acquire}.
     */
    async acquireLock(context: LockContext, key: string, ttl: number, timeout?: number): Promise<void> {
        const options = { ttl, keepAlive: this._settings.keepAlive, timeout: this._settings.budget(timeout) };
        const lease = await this._acquire(context, 'acquire_lock', key, options, 'wait');
        this._hold(context, lease, ttl);
    }

    /**
     * Gives back a key that was taken by tryAcquireLock or acquireLock. Resolves also when it is not ours (any more).
     *
     * @param context (optional) of the call chain: the one that acquired, where several use this component.
     * @param key     of the lock.
     * @throws ConnectionException CONNECTION_FAILED: it is unknown whether it was released; that is tried on until the ttl
     * has passed.
     */
    async releaseLock(context: LockContext, key: string): Promise<void> {
        await this._run(context, 'release_lock', async () => {
            this._engine();
            await this._held.release(callerOf(context), key);
        });
    }

    /**
     * Takes a key, or several (all or nothing), if that is possible now.
     *
     * @param context (optional) of the call chain.
     * @param key     one key or several.
     * @param options see LeaseOptions; timeout is ignored.
     * @returns the lease, or null when a key is busy.
     * @throws BadRequestException BAD_KEY, BAD_TTL, BAD_HOLDER; InvalidStateException NOT_OPENED, CLOSED, TOO_MANY,
     * WRONG_TYPE; ConnectionException NOT_REPLICATED, NO_QUORUM; InvocationException LOCK_ABORTED; ConnectionException CONNECTION_FAILED; UnauthorizedException
     * NO_PERMISSION.
     */
    tryAcquire(context: LockContext, key: Keys, options: LeaseOptions = {}): Promise<Lease | null> {
        return this._acquire(context, 'try_acquire', key, options, 'try');
    }

    /**
     * Waits for a key, or for several (all or nothing, in sorted order); whoever came first is served first.
     *
     * @param context (optional) of the call chain.
     * @param key     one key or several.
     * @param options see LeaseOptions; without a timeout the budget of acquireLock holds.
     * @throws ConflictException LOCK_TIMEOUT when it was busy to the end; BadRequestException BAD_TIMEOUT; and what
     * {@link tryAcquire} throws.
     */
    acquire(context: LockContext, key: Keys, options: LeaseOptions = {}): Promise<Lease> {
        return this._acquire(context, 'acquire', key, options, 'wait');
    }

    /**
     * Runs `work` while holding a key; the lease is released on every path.
     *
     * @param context (optional) of the call chain.
     * @param key     one key or several.
     * @param options see LeaseOptions.
     * @param work    what to do; its lease tells it, by `signal`, when the lock is lost.
     * @returns what `work` returns.
     * @throws what `work` throws, before anything else; ConflictException LOCK_LOST when the lock was lost and `work` did
     * not notice; what {@link acquire} throws.
     */
    async withLock<T>(
        context: LockContext,
        key: Keys,
        options: LeaseOptions,
        work: (lease: Lease) => Promise<T>,
    ): Promise<T> {
        const lease = await this.acquire(context, key, options);
        return this._run(context, 'with_lock', () => holding(lease, work));
    }

    /**
     * Lengthens a lease by its holder: for one that was handed over by another process. Never shortens it.
     *
     * @param context (optional) of the call chain.
     * @param key     of the lease.
     * @param holder  of the lease.
     * @param ttl     ms from now.
     * @returns whether the key was still that holder's.
     * @throws see {@link tryAcquire}.
     */
    renew(context: LockContext, key: string, holder: string, ttl: number = this._settings.ttl): Promise<boolean> {
        return this._run(context, 'renew', async () => this._engine().renew(key, holder, ttl));
    }

    /**
     * Gives back a lease by its holder: for one that was handed over by another process.
     *
     * @param context (optional) of the call chain.
     * @param key     of the lease.
     * @param holder  of the lease.
     * @returns whether the key was still that holder's.
     * @throws see {@link tryAcquire}.
     */
    release(context: LockContext, key: string, holder: string): Promise<boolean> {
        return this._run(context, 'release', async () => this._engine().release(key, holder));
    }

    /**
     * Tells who holds a key and who waits for it.
     *
     * @param context (optional) of the call chain.
     * @param key     of the lock.
     * @throws see {@link tryAcquire}.
     */
    inspect(context: LockContext, key: string): Promise<LockInfo> {
        return this._run(context, 'inspect', async () => this._engine().inspect(key));
    }

    /**
     * Tells which locks are held: those of this library, and those of others for which one of ours waits. It walks through
     * all keys (SCAN), a few hundred at a time, so it is for people and not for programs that are in a hurry.
     *
     * @param context (optional) of the call chain.
     * @param pattern (optional) of the keys: `*` stands for any characters, `?` for one, a `\` before one for that one itself.
     * @returns each lock once, in no order. One that is taken or given back meanwhile may or may not be among them.
     * @throws UnauthorizedException NO_PERMISSION when the Redis user may not scan; see {@link tryAcquire}.
     */
    async *list(context: LockContext, pattern?: string): AsyncIterable<LockInfo> {
        try {
            yield* this._engine().list(pattern);
        } catch (error) {
            throw toException(error, traceIdOf(context));
        }
    }

    /**
     * Takes a key from its holder, and passes it to the first in line in the same step. The holder learns of it as of any
     * loss: a third of its ttl later at most. It is logged as a warning, with who did it and why.
     *
     * @param context (optional) of the call chain.
     * @param key     of the lock.
     * @param options who does it, why, and from whom; without a holder: from whoever has it.
     * @returns the holder that lost the key; undefined: nobody had it, or the one that had it gave it back just now.
     * @throws see {@link tryAcquire}.
     */
    forceRelease(context: LockContext, key: string, options: ForceReleaseOptions): Promise<string | undefined> {
        return this._run(context, 'force_release', async () =>
            this._engine().forceRelease(key, { ...options, context }),
        );
    }

    private _inTurn(run: () => Promise<void>): Promise<void> {
        const turn = this._turn.then(run);
        this._turn = turn.catch(() => undefined);
        return turn;
    }

    /** @param closes how often it had been closed when it was to be opened. */
    private async _connect(context: LockContext, closes: number): Promise<void> {
        if (this._open) throw new LockError('ALREADY_OPENED', 'The lock is open already.');
        const store = storeOf(await this._connector.connect(context), this._settings);
        const observe = (event: LockEvent): void => {
            if (event.kind === 'lost') this._lost(event);
            this._telemetry.observe(event, locker.load);
        };
        const locker = new Locker(store, this._lockerOptions(), { observe });
        if (closes === this._closes) {
            this._locker = locker;
            this._chains = new CallChains(locker, this._clock);
            await locker.open().catch((error: unknown) => {
                this._locker = undefined;
                throw error;
            });
        }
        if (closes !== this._closes) {
            await locker.close();
            throw new LockError('CLOSED', 'The lock was closed while it was opened.');
        }
        this._open = true;
    }

    private _lost({ key, holder, context }: LockSubject): void {
        this._held.lost(key, holder);
        const traceId = traceIdOf(context as LockContext);
        if (traceId !== undefined) this._chains?.lost(traceId, holder);
    }

    /** Remembers a lock for its release. */
    private _hold(context: LockContext, lease: Lease, ttl: number): void {
        const caller = callerOf(context);
        const again = this._held.add(caller, lease, ttl);
        if (!again || this._warned || typeof caller === 'string') return;
        this._warned = true;
        const message =
            `A caller without a trace id acquired ${lease.key} again and had not released it. releaseLock matches the ` +
            'locks of such callers with their releases in the order in which they began: give each caller a context ' +
            'with a trace id, or use acquire or withLock.';
        this._telemetry.observe({ kind: 'warning', message }, this._engine().load);
    }

    private _lockerOptions(): LockerOptions {
        const { maxHeld, maxWaiting, retryTimeout, ttl } = this._settings;
        const timeout = this._settings.budget(undefined);
        return { maxHeld, maxWaiting, retryTimeout, ttl, timeout, exceptionOf };
    }

    private _engine(): Locker {
        if (this._locker === undefined) throw notOpened();
        return this._locker;
    }

    private _acquire(
        context: LockContext,
        operation: string,
        key: Keys,
        options: LeaseOptions,
        how: 'wait',
    ): Promise<Lease>;
    private _acquire(
        context: LockContext,
        operation: string,
        key: Keys,
        options: LeaseOptions,
        how: 'try',
    ): Promise<Lease | null>;
    private _acquire(
        context: LockContext,
        operation: string,
        key: Keys,
        options: LeaseOptions,
        how: 'wait' | 'try',
    ): Promise<Lease | null> {
        const wanted = { ...options, context };
        // Whoever may come again is known by its trace id; without one there is no re-entrancy.
        const chain = this._settings.reentrant ? traceIdOf(context) : undefined;
        return chain === undefined
            ? this._telemetry.trace(context, operation, () => this._take(key, wanted, how))
            : this._run(context, operation, () => this._again(chain, key, wanted, how));
    }

    /** What the call chain has already, or a lease that it may come back to. */
    private async _again(
        chain: string,
        key: Keys,
        wanted: LockerLeaseOptions,
        how: 'wait' | 'try',
    ): Promise<SharedLease | null> {
        const { ttl = this._settings.ttl } = wanted;
        const timeout = how === 'try' ? 0 : (wanted.timeout ?? this._settings.budget(undefined));
        const request = { ...wanted, ttl, timeout };
        this._engine().check(key, request);
        const [first, ...more] = [...new Set([key].flat())].sort();
        if (first === undefined || this._chains === undefined) throw notOpened();
        return this._chains.acquire(chain, { ...request, keys: [first, ...more], how });
    }

    /** The engine throws exceptions already; one promise more would be kept for everybody who waits. */
    private _take(key: Keys, wanted: LockerLeaseOptions, how: 'wait' | 'try'): Promise<Lease | null> {
        const locker = this._locker;
        if (locker === undefined) return Promise.reject(exceptionOf(notOpened(), wanted.context));
        return how === 'wait' ? locker.acquire(key, wanted) : locker.tryAcquire(key, wanted);
    }

    /** Runs an operation in a span; whatever the engine throws becomes a toolkit exception. */
    private _run<T>(context: LockContext, operation: string, run: () => Promise<T>): Promise<T> {
        return this._telemetry.trace(context, operation, async () => {
            try {
                return await run();
            } catch (error) {
                throw toException(error, traceIdOf(context));
            }
        });
    }
}

function notOpened(): LockError {
    return new LockError('NOT_OPENED', 'The lock has not been opened.');
}

/** What the engine throws. @param context what it was given. */
function exceptionOf(error: LockError, context: unknown): Error {
    return toException(error, traceIdOf(context as LockContext));
}

/** What tells callers of the ILock methods apart: their trace id, else the context itself. */
function callerOf(context: LockContext): unknown {
    return traceIdOf(context) ?? context ?? undefined;
}
