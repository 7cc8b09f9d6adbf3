/**
 * What a WaiterProcess runs: loops that wait for one key, hold it for a moment, release it, and begin again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { machineTime } from '../../fixtures/worker';
import { waiting } from '../contestants';
import type { Held } from '../contestants/Contestant';
import { Ring, RING } from '../contestants/ring';
import type { RedisAddress } from '../../fixtures/sharedServer';

/** What a process is to do. */
export interface Waiting {
    readonly contestant: string;
    readonly server: RedisAddress;
    /** The waiters of this process, out of `size`. */
    readonly members: readonly number[];
    readonly size: number;
    /** How long each holds the key, ms. */
    readonly stay: number;
}

export type Order =
    { readonly kind: 'open'; readonly waiting: Waiting } | { readonly kind: 'start' } | { readonly kind: 'report' };

/** One hold of the key; instants in ms on a clock that all processes of the machine share. */
export interface Hold {
    readonly member: number;
    readonly asked: number;
    readonly got: number;
    readonly released: number;
}

export interface Report {
    readonly holds: readonly Hold[];
    /** When those asked who are still waiting. */
    readonly pending: readonly number[];
    /** CPU time of this process, ms. */
    readonly cpu: number;
}

export const KEY = 'hot';

const holds: Hold[] = [];
const pending = new Map<number, number>();
let begin = async (): Promise<void> => {
    throw new Error('Not open');
};

async function obey(order: Order): Promise<Report | string> {
    switch (order.kind) {
        case 'open':
            begin = await open(order.waiting).catch((error: unknown) => Promise.reject(new Error(String(error))));
            return 'open';
        case 'start':
            await begin();
            return 'started';
        case 'report': {
            const { user, system } = process.cpuUsage();
            return { holds, pending: [...pending.values()], cpu: (user + system) / 1000 };
        }
    }
}

async function open(what: Waiting): Promise<() => Promise<void>> {
    const { server, members, size, stay } = what;
    if (what.contestant === RING) {
        const ring = await Ring.open(server, members, size);
        return async () => {
            for (const member of members) loop(member, stay, () => ring.take(member));
            if (members.includes(0)) await ring.wake(0);
        };
    }
    const contestant = waiting.find(({ name }) => name === what.contestant);
    if (contestant === undefined) throw new Error(`There is no ${what.contestant}`);
    const locking = await contestant.open([server]);
    return async () => {
        for (const member of members) loop(member, stay, () => locking.acquire(KEY));
    };
}

/** Goes on until the process is killed: the peers' waiters cannot be stopped otherwise. */
function loop(member: number, stay: number, acquire: () => Promise<Held>): void {
    const again = async (): Promise<never> => {
        for (;;) {
            const asked = machineTime();
            pending.set(member, asked);
            const held = await acquire();
            const got = machineTime();
            pending.delete(member);
            if (stay > 0) await sleep(stay);
            const released = machineTime();
            holds.push({ member, asked, got, released });
            await held.release();
        }
    };
    again().catch((error: unknown) => {
        console.error(`A waiter failed: ${String(error)}`);
        process.exit(1);
    });
}

if (require.main === module) {
    process.on('message', (order: Order) => {
        obey(order).then(
            (answer) => process.send?.({ answer }),
            (error: unknown) => process.send?.({ error: String(error) }),
        );
    });
    process.on('disconnect', () => process.exit());
}
