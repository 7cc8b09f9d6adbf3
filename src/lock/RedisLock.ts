import { ConfigParams } from 'pip-services4-components-node';
import type { IConfigurable, IOpenable, IReferenceable, IReferences } from 'pip-services4-components-node';
import { traceIdOf } from '../connect/context';
import type { LockContext } from '../connect/context';
import { RedisConnector } from '../connect/RedisConnector';
import type { BorrowedClient } from '../connect/clients';
import { checkType } from '../engine/port/checks';
import type { LockError } from '../engine/port/errors';
import { INSPECT } from '../engine/lease/describe';
import type { Lease } from '../engine/lease/Lease';
import type { ForceReleaseOptions as LockerForceReleaseOptions } from '../engine/locker/DirectAccess';
import { holding } from '../engine/locker/holding';
import { Leaders } from '../engine/locker/Leaders';
import type { LeaseOptions as LockerLeaseOptions } from '../engine/locker/LeaseOptions';
import type { LockEvent } from '../engine/port/LockObserver';
import type { LockInfo } from '../engine/port/LockStore';
import { systemClock } from '../engine/time/Clock';
import { toException } from './exceptions';
import type { ILock } from './ILock';
import { Lifecycle } from './Lifecycle';
import { LockSettings } from './LockSettings';
import { LockTelemetry } from './LockTelemetry';
import { orAborted } from './orAborted';
import { Session } from './Session';
import type { Keys } from './Session';
import { storeOf } from './storeOf';

/** How a lease is wanted. Times in ms. */
export type LeaseOptions = Omit<LockerLeaseOptions, 'context'>;

const NO_OPTIONS: LeaseOptions = {};

/** Who takes a key from its holder, why, and from whom. */
export type ForceReleaseOptions = Omit<LockerForceReleaseOptions, 'context'>;

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
 *   - keep_alive_thread: a thread renews leases while the event loop is blocked; false
 *   - max_block: it gives up when the event loop is blocked for longer, 300000 ms
 *   - warn_held_after: warn once when a lease is renewed for longer, 3600000 ms; 0: never
 *   - reentrant: a call chain (trace id) may acquire again what it holds; false
 *   - wait: queue, poll, or auto: queue where the server has publish/subscribe
 *   - yield_after: how many hand-offs in a row are made before the key is left free for one retry_timeout, so that other
 *     editions' pollers are not starved; 0: it never is
 *   - local_grants: how many times in a row a process may pass a key among its own callers without asking Redis, and no
 *     longer than a third of the ttl; 0: strict order over all processes
 *   - acks: how many replicas must confirm a grant for it to count, 0; acks_timeout: in what time, 1000 ms
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
 *     await lock.withLock(context, 'order:42', async (lease) => {
 *         // Only one process at a time is here. `lease.fence` is the number to send with each write.
 *     });
 *
 * Errors are toolkit exceptions, told apart by `code`.
 */
export class RedisLock implements ILock, IConfigurable, IReferenceable, IOpenable {
    private readonly _connector: RedisConnector;
    private readonly _telemetry = new LockTelemetry();
    private readonly _lifecycle: Lifecycle;
    private readonly _leaders = new Leaders(systemClock, (event) => this._observe(event));
    private _settings = new LockSettings(new ConfigParams());
    private _isConfigured = false;
    private _isReferenced = false;

    /**
     * @param client (optional) an ioredis client to be used instead of connections of its own. It is never closed; closing
     * the lock only stops using it.
     */
    constructor(client?: BorrowedClient) {
        this._connector = new RedisConnector(client);
        this._lifecycle = new Lifecycle(
            (context) => this._session(context),
            () => this._isConfigured && this._isReferenced,
        );
    }

    /**
     * @param config see the class.
     * @throws ConfigException BAD_OPTION, with the name of the option.
     */
    configure(config: ConfigParams): void {
        this._settings = new LockSettings(config);
        this._connector.configure(config);
        this._isConfigured = true;
    }

    setReferences(references: IReferences): void {
        this._connector.setReferences(references);
        this._telemetry.setReferences(references);
        this._isReferenced = true;
    }

    isOpen(): boolean {
        return this._lifecycle.session !== undefined;
    }

