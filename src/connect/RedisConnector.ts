import { readFileSync } from 'node:fs';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import { ConfigException } from 'pip-services4-commons-node';
import { ConfigParams } from 'pip-services4-components-node';
import type { IConfigurable, IReferenceable, IReferences } from 'pip-services4-components-node';
import { ConnectionResolver, CredentialResolver } from 'pip-services4-config-node';
import type { ConnectionParams, CredentialParams } from 'pip-services4-config-node';
import { LONGEST } from '../engine/Clock';
import { asContext, traceIdOrNone } from './context';
import type { LockContext } from './context';
import { badOption, boolean, integer } from './options';

/**
 * Finds the Redis server and the credentials that a component is configured with, and makes ioredis clients for them.
 *
 * ### Configuration parameters ###
 *
 * - connection(s):
 *   - discovery_key: key to find the connection with a discovery service
 *   - host, port: of the server; 6379 is the default port, localhost the default host
 *   - protocol: rediss for TLS
 *   - uri: `redis://user:password@host:port/db`, `rediss://…` for TLS, `tcp://…`, `unix:/path`; before host and port
 *   - path: of a Unix socket
 * - credential(s):
 *   - store_key: key to find the credentials with a credential store
 *   - username, password: ACL user, or the password alone for requirepass; before those of the uri
 * - options:
 *   - db_num: database, 0 by default; one in the uri goes before it
 *   - connect_timeout: ms
 *   - tls.ca, tls.cert, tls.key: PEM text or the path of a file; tls.servername; tls.reject_unauthorized
 *
 * ### References ###
 *
 * - `*:discovery:*:*:1.0` (optional) to resolve connections
 * - `*:credential-store:*:*:1.0` (optional) to look up credentials
 */
export class RedisConnector implements IConfigurable, IReferenceable {
    private _config = new ConfigParams();
    private _references: IReferences | undefined;
    private _tls: TlsOptions | undefined;
    private _database = 0;
    private _connectTimeout = 5000;

    /** @throws ConfigException BAD_OPTION, with the name of the option. */
    configure(config: ConfigParams): void {
        this._tls = readTls(config);
        this._database = integer(config, 'options.db_num', 0, 1_000_000, 0);
        this._connectTimeout = integer(config, 'options.connect_timeout', 1, LONGEST, 5000);
        this._config = config;
    }

    setReferences(references: IReferences): void {
        this._references = references;
    }

    /**
     * Makes a client for the configured server; it is not connected yet.
     *
     * @throws ConfigException NO_CONNECTION, NO_CREDENTIAL, BAD_OPTION; what discovery and credential store throw.
     */
    async connect(context: LockContext): Promise<Redis> {
        const connection = await this._resolveConnection(context);
        const credential = await this._lookupCredential(context);
        const target = readTarget(connection);
        const tls = target.tls || this._tls !== undefined ? (this._tls ?? {}) : undefined;
        const username = credential?.getUsername() || target.username;
        const password = credential?.getPassword() || target.password;
        const options = {
            ...target.address,
            db: target.database ?? this._database,
            ...(tls === undefined ? {} : { tls }),
            ...(username === undefined ? {} : { username }),
            ...(password === undefined ? {} : { password }),
            connectTimeout: this._connectTimeout,
            // Of a socket that is closed already; ioredis would keep the process alive for 2 s.
            disconnectTimeout: 50,
            lazyConnect: true,
            // What is sent is sent once, and only on a connection that works: the engine decides about the rest.
            enableOfflineQueue: false,
            autoResendUnfulfilledCommands: false,
            maxRetriesPerRequest: 0,
            // The engine pings, subscribes and tells the library's name nowhere, so that few permissions are needed.
            enableReadyCheck: false,
            autoResubscribe: false,
            disableClientInfo: true,
            retryStrategy: (attempt: number) =>
                Math.min(2 ** Math.min(attempt, 10) * 10, 1000) * (0.5 + Math.random() / 2),
        } satisfies RedisOptions;
        return new Redis(options);
    }

    private async _resolveConnection(context: LockContext): Promise<ConnectionParams> {
        const resolver = new ConnectionResolver(this._config, this._references);
        const all = resolver.getAll();
        if (all.length > 1) {
            const text =
                'Several connections are configured, but options.topology does not say what they are. ' +
                'This version knows topology single: configure one connection.';
            throw new ConfigException(traceIdOrNone(context), 'BAD_OPTION', text).withDetails(
                'option',
                'options.topology',
            );
        }
        const connection: ConnectionParams | null = await resolver.resolve(asContext(context));
        if (connection !== null && connection !== undefined) return connection;
        const key = all[0]?.getDiscoveryKey();
        const text = key
            ? `Discovery knows no connection by the discovery_key "${key}".`
            : 'No connection is configured: give connection.host and port, connection.uri, or connection.discovery_key.';
        throw new ConfigException(traceIdOrNone(context), 'NO_CONNECTION', text);
    }

