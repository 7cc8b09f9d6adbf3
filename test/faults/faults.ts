import { setTimeout as sleep } from 'node:timers/promises';
import { CLOCK, keysOf } from '../../src/engine/redis/slots';
import type { RedisServer } from '../fixtures/RedisServer';
import { ServerCommands } from '../fixtures/ServerCommands';
import { until } from '../fixtures/until';
import type { Fault } from './Fault';
import { LONGEST_TTL } from './Ground';
import type { ClusterGround, QuorumGround, SentinelGround, SingleGround } from './Ground';
import type { Lab } from './Lab';
import type { LabWorker } from './LabWorker';

/** Shorter than any ttl; longer than every one. */
const SHORT = 150;
const LONG = 1.5 * LONGEST_TTL;

/** When Redis forgot a key, its holder knows at its next renewal, at its deadline at the latest. */
const FORGOTTEN = { exempts: ['I1', 'I2', 'I5'], tail: LONGEST_TTL + 500 } as const;

/** Who has lost its place in line, or a message, hears of it by its heartbeat. */
const HEARTBEAT = 10_000;

/** What is not said of a fault: it is one of the only server, reaches all, does its work at once and exempts from nothing. */
const USUAL: Omit<Fault, 'name'> = {
    topology: 'single',
    reach: 'all',
    lasts: 0,
    exempts: [],
    tail: 0,
    unheard: 0,
    apply: () => undefined,
    heal: () => undefined,
};

function fault(name: string, changes: Partial<Omit<Fault, 'name'>>): Fault {
    return { ...USUAL, name, ...changes };
}

/** To one worker. */
const WORKER_FAULTS: readonly Fault[] = [
    fault('worker frozen', {
        reach: 'worker',
        lasts: LONG,
        apply: (_, worker) => worker.freeze(),
        heal: (_, worker) => worker.thaw(),
    }),
    fault('worker killed', {
        reach: 'worker',
        lasts: 300,
        apply: (lab, worker) => lab.crash(worker),
        heal: (lab, worker) => lab.replace(worker),
    }),
    fault('event loop blocked', {
        reach: 'worker',
        lasts: 2 * LONGEST_TTL,
        apply: (_, worker) => worker.block(2 * LONGEST_TTL),
    }),
    cut('network to the server cut', SHORT, (worker) => worker.proxies.forEach((proxy) => proxy.pause('toServer'))),
    cut('network to the server cut for longer than a ttl', LONG, (worker) =>
        worker.proxies.forEach((proxy) => proxy.pause('toServer')),
    ),
    cut('network from the server cut', SHORT, (worker) => worker.proxies.forEach((proxy) => proxy.pause('toClient'))),
    cut('network from the server cut for longer than a ttl', LONG, (worker) =>
        worker.proxies.forEach((proxy) => proxy.pause('toClient')),
    ),
    cut('network cut', SHORT, (worker) => worker.proxies.forEach((proxy) => proxy.pause())),
    cut('network cut for longer than a ttl', LONG, (worker) => worker.proxies.forEach((proxy) => proxy.pause())),
    fault('connection half-open, then broken', {
        reach: 'worker',
        lasts: LONG,
        apply: (_, worker) => worker.proxies.forEach((proxy) => proxy.pause()),
        heal: (_, worker) => {
            for (const proxy of worker.proxies) {
                proxy.cut();
                proxy.resume();
            }
        },
    }),
    fault('commands delivered late by an old connection', {
        reach: 'worker',
        // Until the client has given that connection up.
        lasts: 2000,
        apply: (_, worker) => worker.proxies.forEach((proxy) => proxy.holdBack()),
        heal: (_, worker) => worker.proxies.forEach((proxy) => proxy.letGo()),
    }),
    fault('connections refused', {
        reach: 'worker',
        lasts: 500,
        apply: async (_, worker) => {
            for (const proxy of worker.proxies) {
                await proxy.refuse();
                proxy.cut();
            }
        },
        heal: async (_, worker) => {
            for (const proxy of worker.proxies) await proxy.accept();
        },
    }),
];

function cut(name: string, lasts: number, apply: (worker: LabWorker) => void): Fault {
    return fault(name, {
        reach: 'worker',
        lasts,
        apply: (_, worker) => apply(worker),
        heal: (_, worker) => worker.proxies.forEach((proxy) => proxy.resume()),
    });
}

function single(lab: Lab): SingleGround {
    if (lab.ground.kind !== 'single') throw new Error('This fault is one of a single server');
    return lab.ground;
}

/** To the messages that wake waiters. */
const MESSAGE_FAULTS: readonly Fault[] = [
    fault('subscriptions cut', {
        lasts: 300,
        apply: async ({ workers }) => {
            for (let times = 0; times < 3; times += 1) {
                for (const { proxies } of workers) proxies.forEach((proxy) => proxy.cutSubscriptions());
                await sleep(50);
            }
        },
    }),
    fault('messages lost', {
        lasts: 1500,
        unheard: HEARTBEAT,
        apply: ({ workers }) => workers.forEach(({ proxies }) => proxies.forEach((proxy) => proxy.loseMessages(true))),
        heal: ({ workers }) => workers.forEach(({ proxies }) => proxies.forEach((proxy) => proxy.loseMessages(false))),
    }),
    fault('latency of 200 ms with jitter', {
        lasts: 1500,
        apply: ({ workers, noise }) =>
            workers.forEach(({ proxies }) => proxies.forEach((proxy) => proxy.jitter(() => noise.between(50, 200)))),
        heal: ({ workers }) => workers.forEach(({ proxies }) => proxies.forEach((proxy) => proxy.delay(0))),
    }),
];

