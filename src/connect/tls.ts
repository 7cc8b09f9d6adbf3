import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { ConfigParams } from 'pip-services4-components-node';
import { ConnectionResolver } from 'pip-services4-config-node';
import type { ConnectionParams } from 'pip-services4-config-node';
import type { BorrowedClient } from './clients';
import { badOption, boolean } from './options';

/** The options of TLS; undefined: none is set. @throws ConfigException BAD_OPTION */
export function readTls(config: ConfigParams): ConnectionOptions | undefined {
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

/** Refuses a client without TLS where the configuration asks for it. @throws ConfigException BAD_OPTION */
export function checkTlsOf(client: BorrowedClient, config: ConfigParams): void {
    const { tls } = 'nodes' in client ? (client.options.redisOptions ?? {}) : client.options;
    if (tls !== undefined) return;
    const text = 'asks for TLS, but the client that is given has none: make that client with TLS.';
    if (readTls(config) !== undefined) throw badOption('options.tls', text);
    const connections: ConnectionParams[] = new ConnectionResolver(config).getAll();
    if (connections.some(isSecure)) throw badOption('connection', text);
}

function isSecure(connection: ConnectionParams): boolean {
    const uri = connection.getAsNullableString('uri');
    return uri ? /^rediss:/i.test(uri) : connection.getAsNullableString('protocol') === 'rediss';
}

function pem(config: ConfigParams, name: 'ca' | 'cert' | 'key'): ConnectionOptions {
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
