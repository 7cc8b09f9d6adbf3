import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { ConfigParams } from 'pip-services4-components-node';
import type { RedisClients } from '../connect/serverClients';
import { RedisConnector } from '../connect/RedisConnector';
import { systemClock } from '../engine/time/Clock';
import { asError } from '../engine/port/errors';
import type { LockInfo } from '../engine/port/LockStore';
import { missingRights } from '../engine/redis/connection/missingRights';
import { RedisConnection } from '../engine/redis/connection/RedisConnection';
import type { Greeting } from '../engine/redis/connection/Greeting';
import { SHARDED, SLOTTED, WHOLE, keyspaceOf } from '../engine/redis/servers/keyspace';
import type { Keyspace } from '../engine/redis/servers/keyspace';
import { SLOTS, keysOf } from '../engine/redis/slots';
import { LockSettings } from '../lock/LockSettings';
import { withRedis } from './connection';
import { clientsOf, keyAt, nameOf, rangesOf } from './servers';

/** What was found out about one thing. */
export interface Finding {
    /** Empty: all of it. */
    readonly server: string;
    readonly check: string;
    readonly state: 'ok' | 'warning' | 'error';
    readonly text: string;
    /** What to do about it. */
    readonly advice?: string;
}

type Topology = RedisClients['topology'];
type Tell = (state: Finding['state'], check: string, text: string, advice?: string) => void;

/** A server that is checked, and what it has to be. */
interface CheckedServer {
    readonly connection: RedisConnection;
    readonly greeting: Greeting;
    readonly topology: Topology;
    readonly settings: LockSettings;
    readonly key: string;
    /** An error: the keys of a lock are not kept together. */
    readonly keyspace: Keyspace | Error;
}

/** Clocks that differ by more, ms, are worth a warning. */
const MOST_OFFSET = 1000;

/** Checks everything that locks depend on. @param key a key of a lock that may be tried. */
export async function* doctor(config: ConfigParams, key: string): AsyncIterable<Finding> {
    const settings = new LockSettings(config);
    const connector = new RedisConnector();
    connector.configure(config);
    const clients = await connector.connect(null);
    let reached = false;
    for (const client of await clientsOf(clients, settings)) {
        const found: Finding[] = [];
        const name = nameOf(client);
        const tell: Tell = (state, check, text, advice) =>
            found.push({ server: name, check, state, text, ...(advice === undefined ? {} : { advice }) });
        await examine(client, clients.topology, settings, key, tell);
        reached ||= found.some(({ check, state }) => check === 'connection' && state === 'ok');
        yield* found;
    }
    if (reached) yield* tried(config, key);
}

async function examine(
    client: Redis,
    topology: Topology,
    settings: LockSettings,
    key: string,
    tell: Tell,
): Promise<void> {
    const connection = new RedisConnection(client, settings, systemClock);
    let greeting: Greeting | undefined;
    try {
        await connection.open({ prepare: async (one) => Promise.resolve(void (greeting = one)) });
        if (greeting === undefined) return;
        tell('ok', 'connection', 'connected');
        const keyspace = topology === 'cluster' ? SLOTTED : await connection.send(keyspaceOf).catch(asError);
        const checked = { connection, greeting, topology, settings, key, keyspace };
        for (const check of [server, role, eviction, keys, rights, messages, clock, replicas, slots]) {
            await check(checked, tell).catch((error: unknown) => {
                tell('warning', check.name, asError(error).message, 'Give the user the right, or look at the server.');
            });
        }
    } catch (error) {
        tell('error', 'connection', asError(error).message, 'Check address, network, TLS and credentials.');
    } finally {
        await connection.close();
    }
}

function server({ greeting: { version } }: CheckedServer, tell: Tell): Promise<void> {
    const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
    if (version === undefined) tell('warning', 'server', 'its version is not known', 'Allow +info to the user.');
    else if (major < 6 || (major === 6 && minor < 2))
        tell('warning', 'server', `version ${version}`, 'Use 6.2 or later.');
    else tell('ok', 'server', `version ${version}`);
    return Promise.resolve();
}

function role({ greeting: { mode, role: is }, topology }: CheckedServer, tell: Tell): Promise<void> {
    const expected = topology === 'cluster' ? 'cluster' : 'standalone';
    const text = `topology ${topology}; the server runs as ${mode ?? 'an unknown kind'}, ${is ?? 'in an unknown role'}`;
    if (is === 'replica') tell('error', 'topology', text, 'Connect to the master: a replica cannot be written to.');
    else if (mode !== undefined && mode !== expected) {
        const right = mode === 'standalone' ? 'single' : mode;
        tell('error', 'topology', text, `Set options.topology to ${right}.`);
    } else tell('ok', 'topology', text);
    return Promise.resolve();
}

function eviction({ greeting: { evicts, version } }: CheckedServer, tell: Tell): Promise<void> {
    const advice = 'Set maxmemory-policy to noeviction.';
    if (evicts !== undefined) tell('warning', 'eviction', `when memory is short, ${evicts} may delete locks`, advice);
    else if (version === undefined) tell('warning', 'eviction', 'its policy is not known', 'Allow +info to the user.');
    else tell('ok', 'eviction', 'no lock is evicted');
    return Promise.resolve();
}

function keys({ keyspace, topology }: CheckedServer, tell: Tell): Promise<void> {
    if (keyspace instanceof Error) {
        tell('error', 'keys', keyspace.message, 'Connect to one server, or to a Redis Cluster.');
    } else if (keyspace === SHARDED) {
        const text =
            'a proxy spreads them over several servers: each lock takes a command of its own, and waiters poll';
        tell('warning', 'keys', text, 'Connect to one server, or to a Redis Cluster, where waiters are woken.');
    } else if (topology !== 'cluster') tell('ok', 'keys', 'one server has all of them');
    return Promise.resolve();
}