    /**
     * Connects to the server. Resolves when it answers. A component that was configured and has its references also opens by
     * itself, when it is used first: a later `open` waits for that, and is no error.
     *
     * @param context (optional) of the call chain.
     * @throws ConfigException NO_CONNECTION, NO_CREDENTIAL, BAD_OPTION; ConnectionException CONNECTION_FAILED after
     * connect_timeout; UnauthorizedException WRONG_PASSWORD, NO_PERMISSION; InvalidStateException ALREADY_OPENED, and CLOSED
     * when it is closed meanwhile.
     */
    async open(context: LockContext): Promise<void> {
        try {
            await this._lifecycle.open(context);
        } catch (error) {
            throw toException(error, traceIdOf(context));
        }
    }

    /**
     * Sends waiters away (CLOSED), releases every lock that is held and disconnects, within command_timeout. May be called
     * again, and before `open`. Once it is closed, only `open` opens it again.
     *
     * @param _context (optional) of the call chain.
     */
    close(_context: LockContext): Promise<void> {
        const closed = this._lifecycle.close();
        this._leaders.close();
        return closed;
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
    tryAcquireLock(context: LockContext, key: string, ttl: number): Promise<boolean> {
        return this._in(context, 'try_acquire_lock', (session) => session.lock(context, key, ttl, 'try'));
    }

    /**
     * Waits for a key. Callers are served in the order in which they came.
     *
     * @param context (optional) of the call chain.
     * @param key     of the lock.
     * @param ttl     ms until the lock runs out.
     * @param timeout ms to wait at most, if `retries` does not end it sooner; without both 3 × retry_timeout.
     * @throws ConflictException LOCK_TIMEOUT when it was busy to the end; see {@link acquire}.
     */
    async acquireLock(context: LockContext, key: string, ttl: number, timeout?: number): Promise<void> {
        await this._in(context, 'acquire_lock', (session) => session.lock(context, key, ttl, 'wait', timeout));
    }

    /**
     * Gives back a key that was taken by tryAcquireLock or acquireLock. Resolves also when it is not ours (any more).
     *
     * @param context (optional) of the call chain: the one that acquired, where several use this component.
     * @param key     of the lock.
     * @throws ConnectionException CONNECTION_FAILED: it is unknown whether it was released. The release is retried until
     * the ttl has passed.
     */
    async releaseLock(context: LockContext, key: string): Promise<void> {
        if (this._lifecycle.holdsNothing) return;
        await this._in(context, 'release_lock', (session) => session.release(context, key));
    }

    /**
     * Takes a key, or several (all or nothing), if that is possible now.
     *
     * @param context (optional) of the call chain.
     * @param key     one key or several.
     * @param options see LeaseOptions; timeout is ignored.
     * @returns the lease, or null when a key is busy.
     * @throws BadRequestException BAD_KEY, BAD_TTL, BAD_HOLDER, BAD_PARAMETER; InvalidStateException NOT_OPENED, CLOSED, TOO_MANY,
     * WRONG_TYPE; ConnectionException NOT_REPLICATED, NO_QUORUM; InvocationException LOCK_ABORTED; ConnectionException CONNECTION_FAILED; UnauthorizedException
     * NO_PERMISSION.
     */
    tryAcquire(context: LockContext, key: Keys, options: LeaseOptions = {}): Promise<Lease | null> {
        const acquire = (session: Session): Promise<Lease | null> => session.acquire(context, key, options, 'try');
        return this._in(context, 'try_acquire', acquire, options);
    }

    /**
     * Waits for a key, or for several (all or nothing, in sorted order). Callers are served in the order in which they came.
     *
     * @param context (optional) of the call chain.
     * @param key     one key or several.
     * @param options see LeaseOptions; without a timeout the budget of acquireLock holds.
     * @throws ConflictException LOCK_TIMEOUT when it was busy to the end; BadRequestException BAD_TIMEOUT; and what
     * {@link tryAcquire} throws.
     */
    acquire(context: LockContext, key: Keys, options: LeaseOptions = {}): Promise<Lease> {
        const acquire = (session: Session): Promise<Lease> => session.acquire(context, key, options, 'wait');
        return this._in(context, 'acquire', acquire, options);
    }

    /**
     * Runs `work` while holding a key; the lease is released on every path.
     *
     * @param context (optional) of the call chain.
     * @param key     one key or several.
     * @param work    what to do; its lease tells it, by `signal`, when the lock is lost.
     * @returns what `work` returns.
     * @throws what `work` throws, before anything else; ConflictException LOCK_LOST when the lock was lost and `work` did
     * not notice; InvalidStateException CLOSED when the component was closed meanwhile; what {@link acquire} throws.
     */
    withLock<T>(context: LockContext, key: Keys, work: (lease: Lease) => Promise<T>): Promise<T>;
    /**
     * Runs `work` while holding a key; the lease is released on every path.
     *
     * @param context (optional) of the call chain.
     * @param key     one key or several.
     * @param options see LeaseOptions.
     * @param work    what to do; its lease tells it, by `signal`, when the lock is lost.
     * @returns what `work` returns.
     * @throws what `work` throws, before anything else; ConflictException LOCK_LOST when the lock was lost and `work` did
     * not notice; InvalidStateException CLOSED when the component was closed meanwhile; what {@link acquire} throws.
     */
    withLock<T>(context: LockContext, key: Keys, options: LeaseOptions, work: (lease: Lease) => Promise<T>): Promise<T>;
    async withLock<T>(
        context: LockContext,
        key: Keys,
        options: LeaseOptions | ((lease: Lease) => Promise<T>),
        work?: (lease: Lease) => Promise<T>,
    ): Promise<T> {
        const [wanted, run] = withOptions(context, options, work);
        const lease = await this.acquire(context, key, wanted);
        return this._run(context, 'with_lock', () => holding(lease, run));
    }

    /**
     * Runs `work` while leading: on one process at a time, for as long as that has the key. See the other form.
     *
     * @param context (optional) of the call chain.
     * @param key     one key or several.
     * @param work    what the leader does.
     */
    lead<T>(context: LockContext, key: Keys, work: (lease: Lease) => Promise<T>): Promise<T>;
    /**
     * Runs `work` while leading: on one process at a time, for as long as that has the key. Waits for it without end, also
     * through outages of Redis, and renews the lease.
     *
     * `lease.signal` tells `work` to end: the lease was lost, `options.signal` aborted, or the component was closed. What `work`
     * returns or throws after that does not count: when it has settled, it is run again in the next term, or the call ends. Work
     * that ignores the signal goes on beside the next leader, and keeps this process out of the line. There is one term of
     * a call at a time, and each has a greater fence.
     *
     * @param context (optional) of the call chain.
     * @param key     one key or several.
     * @param options see LeaseOptions; timeout, keepAlive and holder are ignored.
     * @param work    what the leader does.
     * @returns what `work` returns by itself; the lease is released before.
     * @throws what `work` throws by itself; InvocationException LOCK_ABORTED by `options.signal`; InvalidStateException CLOSED when
     * the component was closed; what {@link tryAcquire} throws, but CONNECTION_FAILED, SERVER_REFUSED, NO_QUORUM and
     * NOT_REPLICATED: these pass, and are waited for.
     */
    lead<T>(context: LockContext, key: Keys, options: LeaseOptions, work: (lease: Lease) => Promise<T>): Promise<T>;
    async lead<T>(
        context: LockContext,
        key: Keys,
        options: LeaseOptions | ((lease: Lease) => Promise<T>),
        work?: (lease: Lease) => Promise<T>,
    ): Promise<T> {
        const [wanted, run] = withOptions(context, options, work);
        const exceptionOf = (error: LockError): Error => toException(error, traceIdOf(context));
        const acquire = (signal: AbortSignal): Promise<Lease> =>
            this.acquire(context, key, { ...wanted, signal, timeout: Infinity, keepAlive: true, holder: undefined });
        const term = (lease: Lease): Promise<T> => {
            this._lifecycle.session?.leads(lease);
            return this._telemetry.trace(context, 'lead', () => run(lease));
        };
        try {
            return await this._leaders.lead({ key: String(key), acquire, exceptionOf }, wanted.signal, term);
        } catch (error) {
            throw toException(error, traceIdOf(context));
        }
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
        return this._run(context, 'renew', ({ locker }) => locker.renew(key, holder, ttl));
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
        return this._run(context, 'release', ({ locker }) => locker.release(key, holder));
    }

    /**
     * Asks Redis for something that changes nothing: one command, within command_timeout. For health checks.
     *
     * @param context (optional) of the call chain.
     * @returns how long the answer took, ms.
     * @throws see {@link tryAcquire}.
     */
    ping(context: LockContext): Promise<number> {
        return this._run(context, 'ping', ({ locker }) => locker.ping());
    }

    /**
     * Tells who holds a key and who waits for it.
     *
     * @param context (optional) of the call chain.
     * @param key     of the lock.
     * @throws see {@link tryAcquire}.
     */
    inspect(context: LockContext, key: string): Promise<LockInfo> {
        return this._run(context, 'inspect', ({ locker }) => locker.inspect(key));
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
            const { locker } = await this._lifecycle.use(context);
            yield* locker.list(pattern);
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
     * @param options who does it, why, and from whom; without a holder: from the one that has it.
     * @returns the holder that lost the key; undefined: nobody had it, or the one that had it gave it back just now.
     * @throws see {@link tryAcquire}.
     */
    forceRelease(context: LockContext, key: string, options: ForceReleaseOptions): Promise<string | undefined> {
        return this._run(context, 'force_release', ({ locker }) => {
            checkType(options, 'object', 'options');
            return locker.forceRelease(key, { ...options, context });
        });
    }

    /** Its configuration has passwords, and is not shown. */
    [INSPECT](): string {
        return `RedisLock { ${this.isOpen() ? 'open' : 'not open'} }`;
    }

    /** One that is not open. */
    private async _session(context: LockContext): Promise<Session> {
        const { _settings: settings } = this;
        const servers = await this._connector.find(context);
        const thread = settings.keepAliveThread ? servers.forThread() : undefined;
        return new Session(storeOf(await servers.connect(), settings), settings, this._telemetry, thread);
    }

    private _observe(event: LockEvent): void {
        const { session } = this._lifecycle;
        this._telemetry.observe(event, session?.locker.load ?? { held: 0, waiting: 0 });
    }

    /** Runs an operation that throws exceptions of the toolkit, in a span. */
    private _in<T>(
        context: LockContext,
        operation: string,
        run: (session: Session) => Promise<T>,
        options: LeaseOptions = NO_OPTIONS,
    ): Promise<T> {
        const { session } = this._lifecycle;
        // The common case takes no closure and no promise beside those of the operation.
        if (session !== undefined && !this._telemetry.traces) return run(session);
        return this._spanned(context, operation, run, options);
    }

    private _spanned<T>(
        context: LockContext,
        operation: string,
        run: (session: Session) => Promise<T>,
        options: LeaseOptions,
    ): Promise<T> {
        const { session } = this._lifecycle;
        return this._telemetry.trace(context, operation, () =>
            session === undefined ? this._opened(context, options).then(run) : run(session),
        );
    }

    /** Runs an operation that throws errors of the engine, in a span. */
    private _run<T>(context: LockContext, operation: string, run: (session: Session) => Promise<T>): Promise<T> {
        return this._in(context, operation, async (session) => {
            try {
                return await run(session);
            } catch (error) {
                throw toException(error, traceIdOf(context));
            }
        });
    }

    private async _opened(context: LockContext, options: LeaseOptions): Promise<Session> {
        try {
            checkType(options, 'object', 'options');
            return await orAborted(this._lifecycle.use(context), options.signal);
        } catch (error) {
            throw toException(error, traceIdOf(context));
        }
    }
}

/** The parameters of a method whose options may be left out. @throws BAD_PARAMETER */
function withOptions<T>(
    context: LockContext,
    options: LeaseOptions | ((lease: Lease) => Promise<T>) = {},
    work?: (lease: Lease) => Promise<T>,
): [LeaseOptions, (lease: Lease) => Promise<T>] {
    const [wanted, run] = typeof options === 'function' ? [{}, options] : [options, work];
    try {
        checkType(run, 'function', 'work');
        checkType(wanted, 'object', 'options');
        return [wanted, run as (lease: Lease) => Promise<T>];
    } catch (error) {
        throw toException(error, traceIdOf(context));
    }
}
