import { createRequire } from 'node:module';
import type { Redis } from 'ioredis';
import { openLock } from '../../fixtures/Locks';
import { PACKAGE } from '../harness/paths';
import { connect, disconnect } from './client';
import { TTL } from './Contestant';
import type { Contestant, Held, Locking } from './Contestant';

/** How many may have a key at a time. */
export const PERMITS = 10;

interface SemaphoreModule {
    readonly Semaphore: new (
        client: Redis,
        key: string,
        limit: number,
        options: object,
    ) => Held & { acquire(): Promise<void> };
}

/** Readers, and holders of permits. */
export const oursShared: readonly Contestant[] = [
    contestant('this library, readers', { mode: 'shared' }),
    contestant('this library, permits', { limit: PERMITS }),
];

export const semaphore: Contestant = {
    name: 'redis-semaphore, permits',
    does: 'its Semaphore: a sorted set and a script, whose clock is that of the client; polls every 10 ms',
    waits: true,
    open: async ([server]): Promise<Locking> => {
        const { Semaphore } = createRequire(PACKAGE)('redis-semaphore') as SemaphoreModule;
        const client = await connect(server);
        const options = { lockTimeout: TTL, acquireTimeout: 3_600_000, onLockLost: () => undefined };
        return {
            acquire: async (key) => {
                const one = new Semaphore(client, key, PERMITS, options);
                await one.acquire();
                return one;
            },
            [Symbol.asyncDispose]: () => disconnect([client]),
        };
    },
};

function contestant(name: string, share: { readonly mode: 'shared' } | { readonly limit: number }): Contestant {
    return {
        name,
        does: 'the component RedisLock, with leases that share a key',
        waits: true,
        open: async ([server]): Promise<Locking> => {
            const lock = await openLock(server, { ttl: TTL });
            return {
                acquire: (key) => lock.acquire(null, key, { ...share, timeout: Infinity }),
                [Symbol.asyncDispose]: () => lock.close(null),
            };
        },
    };
}
