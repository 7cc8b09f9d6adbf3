import type { Redis } from 'ioredis';
import { LockError } from '../../port/errors';
import { newId } from '../../port/holder';
import { codeOf, wordOf } from '../connection/serverWords';
import { isReply } from '../connection/replies';
import { CLOCK, clockOfKey, clockOfSlot, keysOf, slotOf } from '../slots';

/** How an address keeps its keys. It decides which keys one command may have, and which clock a lock has. */
export interface Keyspace {
    readonly kind: 'whole' | 'slots' | 'shards';
    readonly clockOf: (key: string) => string;
    /** The items of one group may go out as one list. */
    readonly groupOf: (key: string) => number | string;
}

/** One server: any keys go together. */
export const WHOLE: Keyspace = { kind: 'whole', clockOf: () => CLOCK, groupOf: () => 0 };

/** A server of a cluster: all keys of a command must have one slot. */
export const SLOTTED: Keyspace = { kind: 'slots', clockOf: clockOfSlot, groupOf: slotOf };

/** A proxy that spreads keys over several servers, in a way that we do not know: a command has the keys of one lock. */
export const SHARDED: Keyspace = { kind: 'shards', clockOf: clockOfKey, groupOf: (key) => key };

/** Keys that are looked for. They are the same for every process, so that all of them find the same. */
const PROBES = Array.from({ length: 32 }, (_, at) => `redis-lock:probe:${at}`);

/** A script that names the server which runs it. Empty: the server does not tell. */
const PLACE = `
local info = redis.pcall('INFO', 'server')
return type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''`;

/** A script that writes the keys, for a server that does not tell its name. They expire after 10 s. */
const WRITE = "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'PX', 10000) end";

/**
 * Finds out whether an address leads to one server, or to a proxy that spreads keys over several. Some proxies refuse a command
 * with keys of two servers. Others send it to the server of its first key: then two clients could hold one key.
 *
 * @throws LockError NOT_SUPPORTED where the keys of one lock are not kept together either.
 */
export async function keyspaceOf(client: Redis): Promise<Keyspace> {
    if (await areTogether(client, PROBES)) return WHOLE;
    const locks = PROBES.map((key) => areTogether(client, [SHARDED.clockOf(key), ...keysOf(key)]));
    if ((await Promise.all(locks)).every(Boolean)) return SHARDED;
    const text =
        'This address spreads its keys over several servers, and keeps those with the same {tag} apart, too. ' +
        'Let the proxy hash what is between { and }, or connect to one server.';
    throw new LockError('NOT_SUPPORTED', text);
}

/** Whether a script that is given these keys finds each of them where it is found alone. */
async function areTogether(client: Redis, keys: readonly string[]): Promise<boolean> {
    const [all, ...each] = await Promise.all([keys, ...keys.map((key) => [key])].map((some) => placeOf(client, some)));
    // A script is refused even with one key. tryEssentials tells why.
    if (each.includes(undefined)) return true;
    if (all === undefined) return false;
    return all === '' ? isRead(client, keys) : each.every((place) => place === all);
}

/** The server that a script with these keys is sent to; undefined: it is refused. */
async function placeOf(client: Redis, keys: readonly string[]): Promise<string | undefined> {
    try {
        return String(await client.eval(PLACE, keys.length, ...keys));
    } catch (error) {
        if (!isReply(error)) throw error;
        const word = wordOf(error.message);
        // The refusal passes, so this is tried again later.
        if (word !== undefined && codeOf(word) === 'SERVER_REFUSED') throw error;
        return undefined;
    }
}

/** Whether what a script writes to keys like these is read where each of them is. */
async function isRead(client: Redis, like: readonly string[]): Promise<boolean> {
    const id = newId();
    // Keys of our own, because other processes may do the same now. The id stands inside the tag if there is one.
    const keys = like.map((key) => key.replace(/probe:\d+/, (number) => `${number}:${id}`));
    try {
        await client.eval(WRITE, keys.length, ...keys, id);
    } catch (error) {
        if (!isReply(error)) throw error;
        // The server is full, or a replica. That is told elsewhere.
        return true;
    }
    const values = await Promise.all(keys.map((key) => client.get(key)));
    await Promise.all(keys.map((key) => client.del(key)));
    return values.every((value) => value === id);
}
