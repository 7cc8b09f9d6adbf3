import { SHARED } from '../../src/engine/port/protocol';
import type { ClientModel } from './ClientModel';
import type { Command } from './Command';
import type { ClientFault, Fault, Move } from './Move';
import type { World } from './World';

const CRASHES: readonly ClientFault[] = ['crash', 'crash half-open'];
const DISCONNECTS: readonly ClientFault[] = [
    'disconnect',
    'disconnect half-open',
    'disconnect commands',
    'disconnect messages',
];

/** Everything that may happen next. */
export function movesOf(world: World): Move[] {
    const { foreign } = world.options;
    const moves: Move[] = world.clients.flatMap((client, at): Move[] => [
        ...clientMoves(world, client, at),
        ...clientFaults(world, client, at),
    ]);
    if (world.foreignUntil > world.now) moves.push({ kind: 'foreign del' });
    if (world.foreignSets < foreign && world.holder === undefined) moves.push({ kind: 'foreign set' });
    moves.push(...wipes(world));
    if (!world.isBusy || world.delays < world.options.delays) moves.push({ kind: 'tick' });
    return moves;
}

/**
 * The next move of a run in which nothing fails any more, nobody new comes, everything arrives at once and who holds the key
 * gives it back; a tick only when there is nothing else to do. What was sent on an earlier connection is lost.
 */
export function calmMoveOf(world: World): Move {
    for (const [at, client] of world.clients.entries()) {
        if (client.phase.kind === 'crashed') continue;
        if (client.isStopped) return { kind: 'resume', at };
        if (!client.connected || !client.listening) return { kind: 'connect', at };
        if (client.sent.length > 0) return { kind: 'execute', at };
        if (client.leftovers.length > 0) return { kind: 'clean up', at };
        if (client.answers.length > 0) return { kind: 'answer', at };
        if (client.inbox.length > 0) return { kind: 'message', at };
        if (client.isDue(world.now)) return { kind: 'timer', at };
        if (client.phase.kind === 'held') return { kind: 'release', at };
    }
    return { kind: 'tick' };
}

function clientMoves(world: World, client: ClientModel, at: number): Move[] {
    const { options, started, now } = world;
    const { phase, connected, listening } = client;
    const moves: Move[] = [];
    if (client.late.length > 0) moves.push({ kind: 'execute late', at });
    if (connected && client.sent.length > 0) {
        moves.push({ kind: 'execute', at });
        if (options.yields && isRelease(client.sent[0])) moves.push({ kind: 'execute yielding', at });
    }
    if (client.isStopped) return [...moves, { kind: 'resume', at }];
    if (client.answers.length > 0) moves.push({ kind: 'answer', at });
    if (client.inbox.length > 0) moves.push({ kind: 'message', at });
    if (connected && client.leftovers.length > 0) moves.push({ kind: 'clean up', at });
    switch (phase.kind) {
        case 'crashed':
            return moves;
        case 'idle':
            if (client.mayStart && started < options.acquisitions) {
                for (const share of options.shares.keys()) {
                    moves.push({ kind: 'wait', at, share });
                    if (options.tries) moves.push({ kind: 'try', at, share });
                }
            }
            break;
        case 'waiting':
            if (options.givesUp) moves.push({ kind: 'give up', at });
            break;
        case 'held':
            if (connected && !phase.renewing && !phase.downgrading) {
                if (client.rules.keepsAlive || !phase.confirmed) moves.push({ kind: 'renew', at });
                if (options.downgrades && phase.share === undefined) moves.push({ kind: 'downgrade', at });
            }
            moves.push({ kind: 'release', at });
            if (phase.passes > 0) moves.push({ kind: 'pass on', at });
    }
    if (client.isDue(now)) moves.push({ kind: 'timer', at });
    if (!connected || !listening) moves.push({ kind: 'connect', at });
    return moves;
}

function isRelease(command: Command | undefined): boolean {
    return command?.kind === 'release' && command.queued;
}

function clientFaults(world: World, client: ClientModel, at: number): Move[] {
    const moves: Move[] = [];
    if (client.inbox.length > 0 && mayFail(world, 'lose')) moves.push({ kind: 'lose', at });
    const { phase, connected, listening, sent, answers } = client;
    if (connected && sent.length > 0 && mayFail(world, 'refuse')) moves.push(...refusals(world, at));
    if (client.isStopped) return moves;
    if (phase.kind === 'held' && mayFail(world, 'stop')) moves.push({ kind: 'stop', at });
    const isQuiet = phase.kind === 'idle' && sent.length + answers.length === 0;
    if (phase.kind === 'crashed' || isQuiet) return moves;
    const kinds = connected && listening ? [...CRASHES, ...DISCONNECTS] : CRASHES;
    for (const kind of kinds) if (mayFail(world, kind)) moves.push({ kind, at });
    return moves;
}

/** The server refuses the first write of the command, or the second, and so on. */
function refusals(world: World, at: number): Move[] {
    const { writes } = world.apply({ kind: 'execute', at }).server;
    return Array.from({ length: writes }, (_, accepts): Move => ({ kind: 'execute refused', at, accepts }));
}

function wipes(world: World): Move[] {
    const { server } = world;
    const moves: Move[] = [];
    if (mayFail(world, 'wipe')) {
        if (server.queue.value.length > 0) moves.push({ kind: 'wipe', what: 'queue' });
        if (server.waiters.value.length > 0) moves.push({ kind: 'wipe', what: 'waiters' });
        if (server.clock !== undefined) moves.push({ kind: 'wipe', what: 'clock' });
        if (world.holder === SHARED && server.sharers.value.members.length > 0)
            moves.push({ kind: 'wipe', what: 'sharers' });
    }
    if (mayFail(world, 'delete') && world.holder !== undefined) moves.push({ kind: 'wipe', what: 'key' });
    const isEmpty = world.holder === undefined && server.queue.value.length === 0 && server.clock === undefined;
    if (mayFail(world, 'flush') && !isEmpty) moves.push({ kind: 'wipe', what: 'all' });
    return moves;
}

function mayFail({ faults, options }: World, kind: Fault): boolean {
    return faults < options.faults && options.kinds.includes(kind);
}
