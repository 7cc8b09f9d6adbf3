import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { ConfigException } from 'pip-services4-commons-node';
import { ConfigParams, Descriptor } from 'pip-services4-components-node';
import type { IConfigurable, IReferenceable, IReferences } from 'pip-services4-components-node';
import { ConnectionResolver } from 'pip-services4-config-node';
import type { ConnectionParams } from 'pip-services4-config-node';
import { LONGEST } from '../engine/time/Clock';
import { asContext, traceIdOrNone } from './context';
import type { LockContext } from './context';
import { borrow, ofIoredis } from './clients';
import type { BorrowedClient } from './clients';
import { Credentials } from './Credentials';
import { checkNames } from './names';
import { badOption, integer, oneOf } from './options';
import { planOf } from './planOf';
import { makeClients } from './serverClients';
import type { RedisClients, ServerPlan, Topology } from './serverClients';
import { readTarget } from './targets';
import type { Target } from './targets';
import { findLogins } from './threadServers';
import type { ThreadServers } from './threadServers';
import { checkTlsOf, readTls } from './tls';

/** Servers that were found. */
export interface FoundServers {
    /** Makes clients for them; they are not connected yet. @throws ConfigException NO_CREDENTIAL; what the credential store throws. */
    connect(): Promise<RedisClients>;
    /** What another thread needs to connect to them. @throws ConfigException BAD_OPTION, when it cannot be given that. */
    forThread(): ThreadServers;
}

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
        return (await this.find(context)).connect();
    }

    /** Finds the configured servers. @throws ConfigException NO_CONNECTION, BAD_OPTION; what discovery throws. */
    async find(context: LockContext): Promise<FoundServers> {
        const borrowed = this._client ?? this._findClient();
        if (borrowed !== undefined) {
            checkTlsOf(borrowed, this._config);
            return {
                connect: () => Promise.resolve(borrow(borrowed, traceIdOrNone(context))),
                forThread: () => planOf(borrowed),
            };
        }
        const plan = await this._plan(context);
        const credentials = new Credentials(this._config, this._references, context);
        return {
            connect: () => makeClients(plan, credentials),
            forThread: () => ({ plan, logins: () => findLogins(plan, credentials) }),
        };
    }

    private async _plan(context: LockContext): Promise<ServerPlan> {
        const targets = await this._targets(context);
        const { _topology: topology, _tls: tls } = this;
        if (topology === 'single' && targets.length > 1) throw ambiguous(context);
        if (topology === 'quorum') checkDistinct(targets);
        if (topology === 'sentinel' || topology === 'cluster') {
            checkSameTls(targets, tls);
            targets.forEach(checkServer);
        }
        return {
            topology,
            targets,
            tls,
            sentinelName: this._sentinelName,
            database: this._database,
            connectTimeout: this._connectTimeout,
        };
    }

    private _findClient(): BorrowedClient | undefined {
        const descriptor = new Descriptor('*', 'client', 'ioredis', '*', '1.0');
        const found = this._references?.getOneOptional<BorrowedClient>(descriptor) ?? undefined;
        return found === undefined ? undefined : ofIoredis(found);
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

/** The first speaks for the servers that are found later, so the others must not ask for what it does not. */
function checkSameTls([first, ...more]: readonly [Target, ...Target[]], tls: TlsOptions | undefined): void {
    if (tls !== undefined || more.every((one) => one.tls === first.tls)) return;
    throw badOption('connections', 'must be reached all with TLS or all without: some are rediss, some are not.');
}

/** Sentinels and the servers of a cluster know each other by host and port, and have one database. */
function checkServer({ address, database }: Target): void {
    if (!('host' in address))
        throw badOption('connection.path', 'cannot be the address of a Sentinel or of a cluster.');
    if (database) throw badOption('connection.uri', 'must not name a database here.');
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