    private async _lookupCredential(context: LockContext): Promise<CredentialParams | undefined> {
        const resolver = new CredentialResolver(this._config, this._references);
        const credential: CredentialParams | null = await resolver.lookup(asContext(context));
        if (credential !== null && credential !== undefined) return credential;
        const key = resolver
            .getAll()
            .find((one) => one.useCredentialStore())
            ?.getStoreKey();
        if (key === undefined) return undefined;
        const text = `No credential store knows the store_key "${key}".`;
        throw new ConfigException(traceIdOrNone(context), 'NO_CREDENTIAL', text);
    }
}

interface Target {
    readonly address: Pick<RedisOptions, 'host' | 'port' | 'path'>;
    readonly database: number | undefined;
    readonly username: string | undefined;
    readonly password: string | undefined;
    readonly tls: boolean;
}

function readTarget(connection: ConnectionParams): Target {
    const uri = connection.getAsNullableString('uri');
    const path = connection.getAsNullableString('path');
    if (uri) return readUri(uri);
    const none = { database: undefined, username: undefined, password: undefined };
    if (path) return { address: { path }, ...none, tls: false };
    const host = connection.getAsNullableString('host') ?? 'localhost';
    const port = integer(connection, 'port', 1, 65_535, 6379, 'connection.port');
    return { address: { host, port }, ...none, tls: connection.getAsNullableString('protocol') === 'rediss' };
}

/** Never repeats the uri in an error: it may hold a password. */
function readUri(uri: string): Target {
    if (uri.startsWith('unix:')) return readUnixUri(uri);
    const url = URL.canParse(uri) ? new URL(uri) : undefined;
    if (url === undefined || !/^(redis|rediss|tcp):$/.test(url.protocol) || url.hostname === '') {
        throw badOption(
            'connection.uri',
            'must look like redis://user:password@host:port/db, rediss://…, tcp://… or unix:/path.',
        );
    }
    const database = url.pathname.slice(1);
    const port = url.port === '' ? 6379 : Number(url.port);
    // What is not understood is not repeated: a password with a / or a # in it is cut in the wrong place.
    if (!/^\d{0,6}$/.test(database) || url.search !== '' || url.hash !== '' || port === 0) {
        throw badOption(
            'connection.uri',
            'must end in :port/db, with % escapes for special characters in the password.',
        );
    }
    return {
        address: { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port },
        database: database === '' ? undefined : Number(database),
        username: url.username === '' ? undefined : decoded(url.username),
        password: url.password === '' ? undefined : decoded(url.password),
        tls: url.protocol === 'rediss:',
    };
}

function readUnixUri(uri: string): Target {
    const path = decoded(uri.replace(/^unix:(\/\/)?/, ''));
    if (!path.startsWith('/')) throw badOption('connection.uri', 'must name an absolute path: unix:/path.');
    return { address: { path }, database: undefined, username: undefined, password: undefined, tls: false };
}

function decoded(text: string): string {
    try {
        return decodeURIComponent(text);
    } catch {
        throw badOption('connection.uri', 'has a % that is not followed by two hexadecimal digits.');
    }
}

function readTls(config: ConfigParams): TlsOptions | undefined {
    const section = config.getSection('options.tls');
    if (section.getKeys().length === 0) return undefined;
    const servername = section.getAsNullableString('servername');
    return {
        ...pem(config, 'ca'),
        ...pem(config, 'cert'),
        ...pem(config, 'key'),
        ...(servername ? { servername } : {}),
        rejectUnauthorized: boolean(config, 'options.tls.reject_unauthorized', true),
    };
}

function pem(config: ConfigParams, name: 'ca' | 'cert' | 'key'): TlsOptions {
    const option = `options.tls.${name}`;
    const text = config.getAsNullableString(option);
    if (!text) return {};
    if (text.includes('-----BEGIN')) return { [name]: text };
    try {
        return { [name]: readFileSync(text) };
    } catch (error) {
        // Not the text itself: it may be a key whose first line was lost.
        const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
        throw badOption(option, `must be PEM text, or a file that can be read (${why}).`);
    }
}
