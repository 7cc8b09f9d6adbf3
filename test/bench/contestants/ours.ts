import { openLock } from '../../fixtures/Locks';
import type { Options } from '../../fixtures/Locks';
import { TTL } from './Contestant';
import type { Contestant, Locking } from './Contestant';

const DOES = 'the component RedisLock: queue, fencing token, keep-alive, deadline, telemetry hooks';

/** This library, as a service uses it. */
export const ours = contestant('this library', DOES);

/** With local succession, where this version has it. */
export const localGrants = [8, 32].map((most) =>
    contestant(`this library, local_grants ${most}`, `the same; a process may pass a key on ${most} times in a row`, {
        local_grants: most,
    }),
);

/** With a thread that renews while the event loop is blocked. */
export const withThread = contestant(
    'this library, keep_alive_thread',
    'the same; a thread renews what the main thread has not renewed in time',
    { keep_alive_thread: true },
);

function contestant(name: string, does: string, options: Options = {}): Contestant {
    return {
        name,
        does,
        waits: true,
        open: async (servers): Promise<Locking> => {
            const [first, ...more] = servers;
            // The longest lease of a quorum is what its nodes wait for after a start.
            const ttl = more.length === 0 ? TTL : QUORUM_TTL;
            const lock = await openLock(more.length === 0 ? first : servers, { ...options, ttl });
            return {
                acquire: (key) => lock.acquire(null, key, { timeout: Infinity }),
                [Symbol.asyncDispose]: () => lock.close(null),
            };
        },
    };
}

/** Length of leases on a quorum, ms. */
export const QUORUM_TTL = 2000;
