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
    /** Who has released the key waits for it again; else each is served once, and the start settles when all are. */
    readonly again: boolean;
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
    const { server, members, size } = what;
    if (what.contestant === RING) {
        const ring = await Ring.open(server, members, size);
        return async () => {
            const turns = members.map((member) => turn(member, what, () => ring.take(member)));
            // When all processes have been told to wait.
            if (members.includes(0)) setTimeout(() => void ring.wake(0), 100);
            await settled(turns, what);
        };
    }
    const contestant = waiting.find(({ name }) => name === what.contestant);
    if (contestant === undefined) throw new Error(`There is no ${what.contestant}`);
    const locking = await contestant.open([server]);
    return () =>
        settled(
            members.map((member) => turn(member, what, () => locking.acquire(KEY))),
            what,
        );
}

/** With `again` it goes on until the process is killed: the peers' waiters cannot be stopped otherwise. */
async function turn(member: number, { again, stay }: Waiting, acquire: () => Promise<Held>): Promise<void> {
    do {
        const asked = machineTime();
        pending.set(member, asked);
        const held = await acquire();
        const got = machineTime();
        pending.delete(member);
        if (stay > 0) await sleep(stay);
        const released = machineTime();
        holds.push({ member, asked, got, released });
        await held.release();
    } while (again);
}

async function settled(turns: readonly Promise<void>[], { again }: Waiting): Promise<void> {
    const all = Promise.all(turns).catch((error: unknown) => {
        console.error(`A waiter failed: ${String(error)}`);
        process.exit(1);
    });
    if (!again) await all;
}

if (require.main === module) {
    process.on('message', ({ number, order }: { number: number; order: Order }) => {
        obey(order).then(
            (answer) => process.send?.({ number, answer }),
            (error: unknown) => process.send?.({ number, error: String(error) }),
        );
    });
    process.on('disconnect', () => process.exit());
}
