// A thread loads this, too: so nothing of the toolkit is loaded here.
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { Redis } from 'ioredis';
import type { RedisOptions, SentinelAddress } from 'ioredis';
import type { Refresh } from '../engine/redis/connection/ClientLink';
import type { ServerAddress } from '../engine/redis/servers/SlotMap';
import { setLogin, setSentinelLogin } from './login';
import type { Login } from './login';
import type { Target } from './targets';

export type { ServerAddress };

/** What the configured connections are to each other. */
export type Topology = 'single' | 'sentinel' | 'cluster' | 'quorum';

/** Which servers are used, and how they are reached: plain data, but for what may change, the credentials. */
export interface ServerPlan {
    readonly topology: Topology;
    readonly targets: readonly [Target, ...Target[]];
    readonly tls: TlsOptions | undefined;
    /** Of the master that the Sentinels know. */
    readonly sentinelName: string | undefined;
    /** Where the target names none. */
    readonly database: number;
    /** ms */
    readonly connectTimeout: number;
}

/** The credentials of servers and Sentinels, as they are now. */
export interface Logins {
    /** @param target undefined: one that was found by others. */
    ofServer(target: Target | undefined): Promise<Login>;
    ofSentinels(target: Target): Promise<Login>;
}

/** Clients for what is configured; none is connected yet, but for one that is borrowed. */
export type RedisClients =
    | {
          readonly topology: 'single' | 'sentinel';
          readonly client: Redis;
          readonly borrowed: boolean;
          readonly refresh?: Refresh;
      }
    | {
          readonly topology: 'cluster';
          /** Servers that know the others. */
          readonly seeds: readonly ServerAddress[];
          readonly connect: (address: ServerAddress) => Redis;
          readonly refresh: Refresh;
      }
    | { readonly topology: 'quorum'; readonly clients: readonly Redis[]; readonly refresh: Refresh };

/** A Sentinel may take so long to answer, ms. */
const SENTINEL_TIMEOUT = 1000;

/** What the engine needs of every client. */
export const ENGINE_OPTIONS = {
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
    // The engine connects anew by itself.
    retryStrategy: null,
} satisfies RedisOptions;

/** Makes clients for the servers of a plan; they are not connected yet. @throws what looking up the credentials throws */
export async function makeClients(plan: ServerPlan, logins: Logins): Promise<RedisClients> {
    const { targets, topology } = plan;
    const [first] = targets;
    /** Sets, before each connection, the credentials of that time. */
    const refreshing =
        (targetOf: (client: Redis) => Target | undefined): Refresh =>
        async (client) =>
            setLogin(client, await logins.ofServer(targetOf(client)));
    switch (topology) {
        case 'single': {
            const client = make(plan, first, await logins.ofServer(first));
            return { topology, client, borrowed: false, refresh: refreshing(() => first) };
        }
        case 'sentinel': {
            const client = makeSentinel(plan);
            const refresh = async (one: Redis): Promise<void> => {
                setLogin(one, await logins.ofServer(undefined));
                setSentinelLogin(one, await logins.ofSentinels(first));
            };
            await refresh(client);
            return { topology, client, borrowed: false, refresh };
        }
        case 'cluster': {
            const login = await logins.ofServer(first);
            const connect = (address: ServerAddress): Redis => make(plan, { ...first, address }, login);
            return { topology, seeds: targets.map(serverOf), connect, refresh: refreshing(() => first) };
        }
        case 'quorum': {
            const clients = await Promise.all(
                targets.map(async (target) => make(plan, target, await logins.ofServer(target))),
            );
            return { topology, clients, refresh: refreshing((client) => targets[clients.indexOf(client)]) };
        }
    }
}

function make(plan: ServerPlan, target: Target, login: Login): Redis {
    const tls = tlsOf(plan, target);
    const client = new Redis({
        ...ENGINE_OPTIONS,
        ...target.address,
        db: target.database ?? plan.database,
        ...(tls === undefined ? {} : { tls }),
        connectTimeout: plan.connectTimeout,
    });
    setLogin(client, login);
    return client;
}

function makeSentinel(plan: ServerPlan): Redis {
    const { connectTimeout, database, sentinelName, targets } = plan;
    const sentinels: SentinelAddress[] = targets.map(serverOf);
    const tls = tlsOf(plan, targets[0]);
    return new Redis({
        ...ENGINE_OPTIONS,
        sentinels,
        name: sentinelName ?? '',
        db: database,
        ...(tls === undefined ? {} : { tls, sentinelTLS: tls, enableTLSForSentinelMode: true }),
        connectTimeout,
        // A Sentinel that does not answer must not keep us from asking the next.
        sentinelCommandTimeout: Math.min(connectTimeout, SENTINEL_TIMEOUT),
        // The connection tries again, with the credentials of that time.
        sentinelRetryStrategy: () => null,
    });
}

function tlsOf({ tls }: ServerPlan, target: Target): TlsOptions | undefined {
    return target.tls || tls !== undefined ? (tls ?? {}) : undefined;
}

function serverOf({ address }: Target): ServerAddress {
    // The plan of Sentinels and of a cluster has none but these.
    if ('host' in address) return address;
    throw new TypeError(`${address.path} is no address of a Sentinel or of a cluster.`);
}
