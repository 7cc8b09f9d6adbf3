import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { Redis } from 'ioredis';
import type { SentinelAddress } from 'ioredis';
import { ConfigException } from 'pip-services4-commons-node';
import { ConfigParams, Descriptor } from 'pip-services4-components-node';
import type { IConfigurable, IReferenceable, IReferences } from 'pip-services4-components-node';
import { ConnectionResolver } from 'pip-services4-config-node';
import type { ConnectionParams } from 'pip-services4-config-node';
import type { Refresh } from '../engine/redis/connection/ClientLink';
import { LONGEST } from '../engine/time/Clock';
import { asContext, traceIdOrNone } from './context';
import type { LockContext } from './context';
import { ENGINE_OPTIONS, borrow, ofIoredis } from './clients';
import type { BorrowedClient, RedisClients, ServerAddress } from './clients';
import { Credentials, setLogin, setSentinelLogin } from './Credentials';
import type { Login } from './Credentials';
import { checkNames } from './names';
import { badOption, integer, oneOf } from './options';
import { readTarget } from './targets';
import type { Target } from './targets';
import { checkTlsOf, readTls } from './tls';

/** What the configured connections are to each other. */
export type Topology = 'single' | 'sentinel' | 'cluster' | 'quorum';

/** A Sentinel may take so long to answer, ms. */
const SENTINEL_TIMEOUT = 1000;

/**
 * Finds the Redis servers and the credentials that a component is configured with, and makes ioredis clients for them.
 *
 * ### Configuration parameters ###
 *
 * - connection(s): one, or several with options.topology
 *   - discovery_key: key to find the connection, or several, with a discovery service
 *   - host, port: of the server; 6379 is the default port (26379 of a Sentinel), localhost the default host
 *   - protocol: redis, or rediss for TLS; tcp is redis; unix is a Unix socket, at path
 *   - uri: `redis://user:password@host:port/db`, `rediss://…` for TLS, `tcp://…`, `unix:/path`; before host and port
 *   - path: of a Unix socket; before host and port
 * - credential(s):
 *   - store_key: key to find the credentials with a credential store
 *   - username, password: ACL user, or the password alone for requirepass; before those of the uri
 * - sentinel_credential: the same, for the Sentinels; before those of their uri
 * - options:
 *   - topology: what the connections are: single (default), sentinel, cluster, quorum
 *   - sentinel_name: of the master, as the Sentinels know it
 *   - db_num: database, 0 by default; one in the uri goes before it; a cluster has only 0
 *   - connect_timeout: ms
 *   - tls.ca, tls.cert, tls.key: PEM text or the path of a file; tls.servername; tls.reject_unauthorized
 *
 * ### References ###
 *
 * - `*:discovery:*:*:1.0` (optional) to resolve connections
 * - `*:credential-store:*:*:1.0` (optional) to look up credentials
 * - `*:client:ioredis:*:1.0` (optional) a client to be used instead of connections
 */
export class RedisConnector implements IConfigurable, IReferenceable {
    private _config = new ConfigParams();
    private _references: IReferences | undefined;
    private _tls: TlsOptions | undefined;
    private _topology: Topology = 'single';
    private _sentinelName: string | undefined;
    private _database = 0;
    private _connectTimeout = 5000;

    /**
     * @param _client made by somebody else, who closes it: used instead of connections.
     * @throws ConfigException BAD_OPTION when it is no client of ioredis.
     */
    constructor(private readonly _client?: BorrowedClient) {
        if (_client !== undefined) ofIoredis(_client);
    }

    /** @throws ConfigException BAD_OPTION, with the name of the option. */
    configure(config: ConfigParams): void {
        checkNames(config);
        const topology = oneOf(config, 'options.topology', ['single', 'sentinel', 'cluster', 'quorum'], 'single');
        const sentinelName = config.getAsNullableString('options.sentinel_name') || undefined;
        if (topology === 'sentinel' && sentinelName === undefined) {
            throw badOption('options.sentinel_name', 'is needed with topology sentinel: the name of the master.');
        }
        if (topology !== 'sentinel' && sentinelName !== undefined) {
            throw badOption('options.sentinel_name', `is for topology sentinel, not ${topology}.`);
        }
        const database = integer(config, 'options.db_num', 0, 1_000_000, 0);
        if (topology === 'cluster' && database !== 0) throw badOption('options.db_num', 'must be 0 in a cluster.');
        this._tls = readTls(config);
        this._topology = topology;
        this._sentinelName = sentinelName;
        this._database = database;
        this._connectTimeout = integer(config, 'options.connect_timeout', 1, LONGEST, 5000);
        this._config = config;
    }

    setReferences(references: IReferences): void {
        this._references = references;
    }

    /**
     * Makes clients for the configured servers; they are not connected yet.
     *
     * @throws ConfigException NO_CONNECTION, NO_CREDENTIAL, BAD_OPTION; what discovery and credential store throw.
     */
    async connect(context: LockContext): Promise<RedisClients> {
        const borrowed = this._client ?? this._findClient();
        if (borrowed !== undefined) {
            checkTlsOf(borrowed, this._config);
            return borrow(borrowed, traceIdOrNone(context));
        }
        const [first, ...more] = await this._targets(context);
        const credentials = new Credentials(this._config, this._references, context);
        const make = async (target: Target): Promise<Redis> => this._make(target, await credentials.ofServer(target));
        switch (this._topology) {
            case 'single': {
                if (more.length > 0) throw ambiguous(context);
                const refresh = refreshing(credentials, () => first);
                return { topology: 'single', client: await make(first), borrowed: false, refresh };
            }
            case 'sentinel': {
                this._checkSameTls([first, ...more]);
                const client = await this._makeSentinel([first, ...more], credentials);
                const refresh = async (one: Redis): Promise<void> => {
                    setLogin(one, await credentials.ofServer(undefined));
                    setSentinelLogin(one, await credentials.ofSentinels(first));
                };
                return { topology: 'sentinel', client, borrowed: false, refresh };
            }
            case 'cluster': {
                this._checkSameTls([first, ...more]);
                const seeds = [first, ...more].map(serverOf);
                const login = await credentials.ofServer(first);
                const connect = (address: ServerAddress): Redis => this._make({ ...first, address }, login);
                return { topology: 'cluster', seeds, connect, refresh: refreshing(credentials, () => first) };
            }
            case 'quorum': {
                checkDistinct([first, ...more]);
                const targets = [first, ...more];
                const clients = await Promise.all(targets.map(make));
                const refresh = refreshing(credentials, (client) => targets[clients.indexOf(client)]);
                return { topology: 'quorum', clients, refresh };
            }
        }
    }

