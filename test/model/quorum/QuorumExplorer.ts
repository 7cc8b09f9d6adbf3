import type { QuorumMove } from './QuorumMove';
import { quorumMovesOf } from './quorumMoves';
import { quorumCodeOf } from './quorumCode';
import type { QuorumOptions } from './QuorumRules';
import { QuorumWorld } from './QuorumWorld';

export interface QuorumViolation {
    readonly what: string;
    /** A shortest way there. */
    readonly moves: readonly QuorumMove[];
}

export interface QuorumExploration {
    readonly states: number;
    /** Moves to the states found last. */
    readonly depth: number;
    /** How many moves ended in handing out a lease: a search that sees none proves nothing. */
    readonly leases: number;
    readonly violation: QuorumViolation | undefined;
}

/** How a state was found: from which one, and by which of its moves. */
interface Step {
    readonly from: Step | undefined;
    readonly move: QuorumMove;
}

interface Found {
    readonly world: QuorumWorld;
    readonly step: Step | undefined;
}

/** Visits every state that the moves of a world reach, the nearest first, and stops at the first that must not be. */
export function exploreQuorum(options: QuorumOptions): QuorumExploration {
    const start = QuorumWorld.start(options);
    const seen = new Set([quorumCodeOf(start)]);
    let frontier: Found[] = [{ world: start, step: undefined }];
    let depth = 0;
    let leases = 0;
    while (frontier.length > 0) {
        const next: Found[] = [];
        for (const { world: before, step: from } of frontier) {
            for (const move of quorumMovesOf(before)) {
                const world = before.apply(move);
                if (world.last !== before.last) leases += 1;
                if (world.violation !== undefined) {
                    const violation = { what: world.violation, moves: wayTo({ from, move }) };
                    return { states: seen.size, depth: depth + 1, leases, violation };
                }
                const code = quorumCodeOf(world);
                if (seen.has(code)) continue;
                seen.add(code);
                next.push({ world, step: { from, move } });
            }
        }
        frontier = next;
        if (next.length > 0) depth += 1;
    }
    return { states: seen.size, depth, leases, violation: undefined };
}

function wayTo(last: Step): QuorumMove[] {
    const moves: QuorumMove[] = [];
    for (let step: Step | undefined = last; step !== undefined; step = step.from) moves.push(step.move);
    return moves.toReversed();
}
