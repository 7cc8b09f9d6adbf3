/**
 * Hash slots of Redis Cluster (CRC16/XMODEM modulo 16384 of the key, or of its hash tag), and the names of the side keys
 * that must share the slot of the user's key. See "Redis cluster specification", key distribution model.
 */

export const SLOTS = 16384;

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    return crc & 0xffff;
});

/** What the cluster hashes of a key: the first `{…}` with something inside, else the whole key. */
export function hashTag(key: string): string {
    const open = key.indexOf('{');
    const close = open < 0 ? -1 : key.indexOf('}', open + 1);
    return close > open + 1 ? key.slice(open + 1, close) : key;
}

export function slotOf(key: string): number {
    let crc = 0;
    for (const byte of Buffer.from(hashTag(key))) {
        crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ byte] ?? 0);
    }
    return crc % SLOTS;
}

/** Every key of ours but the user's own begins so. */
export const PREFIX = 'redis-lock:';

/** The keys of one lock: the user's own, the queue, the waiters, and those who share it (see the scripts). */
export type LockKeys = readonly [key: string, queue: string, waiters: string, sharers: string];

/**
 * Names the keys of the lock on `key`. Side keys are `redis-lock:{key}:q`, `…:w` and `…:h`; a key that has a hash tag keeps
 * it (`a{b}c` → `redis-lock:{b}:a{b}c:q`). Where the braces of the key would move the slot (`a}b`, `a{}b`), the tag is a short
 * one found by search.
 */
export function keysOf(key: string): LockKeys {
    const prefix = sidePrefix(key);
    return [key, `${prefix}:q`, `${prefix}:w`, `${prefix}:h`];
}

/** The clock of all locks on a server that is one keyspace. */
export const CLOCK = `${PREFIX}clock`;

/** The clock of all locks in the slot of `key`. */
export function clockOfSlot(key: string): string {
    return `${PREFIX}{${tagFor(slotOf(key))}}:clock`;
}

/** The clock of the lock on `key` alone. */
export function clockOfKey(key: string): string {
    return `${sidePrefix(key)}:clock`;
}

/** Whether the keys of a lock have a hash tag that keeps them together whatever the hash is, not only in a cluster. */
export function hasItsTag(key: string): boolean {
    return hashTag(key) !== key || !key.includes('}');
}

function sidePrefix(key: string): string {
    const tag = hashTag(key);
    if (tag !== key) return `${PREFIX}{${tag}}:${key}`;
    if (!key.includes('}')) return `${PREFIX}{${key}}`;
    return `${PREFIX}{${tagFor(slotOf(key))}}:${key}`;
}

const tags = new Map<number, string>();
let next = 0;

/** The first number that hashes to `slot`. About 180,000 numbers reach every slot; each is hashed once per process. */
function tagFor(slot: number): string {
    for (;;) {
        const tag = tags.get(slot);
        if (tag !== undefined) return tag;
        const number = String(next++);
        if (!tags.has(slotOf(number))) tags.set(slotOf(number), number);
    }
}
