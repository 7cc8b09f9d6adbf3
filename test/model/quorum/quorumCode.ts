import { countOf, has, isAlive } from './Attempt';
import type { Attempt } from './Attempt';
import type { QuorumWorld } from './QuorumWorld';

const PHASES: readonly Attempt['phase'][] = ['asking', 'raising', 'held'];

/**
 * The same for two worlds from which the same can follow: nodes have no order, live acquisitions are told apart only by what
 * they do, of those that are over counts what is still on its way, and of fences which is how far behind another.
 */
export function quorumCodeOf(world: QuorumWorld): string {
    const { attempts, misled, nodes, restarts, resends } = world;
    const level = levelsOf(world);
    const idle = attempts.filter(({ phase }) => phase === 'idle').length;
    const clock = asksClock(world) ? level(world.greatest) : '';
    const rests = nodes.map((_, at) => late(world, at, level));
    const codes = ordersOf(attempts.filter(isAlive)).map((live) => {
        const told = nodes.map(({ fence, waitsFor }, at) => {
            const cells = live.map((attempt) => {
                const waited = has(waitsFor, attempts.indexOf(attempt));
                return `,${waited ? 'w' : ''}${cellOf(attempt, at, level)}`;
            });
            const memory = fence === undefined ? '-' : level(fence);
            return `${memory}${holderOf(world, live, at)}${rests[at]}${cells.join('')}`;
        });
        return `${told.sort().join(' ')}|${live.map((attempt) => phaseOf(attempt, level)).join()}`;
    });
    return `${codes.sort()[0]}|${idle},${level(world.last)},${clock},${restarts},${resends},${misled}`;
}

/** The acquisitions in every order that does not tell by itself which is which. */
function ordersOf(live: readonly Attempt[]): Attempt[][] {
    if (live.length < 2) return [[...live]];
    const least = Math.min(...live.map(rank));
    const firsts = live.filter((attempt) => rank(attempt) === least);
    return firsts.flatMap((first) => ordersOf(live.filter((one) => one !== first)).map((rest) => [first, ...rest]));
}

/** The same however the nodes are called. */
function rank({ phase, votes, asked }: Attempt): number {
    const yes = votes.filter((vote) => vote?.kind === 'yes').length;
    return PHASES.indexOf(phase) * 100 + countOf(asked) * 10 + yes;
}

function phaseOf({ phase, fence, misled }: Attempt, level: Levels): string {
    return `${PHASES.indexOf(phase)}${misled ? 'm' : ''}${phase === 'raising' ? level(fence) : ''}`;
}

/** Which live acquisition has the key there; of one that is over only that it is. */
function holderOf(world: QuorumWorld, live: readonly Attempt[], at: number): string {
    const { holder } = world.node(at);
    if (holder === undefined) return '';
    const place = live.indexOf(world.attempt(holder));
    return place < 0 ? 'x' : 'hijklm'.charAt(place);
}

/** What acquisitions that are over have on the way to a node, whichever they are. */
function late(world: QuorumWorld, at: number, level: Levels): string {
    let acquires = 0;
    let released = 0;
    const raises: number[] = [];
    world.attempts.forEach((attempt, by) => {
        if (attempt.phase === 'over') {
            if (has(attempt.asked, at)) acquires += 1;
            if (has(attempt.released, at)) released += 1;
        }
        if (attempt.phase !== 'raising' && mayRaise(world, by, at)) raises.push(level(attempt.fence));
    });
    const rest = raises.length === 0 ? '' : `r${raises.sort((a, b) => a - b).join('r')}`;
    return `${acquires === 0 ? '' : `a${acquires}`}${released === 0 ? '' : `l${released}`}${rest}`;
}

/** Whether a raise is on its way that may still change what the node remembers, now or after it restarted empty. */
function mayRaise(world: QuorumWorld, by: number, at: number): boolean {
    const { raised, fence } = world.attempt(by);
    if (!has(raised, at)) return false;
    const node = world.node(at);
    const rises = fence > (node.fence ?? 0);
    if (world.options.rules.raises === 'held') return rises && node.holder === by;
    return rises || world.restarts < world.options.restarts;
}

/** What is between a live acquisition and a node. */
function cellOf({ phase, votes, asked, raised, fence }: Attempt, at: number, level: Levels): string {
    const way = `${has(asked, at) ? 'a' : ''}${phase === 'raising' && has(raised, at) ? 'r' : ''}`;
    const vote = votes[at];
    if (vote === undefined) return way;
    if (vote.kind !== 'yes') return `${way}n`;
    if (phase === 'raising') return `${way}${vote.fence === fence ? '=' : '<'}`;
    return `${way}y${level(vote.fence)}`;
}

type Levels = (fence: number) => number;

/** The fences that still count, with every gap that no further grants can bridge made as wide as the next such one. */
function levelsOf(world: QuorumWorld): Levels {
    const { attempts, nodes, last, greatest, options } = world;
    const fences = [last];
    let grants = options.resends - world.resends;
    if (asksClock(world)) fences.push(greatest);
    for (const { fence } of nodes) if (fence !== undefined) fences.push(fence);
    attempts.forEach(({ phase, votes, asked, fence }, by) => {
        if (phase === 'idle') grants += nodes.length;
        if (phase === 'raising' || nodes.some((_, at) => mayRaise(world, by, at))) fences.push(fence);
        if (phase === 'asking') for (const vote of votes) if (vote?.kind === 'yes') fences.push(vote.fence);
        grants += countOf(asked);
    });
    fences.sort((a, b) => a - b);
    const levels: number[] = [];
    fences.forEach((fence, at) => {
        const gap = at === 0 ? 0 : fence - (fences[at - 1] ?? 0);
        levels.push((levels[at - 1] ?? 0) + Math.min(gap, grants + 1));
    });
    return (fence) => levels[fences.indexOf(fence)] ?? -1;
}

/** Nobody asks the clock again once every node remembers and none can forget. */
function asksClock({ options, restarts, nodes }: QuorumWorld): boolean {
    return options.restarts > restarts || nodes.some(({ fence }) => fence === undefined);
}
