import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { ofIoredis } from './clients';
import type { BorrowedClient } from './clients';
import type { Login } from './login';
import { badOption } from './options';
import type { ServerPlan } from './serverClients';
import type { Target } from './targets';
import { findLogins } from './threadServers';
import type { ThreadServers } from './threadServers';

/**
 * How a client that somebody else made reaches its servers, for another thread, which makes a client of its own.
 *
 * @throws ConfigException BAD_OPTION, when what that needs cannot be given to a thread.
 */
export function planOf(given: BorrowedClient): ThreadServers {
    const client = ofIoredis(given);
    const plan = 'nodes' in client ? planOfCluster(client) : planOfRedis(client);
    // Their owner may change them.
    const options = (): RedisOptions => optionsOf(client);
    const login = (): Promise<Login> =>
        Promise.resolve({ username: options().username, password: options().password ?? undefined });
    const ofSentinels = (): Promise<Login> =>
        Promise.resolve({ username: options().sentinelUsername, password: options().sentinelPassword ?? undefined });
    return { plan, logins: () => findLogins(plan, { ofServer: login, ofSentinels }) };
}

function planOfRedis({ options }: Redis): ServerPlan {
    const { connectTimeout = 10_000, db = 0, name, sentinels } = options;
    if (options.Connector) throw unfit('Connector');
    const shared = { tls: plain(options.tls), database: db, connectTimeout };
    if (!sentinels?.length) {
        const { host = 'localhost', path, port = 6379 } = options;
        const target = targetAt(path ? { path } : { host, port });
        return { topology: 'single', targets: [target], sentinelName: undefined, ...shared };
    }
    if (options.natMap) throw unfit('natMap');
    const [first, ...more] = sentinels.map(({ host = 'localhost', port = 26_379 }) => targetAt({ host, port }));
    if (first === undefined) throw unfit('sentinels');
    return { topology: 'sentinel', targets: [first, ...more], sentinelName: name, ...shared };
}

function planOfCluster(cluster: Cluster): ServerPlan {
    const options = optionsOf(cluster);
    if (cluster.options.natMap) throw unfit('natMap');
    const [first, ...more] = cluster
        .nodes()
        .map(({ options: { host = 'localhost', port = 6379 } }) => targetAt({ host, port }));
    if (first === undefined) throw unfit('list of nodes, which is empty,');
    const { connectTimeout = 10_000, tls } = options;
    const targets: ServerPlan['targets'] = [first, ...more];
    return { topology: 'cluster', targets, sentinelName: undefined, tls: plain(tls), database: 0, connectTimeout };
}

/** Of a cluster: how it makes the clients of its nodes. */
function optionsOf(client: Redis | Cluster): RedisOptions {
    if (!('nodes' in client)) return client.options;
    return { ...client.nodes()[0]?.options, ...client.options.redisOptions };
}

function targetAt(address: Target['address']): Target {
    return { address, database: undefined, username: undefined, password: undefined, tls: false };
}

function plain(tls: RedisOptions['tls']): RedisOptions['tls'] {
    try {
        return structuredClone(tls);
    } catch {
        throw unfit('tls');
    }
}

function unfit(option: string): Error {
    const text = `cannot be used with the client that is given: its ${option} cannot be passed to a thread.`;
    return badOption('options.keep_alive_thread', `${text} Configure the connection instead.`);
}
