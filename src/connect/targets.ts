import type { ConnectionParams } from 'pip-services4-config-node';
import { badOption, integer } from './options';

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

/** Reads a resolved connection. @throws ConfigException BAD_OPTION */
export function readTarget(connection: ConnectionParams, standardPort: number): Target {
    const uri = connection.getAsNullableString('uri');
    const path = connection.getAsNullableString('path');
    if (uri) return readUri(uri, standardPort);
    const none = { database: undefined, username: undefined, password: undefined };
    if (path) return { address: { path }, ...none, tls: false };
    const host = connection.getAsNullableString('host') ?? 'localhost';
    const port = integer(connection, 'port', 1, 65_535, standardPort, 'connection.port');
    return { address: { host, port }, ...none, tls: connection.getAsNullableString('protocol') === 'rediss' };
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