    private _findClient(): BorrowedClient | undefined {
        const descriptor = new Descriptor('*', 'client', 'ioredis', '*', '1.0');
        const found = this._references?.getOneOptional<BorrowedClient>(descriptor) ?? undefined;
        return found === undefined ? undefined : ofIoredis(found);
    }

    private _make(target: Target, login: Login): Redis {
        const tls = this._tlsOf(target);
        const client = new Redis({
            ...ENGINE_OPTIONS,
            ...target.address,
            db: target.database ?? this._database,
            ...(tls === undefined ? {} : { tls }),
            connectTimeout: this._connectTimeout,
        });
        setLogin(client, login);
        return client;
    }

    private async _makeSentinel(targets: readonly [Target, ...Target[]], credentials: Credentials): Promise<Redis> {
        const sentinels: SentinelAddress[] = targets.map(serverOf);
        const tls = this._tlsOf(targets[0]);
        const client = new Redis({
            ...ENGINE_OPTIONS,
            sentinels,
            name: this._sentinelName ?? '',
            db: this._database,
            ...(tls === undefined ? {} : { tls, sentinelTLS: tls, enableTLSForSentinelMode: true }),
            connectTimeout: this._connectTimeout,
            // A Sentinel that does not answer must not keep us from asking the next.
            sentinelCommandTimeout: Math.min(this._connectTimeout, SENTINEL_TIMEOUT),
            // The connection tries again, with the credentials of that time.
            sentinelRetryStrategy: () => null,
        });
        setLogin(client, await credentials.ofServer(undefined));
        setSentinelLogin(client, await credentials.ofSentinels(targets[0]));
        return client;
    }

    /** The first speaks for the servers that are found later, so the others must not ask for what it does not. */
    private _checkSameTls([first, ...more]: readonly [Target, ...Target[]]): void {
        if (this._tls !== undefined || more.every(({ tls }) => tls === first.tls)) return;
        throw badOption('connections', 'must be reached all with TLS or all without: some are rediss, some are not.');
    }

    private _tlsOf(target: Target): TlsOptions | undefined {
        return target.tls || this._tls !== undefined ? (this._tls ?? {}) : undefined;
    }

    /** What every connection leads to; one that leads nowhere is an error, or a quorum would shrink in silence. */
    private async _targets(context: LockContext): Promise<[Target, ...Target[]]> {
        const configured: ConnectionParams[] = new ConnectionResolver(this._config).getAll();
        const found = await Promise.all(configured.map((one) => this._resolve(context, one)));
        const standardPort = this._topology === 'sentinel' ? 26_379 : 6379;
        const [first, ...more] = found.flat().map((one) => readTarget(one, standardPort));
        if (first !== undefined) return [first, ...more];
        const text =
            'No connection is configured: give connection.host and port, connection.uri, or connection.discovery_key.';
        throw new ConfigException(traceIdOrNone(context), 'NO_CONNECTION', text);
    }

    private async _resolve(context: LockContext, connection: ConnectionParams): Promise<ConnectionParams[]> {
        const resolver = new ConnectionResolver(undefined, this._references);
        resolver.add(connection);
        const found: ConnectionParams[] = await resolver.resolveAll(asContext(context));
        if (found.length > 0) return found;
        const text = `Discovery knows no connection by the discovery_key "${connection.getDiscoveryKey()}".`;
        throw new ConfigException(traceIdOrNone(context), 'NO_CONNECTION', text);
    }
}

/** Sets, before each connection, the credentials of that time. */
function refreshing(credentials: Credentials, targetOf: (client: Redis) => Target | undefined): Refresh {
    return async (client) => setLogin(client, await credentials.ofServer(targetOf(client)));
}

/** Sentinels and the servers of a cluster know each other by host and port, and have one database. */
function serverOf({ address, database }: Target): ServerAddress {
    if (!('host' in address))
        throw badOption('connection.path', 'cannot be the address of a Sentinel or of a cluster.');
    if (database) throw badOption('connection.uri', 'must not name a database here.');
    return address;
}

/** A node that is named twice would vote twice. */
function checkDistinct(targets: readonly Target[]): void {
    const seen = new Set<string>();
    for (const { address, database } of targets) {
        const name = JSON.stringify([address, database ?? 0]);
        if (seen.has(name))
            throw badOption('connections', 'name the same node twice; the nodes of a quorum are independent.');
        seen.add(name);
    }
}

function ambiguous(context: LockContext): ConfigException {
    const text =
        'Several connections are configured: set options.topology to say what they are. sentinel: Sentinels that know the ' +
        'master (with options.sentinel_name). cluster: servers of one Redis Cluster. quorum: independent servers, of which ' +
        'most must agree. single: one server, so configure one connection.';
    const error = new ConfigException(traceIdOrNone(context), 'BAD_OPTION', text);
    error.withDetails('option', 'options.topology');
    return error;
}
