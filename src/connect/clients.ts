import type { Cluster, ClusterOptions, Redis } from 'ioredis';
import { ConfigException } from 'pip-services4-commons-node';
import { setLogin } from './login';
import { badOption } from './options';
import { ENGINE_OPTIONS } from './serverClients';
import type { RedisClients, ServerAddress } from './serverClients';

/**
 * A client that somebody else made, of ioredis 5 or 6. The types of the two versions do not admit each other, so only what
 * tells such a client from others is asked for.
 */
export type BorrowedClient = BorrowedRedis | BorrowedCluster;

export interface BorrowedRedis {
    readonly status: string;
    readonly options: { readonly keyPrefix?: string | undefined; readonly tls?: object | undefined };
    duplicate(override?: object): unknown;
    defineCommand(name: string, definition: { readonly lua: string }): void;
}

export interface BorrowedCluster {
    readonly status: string;
    readonly options: {
        readonly keyPrefix?: string | undefined;
        readonly redisOptions?: { readonly tls?: object | undefined } | undefined;
    };
    nodes(): readonly BorrowedRedis[];
    defineCommand(name: string, definition: { readonly lua: string }): void;
}

/**
 * What is needed of a client that somebody else made.
 *
 * @throws ConfigException BAD_OPTION, NO_CONNECTION
 */
export function borrow(given: BorrowedClient, traceId: string): RedisClients {
    const client = ofIoredis(given);
    const { keyPrefix } = client.options;
    if ('stringNumbers' in client.options && client.options.stringNumbers === true) {
        const text = 'The client has stringNumbers, with which the answers of scripts cannot be read.';
        throw new ConfigException(traceId, 'BAD_OPTION', text).withDetails('option', 'stringNumbers');
    }
    if (keyPrefix) {
        const text = `The client has the keyPrefix "${keyPrefix}": use options.key_prefix instead.`;
        throw new ConfigException(traceId, 'BAD_OPTION', text).withDetails('option', 'options.key_prefix');
    }
    if (!('nodes' in client)) {
        if (client.mode !== 'subscriber') return { topology: 'single', client, borrowed: true };
        throw badOption('client', 'is subscribed, and can do nothing else: give one that is not.');
    }
    const [first, ...more] = client.nodes();
    if (first === undefined) {
        throw new ConfigException(
            traceId,
            'NO_CONNECTION',
            'The cluster client is not connected: wait for its ready event.',
        );
    }
    const seeds = [first, ...more].map(({ options: { host, port } }) => ({
        host: host ?? 'localhost',
        port: port ?? 6379,
    }));
    // A connection to each server, as the cluster client would make it; these are ours.
    const connect = (address: ServerAddress): Redis =>
        first.duplicate({ ...ENGINE_OPTIONS, ...translated(client.options.natMap, address) });
    return { topology: 'cluster', seeds, connect, refresh: (own) => loginAs(client, own) };
}

/** The owner of a cluster client may have changed its password since. */
function loginAs(cluster: Cluster, own: Redis): Promise<void> {
    const { username, password } = cluster.options.redisOptions ?? {};
    const node = cluster.nodes()[0]?.options;
    setLogin(own, { username: username ?? node?.username, password: password ?? node?.password });
    return Promise.resolve();
}

/** Where a server of the cluster is reached from here. */
function translated(natMap: ClusterOptions['natMap'], address: ServerAddress): ServerAddress {
    const name = `${address.host}:${address.port}`;
    return (typeof natMap === 'function' ? natMap(name) : natMap?.[name]) ?? address;
}

/**
 * The client, as ioredis types it.
 *
 * @throws ConfigException BAD_OPTION when it is none of ioredis.
 */
export function ofIoredis(client: BorrowedClient): Redis | Cluster {
    const { defineCommand, options }: Partial<BorrowedClient> = client ?? {};
    if (typeof defineCommand === 'function' && typeof options === 'object') return client as Redis | Cluster;
    throw badOption('client', `must be a client of ioredis, not ${described(client)}.`);
}

function described(given: object): string {
    if (given === null || typeof given !== 'object') return `a ${typeof given}`;
    // Those of the package redis send commands so.
    if ('sendCommand' in given) return 'of another package: new Redis(…) from "ioredis" makes one';
    return 'settings: those are given to configure(ConfigParams.fromTuples(…))';
}
