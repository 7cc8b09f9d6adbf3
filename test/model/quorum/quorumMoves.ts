import { has, isAlive } from './Attempt';
import type { QuorumMove } from './QuorumMove';
import type { QuorumWorld } from './QuorumWorld';

/** Everything that may happen next. */
export function quorumMovesOf(world: QuorumWorld): QuorumMove[] {
    const moves: QuorumMove[] = [];
    const { attempts, nodes, options } = world;
    // Who begins first is called A, and so on: other names would only be the same states again.
    const next = attempts.findIndex(({ phase }) => phase === 'idle');
    if (next >= 0 && attempts.filter(isAlive).length < options.clients) {
        moves.push({ kind: 'begin', by: next, misled: false });
        if (world.misled < options.misled) moves.push({ kind: 'begin', by: next, misled: true });
    }
    attempts.forEach((_, by) => moves.push(...movesOfAttempt(world, by)));
    const { mayRestart } = world;
    nodes.forEach(({ holder }, at) => {
        // A release or the end of the key's time; before the lease is over there is neither.
        if (holder !== undefined && !isAlive(world.attempt(holder))) moves.push({ kind: 'free', at });
        if (mayRestart) moves.push({ kind: 'restart', at });
    });
    return moves;
}

function movesOfAttempt(world: QuorumWorld, by: number): QuorumMove[] {
    const { phase, asked } = world.attempt(by);
    const moves = movesOnTheWay(world, by);
    if (phase === 'asking') {
        const { verdictOf } = world.options.rules;
        const { votes } = world.attempt(by);
        if (verdictOf(votes) === 'won') moves.push({ kind: 'count', by });
        if (world.resends < world.options.resends && listens(world, by)) {
            votes.forEach((vote, at) => {
                if (vote === undefined && !has(asked, at)) moves.push({ kind: 'ask again', by, at });
            });
        }
    }
    if (phase === 'raising' && world.options.rules.fenceOf(world.attempt(by).votes).behind.length === 0) {
        moves.push({ kind: 'hand out', by });
    }
    // Votes that do not come in time count as lost.
    if (phase === 'asking' || phase === 'raising') moves.push({ kind: 'give up', by });
    if (phase === 'held') moves.push({ kind: 'end', by });
    return moves;
}

/** What nodes may run of what was sent; that it is lost needs no move of its own. */
function movesOnTheWay(world: QuorumWorld, by: number): QuorumMove[] {
    const { phase, asked, raised, released } = world.attempt(by);
    const hears = asked !== 0 && listens(world, by);
    return world.nodes.flatMap(({ holder }, at) => {
        const moves: QuorumMove[] = [];
        if (has(asked, at)) {
            if (hears) moves.push({ kind: 'vote', by, at, heard: true });
            // A vote that nobody hears and that changes nothing is as good as a request that was lost.
            const grants = holder === undefined && !world.isQuarantined(at);
            if (grants) moves.push({ kind: 'vote', by, at, heard: false });
        }
        if (has(raised, at) && (phase === 'raising' || raises(world, by, at))) moves.push({ kind: 'raise', by, at });
        const foreign = holder !== undefined && holder !== by;
        if (phase === 'over' && !world.options.rules.compares && foreign && !has(released, at)) {
            moves.push({ kind: 'release late', by, at });
        }
        return moves;
    });
}

/** Whether the client still counts votes: not once it has lost. */
function listens(world: QuorumWorld, by: number): boolean {
    const { phase, votes } = world.attempt(by);
    return phase === 'asking' && world.options.rules.verdictOf(votes) !== 'lost';
}

/** Whether a raise that nobody waits for any more would change what the node remembers. */
function raises(world: QuorumWorld, by: number, at: number): boolean {
    return world.takesRaise(by, at) && world.attempt(by).fence > (world.node(at).fence ?? 0);
}
