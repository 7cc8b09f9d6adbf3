import { createRequire } from 'node:module';
import type { Redis } from 'ioredis';
import { PACKAGE } from '../harness/paths';
import type { RedisAddress } from '../../fixtures/sharedServer';
import { connect, disconnect } from './client';
import { TTL } from './Contestant';
import type { Contestant, Held, Locking } from './Contestant';

// The peers are installed for the benchmarks only. What of their types is needed here is said here, so that everything
// compiles without them.

interface Redlock5 {
    readonly default: new (
        clients: readonly Redis[],
        settings: object,
    ) => {
        acquire(keys: readonly string[], ttl: number): Promise<Held>;
        on(event: 'error', listener: () => void): void;
    };
}

type Redlock4 = new (
    clients: readonly Redis[],
    settings: object,
) => { lock(key: string, ttl: number): Promise<{ unlock(): Promise<void> }> };

interface Semaphore {
    readonly Mutex: new (client: Redis, key: string, options: object) => Held & { acquire(): Promise<void> };
}

interface Universal {
    readonly IoredisAdapter: new (client: Redis) => object;
    readonly createLock: (options: object) => { acquire(): Promise<object>; release(handle: object): Promise<boolean> };
}

interface NodeRedisClient {
    on(event: 'error', listener: () => void): void;
    connect(): Promise<unknown>;
    close(): Promise<void>;
}

interface NodeRedis {
    readonly createClient: (options: object) => NodeRedisClient;
}

interface SimpleMutex {
    readonly lock: (client: NodeRedisClient, key: string, options: object) => Promise<() => Promise<void>>;
}

const load = createRequire(PACKAGE);

/** One acquisition with a peer, given the peer and its clients. */
type Acquire<Peer> = (peer: Peer, clients: readonly Redis[]) => (key: string) => Promise<Held>;

/** A peer that is given ioredis clients. */
function peer<Peer>(name: string, module: string, does: string, acquire: Acquire<Peer>): Contestant {
    return {
        name,
        does,
        waits: true,
        open: async (servers): Promise<Locking> => {
            const library = load(module) as Peer;
            const clients = await Promise.all(servers.map((server) => connect(server)));
            return {
                acquire: acquire(library, clients),
                [Symbol.asyncDispose]: () => disconnect(clients),
            };
        },
    };
}

function redlock5(settings: object): Acquire<Redlock5> {
    return ({ default: Redlock }, clients) => {
        const redlock = new Redlock(clients, { retryCount: -1, ...settings });
        redlock.on('error', () => undefined);
        return (key) => redlock.acquire([key], TTL);
    };
}

function redlock4(settings: object): Acquire<Redlock4> {
    return (Redlock, clients) => {
        const redlock = new Redlock(clients, { retryCount: -1, ...settings });
        return async (key) => {
            const lock = await redlock.lock(key, TTL);
            return { release: () => lock.unlock() };
        };
    };
}

function semaphore(options: object): Acquire<Semaphore> {
    return ({ Mutex }, [client]) =>
        async (key) => {
            if (client === undefined) throw new Error('No client');
            const waiting = { acquireTimeout: 3_600_000, onLockLost: () => undefined };
            const mutex = new Mutex(client, key, { lockTimeout: TTL, ...waiting, ...options });
            await mutex.acquire();
            return mutex;
        };
}

function universal(options: object): Acquire<Universal> {
    return ({ IoredisAdapter, createLock }, [client]) => {
        if (client === undefined) throw new Error('No client');
        const adapter = new IoredisAdapter(client);
        return async (key) => {
            const lock = createLock({ adapter, key, ttl: TTL, retryAttempts: 1_000_000, ...options });
            const handle = await lock.acquire();
            return { release: () => lock.release(handle) };
        };
    };
}

async function openSimple([server]: readonly [RedisAddress, ...RedisAddress[]]): Promise<Locking> {
    const { host, port } = server;
    const { lock } = load('simple-redis-mutex') as SimpleMutex;
    const { createClient } = load('redis') as NodeRedis;
    const client = createClient({ socket: { host, port } });
    client.on('error', () => undefined);
    await client.connect();
    const acquire = async (key: string): Promise<Held> => ({ release: await lock(client, key, { timeout: TTL }) });
    // Its first calls make one subscriber each when they are many at a time.
    await (await acquire('first')).release();
    return { acquire, [Symbol.asyncDispose]: () => client.close() };
}

const NO_END = 'retried without end';
const TUNED_REDLOCK = { retryDelay: 10, retryJitter: 5 };

/** As they come: only that they wait for as long as it takes. */
export const peers: readonly Contestant[] = [
    peer('redlock 5', 'redlock', `two scripts, no renewal; polls every 200 ± 100 ms, ${NO_END}`, redlock5({})),
    peer('redlock 4', 'redlock-4', 'like redlock 5, with bluebird', redlock4({})),
    peer(
        'redis-semaphore',
        'redis-semaphore',
        `SET NX PX, a script to release, a renewal timer per lease; polls every 10 ms, ${NO_END}`,
        semaphore({}),
    ),
    peer(
        'redlock-universal',
        'redlock-universal',
        `SET NX PX, GET, a script to release, no renewal; polls every 100 ms, ${NO_END}`,
        universal({}),
    ),
    {
        name: 'simple-redis-mutex',
        does: `another client (node-redis, which pipelines by itself); SET NX PX, INCR, a script that publishes to all
  waiters; polls every 10 s, no renewal`,
        waits: true,
        open: openSimple,
    },
];

/** Tuned where somebody waits; else they are no different. */
export const tunedWaiters: readonly Contestant[] = [
    peer('redlock 5, tuned', 'redlock', 'the same, polls every 10 ± 5 ms', redlock5(TUNED_REDLOCK)),
    peer('redlock 4, tuned', 'redlock-4', 'the same, polls every 10 ± 5 ms', redlock4(TUNED_REDLOCK)),
];

export const tuned: readonly Contestant[] = [
    peer(
        'redis-semaphore, tuned',
        'redis-semaphore',
        'the same without renewal, polls every 5 ms',
        semaphore({ refreshInterval: 0, retryInterval: 5 }),
    ),
    peer(
        'redlock-universal, tuned',
        'redlock-universal',
        'performance lean, no circuit breaker, polls every 10 ms',
        universal({ performance: 'lean', circuitBreaker: false, retryDelay: 10 }),
    ),
];
