import type { Redis } from 'ioredis';
import type { RedisClients } from '../connect/serverClients';
import { systemClock } from '../engine/time/Clock';
import { RedisConnection } from '../engine/redis/connection/RedisConnection';
import type { RedisConnectionOptions } from '../engine/redis/connection/RedisConnection';
import { SLOTS, slotOf } from '../engine/redis/slots';

/** A client for each server. In a cluster: for each master, by the answer of the first server that answers. */
export async function clientsOf(clients: RedisClients, settings: RedisConnectionOptions): Promise<readonly Redis[]> {
    if (clients.topology === 'quorum') return clients.clients;
    if (clients.topology !== 'cluster') return [clients.client];
    for (const seed of clients.seeds) {
        const connection = new RedisConnection(clients.connect(seed), settings, systemClock);
        try {
            await connection.open({});
            const ranges = await connection.send((client) => client.cluster('SLOTS'));
            return mastersOf(ranges, seed.host).map((address) => clients.connect(address));
        } catch {
            // The next may know.
        } finally {
            await connection.close();
        }
    }
    return clients.seeds.map((seed) => clients.connect(seed));
}

interface Range {
    readonly first: number;
    readonly last: number;
    /** Of the master; undefined: the server does not know its own address. */
    readonly host: string | undefined;
    readonly port: number;
}

/** Reads the answer to CLUSTER SLOTS. */
export function rangesOf(answer: unknown): Range[] {
    return (Array.isArray(answer) ? answer : []).map((range) => {
        const [first, last, [host, port]] = range as [number, number, [string | null, number]];
        return { first, last, host: host && host !== '?' ? host : undefined, port };
    });
}

function mastersOf(answer: unknown, asked: string): { host: string; port: number }[] {
    const masters = rangesOf(answer).map(
        ({ host, port }) => [`${host}:${port}`, { host: host ?? asked, port }] as const,
    );
    return [...new Map(masters).values()];
}

/** The name of a server in messages. */
export function nameOf({ options }: Redis): string {
    if (options.sentinels) return `master ${options.name}`;
    return options.path ?? `${options.host}:${options.port}`;
}

/** A key like `name` that this master of a cluster has. */
export async function keyAt(connection: RedisConnection, name: string): Promise<string> {
    const ranges = rangesOf(await connection.send((client) => client.cluster('SLOTS')));
    const { port } = connection.client.options;
    const own = ranges.filter((range) => range.port === port);
    for (let number = 0; number < 10 * SLOTS; number++) {
        const slot = slotOf(String(number));
        if (!own.some(({ first, last }) => first <= slot && slot <= last)) continue;
        return `${name.replace(/[{}]/g, '')}{${number}}`;
    }
    return name;
}
