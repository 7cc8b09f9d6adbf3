import { isIPv6 } from 'node:net';
import type { ConnectionParams } from 'pip-services4-config-node';
import { checkNoOtherTls } from './names';
import { badOption, integer, optionalOneOf } from './options';

/** Where a server is. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string };

/** What one connection says. */
export interface Target {
    readonly address: Address;
    readonly database: number | undefined;
    readonly username: string | undefined;
    readonly password: string | undefined;
    readonly tls: boolean;
}

/** What a connection may speak; only `rediss` is TLS. */
const PROTOCOLS = ['redis', 'rediss', 'tcp', 'unix'] as const;

/**
 * Reads a resolved connection. One that asks for TLS gets it, or is refused.
 *
 * @throws ConfigException BAD_OPTION
 */
export function readTarget(connection: ConnectionParams, standardPort: number): Target {
    checkNoOtherTls(connection);
    const protocol = optionalOneOf(connection, 'protocol', PROTOCOLS, 'connection.protocol');
    const target = readPlace(connection, standardPort, protocol === 'rediss');
    const isSocket = 'path' in target.address;
    if (protocol === 'unix' && !isSocket) throw badOption('connection.protocol', 'is unix: give connection.path.');
    if (protocol !== 'rediss' || target.tls) return target;
    const text = isSocket ? 'on a Unix socket there is no TLS.' : 'connection.uri asks for none.';
    throw badOption('connection.protocol', `is rediss, but ${text}`);
}

/** @param tls whether host and port are to be reached by TLS; a uri says that itself. */
function readPlace(connection: ConnectionParams, standardPort: number, tls: boolean): Target {
    const uri = connection.getAsNullableString('uri');
    const path = connection.getAsNullableString('path');
    if (uri) return readUri(uri, standardPort);
    const none = { database: undefined, username: undefined, password: undefined };
    if (path) return { address: { path }, ...none, tls: false };
    const host = hostOf(connection);
    const port = integer(connection, 'port', 1, 65_535, standardPort, 'connection.port');
    return { address: { host, port }, ...none, tls };
}

/** Never repeats it: where it is a uri, there may be a password in it. */
function hostOf(connection: ConnectionParams): string {
    const given = connection.getAsNullableString('host') || connection.getAsNullableString('ip') || 'localhost';
    // As an IPv6 address stands in a uri.
    const host = given.replace(/^\[(.*)\]$/, '$1');
    if (!/[\s/@]/.test(host) && (isIPv6(host) || !host.includes(':'))) return host;
    throw badOption('connection.host', 'must be a name or an address alone; a uri belongs into connection.uri.');
}

/** Never repeats the uri in an error: it may hold a password. */
function readUri(uri: string, standardPort: number): Target {
    if (uri.startsWith('unix:')) return readUnixUri(uri);
    const url = URL.canParse(uri) ? new URL(uri) : undefined;
    if (url === undefined || !/^(redis|rediss|tcp):$/.test(url.protocol) || url.hostname === '') {
        throw badOption(
            'connection.uri',
            'must look like redis://user:password@host:port/db, rediss://…, tcp://… or unix:/path.',
        );
    }
    const database = url.pathname.slice(1);
    const port = url.port === '' ? standardPort : Number(url.port);
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
    const [place = '', query] = uri.replace(/^unix:(\/\/)?/, '').split('?');
    const path = decoded(place);
    if (!path.startsWith('/')) throw badOption('connection.uri', 'must name an absolute path: unix:/path.');
    const database = query === undefined ? '' : /^db=(\d{1,6})$/.exec(query)?.[1];
    if (database === undefined) throw badOption('connection.uri', 'may end in ?db=number, and in nothing else.');
    return {
        address: { path },
        database: database === '' ? undefined : Number(database),
        username: undefined,
        password: undefined,
        tls: false,
    };
}

function decoded(text: string): string {
    try {
        return decodeURIComponent(text);
    } catch {
        throw badOption('connection.uri', 'has a % that is not followed by two hexadecimal digits.');
    }
}