async function rights({ connection, key, keyspace, settings, topology }: CheckedServer, tell: Tell): Promise<void> {
    const name = settings.keyPrefix + key;
    const names = keysOf(topology === 'cluster' ? await keyAt(connection, name) : name);
    const { clockOf } = keyspace instanceof Error ? WHOLE : keyspace;
    const refused = await missingRights(connection, names, clockOf(names[0])).catch(asError);
    if (refused instanceof Error) {
        tell(
            'error',
            'rights',
            refused.message,
            'See the ACL rule in docs/topologies.md; give a key that the user may use.',
        );
        return;
    }
    if (refused.length > 0) {
        tell('error', 'rights', `the user may not run ${refused.join(', ')}`, missing(refused));
        return;
    }
    const scan = await connection.send((client) => client.scan('0', 'COUNT', 1)).catch(asError);
    if (scan instanceof Error) tell('warning', 'rights', 'enough for locks, but not to list them', missing(['scan']));
    else tell('ok', 'rights', 'enough');
}

function missing(names: readonly string[]): string {
    return `Allow ${names.map((one) => `+${one}`).join(' ')} to the user.`;
}

async function messages({ connection, keyspace }: CheckedServer, tell: Tell): Promise<void> {
    // They would come from one of the servers only.
    if (keyspace === SHARDED) return;
    const channel = `redis-lock:doctor:${randomUUID()}`;
    const listener = connection.second();
    try {
        await listener.open({});
        await listener.send((client) => client.subscribe(channel));
        const heard = await connection.send((client) => client.publish(channel, ''));
        if (heard === 1) tell('ok', 'pub/sub', 'waiters are woken');
        else tell('warning', 'pub/sub', 'no message arrives: waiters poll', 'Let a proxy pass publish and subscribe.');
    } catch (error) {
        const advice = 'Allow +publish +subscribe and &redis-lock:* to the user; without them waiters poll.';
        tell('warning', 'pub/sub', asError(error).message, advice);
    } finally {
        await listener.close();
    }
}

async function clock({ connection }: CheckedServer, tell: Tell): Promise<void> {
    const before = new Date().getTime();
    const [seconds, micros] = await connection.send((client) => client.time());
    const after = new Date().getTime();
    const offset = Math.round(Number(seconds) * 1000 + Number(micros) / 1000 - (before + after) / 2);
    const text = `${Math.abs(offset)} ms ${offset < 0 ? 'behind' : 'ahead of'} this host`;
    const advice = 'Synchronise the clocks (NTP): a clock that jumps back can make two holders of one key.';
    if (Math.abs(offset) > MOST_OFFSET) tell('warning', 'clock', text, advice);
    else tell('ok', 'clock', text);
}

async function replicas({ connection, settings: { acks }, topology }: CheckedServer, tell: Tell): Promise<void> {
    const info = await connection.send((client) => client.info('replication'));
    const count = Number(/^connected_slaves:(\d+)/m.exec(info)?.[1] ?? 0);
    const text = `${count} connected`;
    if (count < acks) {
        tell('error', 'replicas', `${text}, options.acks is ${acks}`, 'Connect replicas, or every grant fails.');
    } else if (count === 0 && (topology === 'sentinel' || topology === 'cluster')) {
        tell('warning', 'replicas', text, 'Connect one, or nobody can take over when this server dies.');
    } else if (count > 0 && acks === 0 && topology !== 'quorum') {
        const advice = 'A failover may forget the latest grants; options.acks: 1 makes that unlikely.';
        tell('warning', 'replicas', `${text}, options.acks is 0`, advice);
    } else tell('ok', 'replicas', text);
}

async function slots({ connection, topology }: CheckedServer, tell: Tell): Promise<void> {
    if (topology !== 'cluster') return;
    const ranges = rangesOf(await connection.send((client) => client.cluster('SLOTS')));
    const served = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    if (served === SLOTS) tell('ok', 'slots', 'all have a master');
    else tell('error', 'slots', `${SLOTS - served} have no master`, 'Mend the cluster: their keys cannot be locked.');
}

const SHARED = { mode: 'shared' } as const;

/** Takes, renews, shares and releases a lock, as users would. */
async function* tried(config: ConfigParams, key: string): AsyncIterable<Finding> {
    const found = { server: '', check: 'lock' };
    try {
        const text = await withRedis(config, async (lock) => {
            const lease = await lock.tryAcquire(null, key);
            if (lease === null) return heldBy(await lock.inspect(null, key));
            await lease.renew();
            await lease.release();
            const shares = [await lock.tryAcquire(null, key, SHARED), await lock.tryAcquire(null, key, SHARED)];
            for (const share of shares) await share?.release();
            // Somebody else may have taken it meanwhile.
            return shares.includes(null) ? 'taken, renewed and given back' : 'taken, renewed, shared and given back';
        });
        yield { ...found, state: 'ok', text };
    } catch (error) {
        yield { ...found, state: 'error', text: asError(error).message, advice: 'See what is wrong above.' };
    }
}

function heldBy({ holders, key, mode }: LockInfo): string {
    const names = holders.map(({ holder }) => holder).join(', ');
    return `${key} is ${mode === 'shared' ? 'shared' : 'held'} by ${names === '' ? 'somebody' : names}: reading works`;
}
