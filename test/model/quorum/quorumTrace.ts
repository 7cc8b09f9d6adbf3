import { has } from './Attempt';
import type { QuorumViolation } from './QuorumExplorer';
import type { QuorumMove } from './QuorumMove';
import type { QuorumOptions } from './QuorumRules';
import { QuorumWorld } from './QuorumWorld';

/** How it came to a violation, a move a line, with what the nodes store and who believes to hold after it. */
export function tellQuorumTrace(options: QuorumOptions, { what, moves }: QuorumViolation): string {
    let world = QuorumWorld.start(options);
    const lines = moves.map((move, at) => {
        const before = world;
        world = before.apply(move);
        return `${String(at + 1).padStart(3)}  ${describe(before, move, world).padEnd(66)} ${situation(world)}`;
    });
    return [`${' '.repeat(71)} ${situation(QuorumWorld.start(options))}`, ...lines, `  =  ${what}`].join('\n');
}

function describe(before: QuorumWorld, move: QuorumMove, after: QuorumWorld): string {
    if (!('by' in move)) {
        const node = `node ${move.at + 1}`;
        if (move.kind === 'restart')
            return `${node} restarts empty${after.isQuarantined(move.at) ? ', quarantined' : ''}`;
        return `${node} frees the key of ${nameOf(before.node(move.at).holder)}: released or expired`;
    }
    const name = nameOf(move.by);
    const { phase, fence } = after.attempt(move.by);
    switch (move.kind) {
        case 'begin':
            return `${name} asks all nodes${move.misled ? ', with a hint far ahead of their time' : ''}`;
        case 'vote': {
            const late = before.attempt(move.by).phase === 'over' ? 'late ' : '';
            const unheard = move.heard || late !== '' ? '' : '; the answer is lost or too late';
            return `node ${move.at + 1} runs the ${late}acquire of ${name}: ${answer(after, move)}${unheard}`;
        }
        case 'ask again':
            return `${name} asks node ${move.at + 1} again`;
        case 'count':
            if (phase === 'held') return `${name} has won: a lease with fence ${fence}`;
            return `${name} has won with fence ${fence}, to be raised at nodes ${nodesOf(after, move.by)}`;
        case 'raise':
            return `node ${move.at + 1} runs ${phase === 'raising' ? 'the' : 'a late'} raise of ${name} to ${fence}`;
        case 'hand out':
            return `${name} knows that a quorum has it: a lease with fence ${fence}`;
        case 'give up':
            return `${name} gives up`;
        case 'end':
            return `the lease of ${name} is over`;
        case 'release late':
            return `node ${move.at + 1} runs a late release of ${name} without comparing`;
    }
}

function answer(after: QuorumWorld, { by, at }: { readonly by: number; readonly at: number }): string {
    const { holder, fence } = after.node(at);
    if (after.isQuarantined(at)) return 'no, quarantined';
    return holder === by ? `yes, ${fence}` : 'no';
}

function nodesOf(world: QuorumWorld, by: number): string {
    const { raised } = world.attempt(by);
    return world.nodes.flatMap((_, at) => (has(raised, at) ? [at + 1] : [])).join(' and ');
}

function situation(world: QuorumWorld): string {
    const nodes = world.nodes.map(({ holder, fence }) => `${nameOf(holder)} ${fence ?? 'none'}`.padEnd(6));
    const believers = world.believers.map(nameOf).join(' and ');
    return `| ${nodes.join(' | ')} |${believers === '' ? '' : ` believed by ${believers}`}`;
}

function nameOf(attempt: number | undefined): string {
    return attempt === undefined ? '-' : 'ABCDEFGH'.charAt(attempt);
}
