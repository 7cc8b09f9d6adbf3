import type { ConfigParams } from 'pip-services4-components-node';
import { badOption, boolean, fraction, integer, oneOf, optionalInteger, checkConfig } from '../connect/options';
import { LONGEST } from '../engine/time/Clock';
import type { WaitMode } from '../engine/redis/connection/Subscription';

/** Every option of the lock itself, with its default and bounds. Those of connection and TLS are with RedisConnector. */
export class LockSettings {
    /** Pause between attempts where we must poll, ms. */
    readonly retryTimeout: number;
    /** Bounds the wait of acquireLock to this many pauses; undefined: not configured. */
    readonly retries: number | undefined;
    readonly keyPrefix: string;
    /** Default length of a lease, ms. */
    readonly ttl: number;
    /** Renew locks taken through the ILock methods too. */
    readonly keepAlive: boolean;
    /** A thread renews leases while the event loop is blocked, for at most maxBlock, ms. */
    readonly keepAliveThread: boolean;
    readonly maxBlock: number;
    /** A lease that is renewed for longer is warned about, ms; 0: none is. */
    readonly warnHeldAfter: number;
    /** The same call chain may acquire again. */
    readonly reentrant: boolean;
    readonly wait: WaitMode;
    /** After this number of hand-offs in a row a key is left free for one pause; 0: never. */
    readonly yieldAfter: number;
    /**
     * How often in a row a key is passed on among the callers of this process; 0: never, strict order over all processes. As
     * many fences are reserved with each grant: so few that they do not run ahead of the server's clock, which counts µs.
     */
    readonly localGrants: number;
    /** Replicas that must have a grant, within acksTimeout ms, for it to count; 0: none. */
    readonly acks: number;
    readonly acksTimeout: number;
    /** How much faster than ours the clock of a server may be. */
    readonly driftFactor: number;
    /** How long a node of a quorum may take to answer, ms; undefined: 5 % of the ttl. */
    readonly nodeTimeout: number | undefined;
    readonly connectTimeout: number;
    readonly commandTimeout: number;
    readonly maxHeld: number;
    readonly maxWaiting: number;

    /** @throws ConfigException BAD_OPTION, with the name of the option. */
    constructor(config: ConfigParams) {
        checkConfig(config);
        this.retryTimeout = integer(config, 'options.retry_timeout', 1, LONGEST, 100);
        this.retries = optionalInteger(config, 'options.retries', 0, 1_000_000);
        this.keyPrefix = config.getAsNullableString('options.key_prefix') ?? '';
        this.ttl = integer(config, 'options.ttl', 1, LONGEST, 30_000);
        this.keepAlive = boolean(config, 'options.keep_alive', false);
        this.keepAliveThread = boolean(config, 'options.keep_alive_thread', false);
        this.maxBlock = integer(config, 'options.max_block', 1, LONGEST, 300_000);
        this.warnHeldAfter = integer(config, 'options.warn_held_after', 0, LONGEST, 3_600_000);
        this.reentrant = boolean(config, 'options.reentrant', false);
        this.wait = oneOf(config, 'options.wait', ['auto', 'queue', 'poll'], 'auto');
        this.yieldAfter = integer(config, 'options.yield_after', 0, 1_000_000, 0);
        this.localGrants = integer(config, 'options.local_grants', 0, 32, 0);
        this.acks = integer(config, 'options.acks', 0, 100, 0);
        this.acksTimeout = integer(config, 'options.acks_timeout', 1, LONGEST, 1000);
        if (this.acks > 0 && config.getAsNullableString('options.topology') === 'quorum') {
            throw badOption('options.acks', 'is for servers with replicas; the nodes of a quorum are independent.');
        }
        this.driftFactor = fraction(config, 'options.drift_factor', 0.5, 0.01);
        this.nodeTimeout = optionalInteger(config, 'options.node_timeout', 1, LONGEST);
        this.connectTimeout = integer(config, 'options.connect_timeout', 1, LONGEST, 5000);
        this.commandTimeout = integer(config, 'options.command_timeout', 1, LONGEST, 3000);
        this.maxHeld = integer(config, 'options.max_held', 1, 10_000_000, 100_000);
        this.maxWaiting = integer(config, 'options.max_waiting', 1, 10_000_000, 10_000);
    }

    /** How long acquireLock waits when it is asked to wait for `timeout`: the shorter of that and what retries allow, ms. */
    budget(timeout: number | null | undefined): number {
        const retries = this.retries === undefined ? undefined : this.retries * this.retryTimeout;
        if (timeout === null || timeout === undefined) return retries ?? 3 * this.retryTimeout;
        // What is no number is left as it is, and its receiver refuses it.
        return retries === undefined || typeof timeout !== 'number' ? timeout : Math.min(timeout, retries);
    }
}