/** To the only server. */
const SERVER_FAULTS: readonly Fault[] = [
    fault('Redis frozen', {
        lasts: 1.3 * LONGEST_TTL,
        apply: (lab) => single(lab).server.freeze(),
        heal: (lab) => single(lab).server.thaw(),
    }),
    fault('Redis restarted from its append-only file', { apply: (lab) => single(lab).server.restart() }),
    fault('Redis restarted empty', { ...FORGOTTEN, apply: (lab) => single(lab).restartEmpty() }),
    fault('SCRIPT FLUSH', { apply: async ({ client }) => void (await client.script('FLUSH')) }),
    fault('CLIENT KILL TYPE normal', { apply: (lab) => killed(lab, 'normal') }),
    fault('CLIENT KILL TYPE pubsub', { apply: (lab) => killed(lab, 'pubsub') }),
    fault('FLUSHALL', {
        ...FORGOTTEN,
        unheard: HEARTBEAT,
        apply: async ({ client }) => void (await client.flushall()),
    }),
    fault('keys deleted', { ...FORGOTTEN, apply: (lab) => deleted(lab, 0) }),
    // The order of the line is in them.
    fault('queues deleted', { exempts: ['I5'], tail: HEARTBEAT, apply: (lab) => deleted(lab, 1) }),
    fault('waiters deleted', { exempts: ['I5'], tail: HEARTBEAT, apply: (lab) => deleted(lab, 2) }),
    fault('sharers deleted', { apply: (lab) => deleted(lab, 3) }),
    fault('clock deleted', { apply: async ({ client }) => void (await client.del(CLOCK)) }),
    fault('clock 2 s forward', { ...FORGOTTEN, apply: (lab) => jump(lab, 2000) }),
    // What is held runs out later by as much; so much later the fault is over.
    fault('clock 2 s back', {
        lasts: 2000,
        exempts: ['I5'],
        tail: LONGEST_TTL,
        apply: (lab) => jump(lab, -2000),
    }),
    fault('foreign client in a loop', {
        lasts: 1200,
        apply: (lab) => lab.meetForeigner(1000),
        heal: (lab) => lab.foreignerLeft(),
    }),
];

async function killed(lab: Lab, type: 'normal' | 'pubsub'): Promise<void> {
    // Our own connection lives on, and the one that watches reconnects.
    await lab.client.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
}

async function deleted({ client, keys, shared }: Lab, which: 0 | 1 | 2 | 3): Promise<void> {
    await client.del(...[...keys, ...shared].map((key) => keysOf(key)[which]));
}

function jump(lab: Lab, by: number): void {
    const { clock } = single(lab);
    if (typeof clock === 'string') throw new Error(`The clock of the server cannot be set: ${clock}`);
    clock.jump(by);
}

/** To servers of other topologies. */
const TOPOLOGY_FAULTS: readonly Fault[] = [
    fault('failover by Sentinels, replication cut first', {
        topology: 'sentinel',
        ...FORGOTTEN,
        lasts: 500,
        apply: async (lab) => {
            const { group } = lab.ground as SentinelGround;
            const master = await group.master();
            // After the one before, if there was one.
            await until(async () => (await online(master)) > 0, 30_000);
            await using commands = new ServerCommands(master);
            // Replicas that are disconnected may not come back, while clients go on.
            await commands.client.call('ACL', 'SETUSER', 'default', '-psync', '-sync', '-replconf');
            await commands.client.call('CLIENT', 'KILL', 'TYPE', 'replica');
            await sleep(200);
            await master.kill();
            await group.failedOver(master);
        },
        // The old ones come back as replicas.
        heal: async (lab) => {
            for (const server of lab.ground.servers) if (!server.isRunning) await server.restart();
        },
    }),
    fault('slot moved', {
        topology: 'cluster',
        apply: async (lab) => {
            const { cluster } = lab.ground as ClusterGround;
            const [key = ''] = lab.keys;
            const from = await cluster.masterOf(key);
            const to = (await cluster.masters()).find((one) => one !== from);
            if (to !== undefined) await cluster.move(key, to, () => sleep(100));
        },
    }),
    node('a node of the quorum frozen', {
        lasts: LONG,
        apply: (lab) => quorum(lab).servers[1]?.freeze(),
        heal: (lab) => quorum(lab).servers[1]?.thaw(),
    }),
    node('the first node of the quorum frozen', {
        lasts: LONG,
        apply: (lab) => quorum(lab).servers[0]?.freeze(),
        heal: (lab) => quorum(lab).servers[0]?.thaw(),
    }),
    node('a node of the quorum restarted empty', { lasts: 1000, apply: (lab) => quorum(lab).servers[2]?.restart() }),
    node('a node of the quorum slow', {
        lasts: LONG,
        apply: ({ workers }) => workers.forEach(({ proxies }) => proxies[1]?.jitter(() => 150)),
        heal: ({ workers }) => workers.forEach(({ proxies }) => proxies[1]?.delay(0)),
    }),
];

/** How many replicas a master has. */
async function online(master: RedisServer): Promise<number> {
    await using commands = new ServerCommands(master);
    return ((await commands.client.info('replication')).match(/state=online/g) ?? []).length;
}

/** Those who wait may lose their order where the first node is the one. */
function node(name: string, changes: Partial<Fault>): Fault {
    return fault(name, { topology: 'quorum', exempts: ['I5'], tail: 10_000, ...changes });
}

function quorum(lab: Lab): QuorumGround {
    if (lab.ground.kind !== 'quorum') throw new Error('This fault is one of a quorum');
    return lab.ground;
}

export const FAULTS: readonly Fault[] = [...WORKER_FAULTS, ...MESSAGE_FAULTS, ...SERVER_FAULTS, ...TOPOLOGY_FAULTS];
