import { asLockError } from '../port/errors';
import type { Attempt, NodeVote } from './Attempt';
import { awaitVotes, given } from './awaitVotes';
import type { Answers } from './awaitVotes';
import type { QuorumContext } from './QuorumContext';
import type { QuorumNode } from './QuorumNode';
import { fenceOf } from './votes';
import type { QuorumFence } from './votes';

/** What an attempt that has won is granted with. */
export interface DecidedFence extends QuorumFence {
    /** How many nodes behind must take it before the lease is used. */
    readonly missing: number;
}

/** The fence of an attempt that has won, and the nodes that do not have it, or the numbers reserved with it, yet. */
export function decideFence({ options, votes }: Attempt, quorum: number): DecidedFence {
    const { fence, behind } = fenceOf(votes);
    const { spare = 0 } = options.request;
    if (spare === 0 && behind.length === 0) return { fence, behind, missing: 0 };
    const having = votes.filter((vote) => vote?.kind === 'yes' && has(vote, fence, spare)).length;
    if (having >= quorum) return { fence, behind: [], missing: 0 };
    if (spare === 0) return { fence, behind, missing: quorum - having };
    const lacking = votes.flatMap((vote, at) => (vote?.kind === 'yes' && !has(vote, fence, spare) ? [at] : []));
    return { fence, behind: lacking, missing: quorum - having };
}

/** Writes a fence to the nodes that do not have it. @returns whether enough have it now, and what each node answered last. */
export async function writeFence(
    { nodes }: QuorumContext,
    attempt: Attempt,
    { behind, fence, missing }: DecidedFence,
): Promise<{ readonly isWritten: boolean; readonly answers: Answers<unknown> }> {
    const { key, spare = 0, ttl } = attempt.options.request;
    const { votes } = attempt;
    votes.forEach((vote, at) => {
        if (vote?.kind === 'yes' && behind.includes(at)) votes[at] = { ...vote, fence, reserved: spare };
    });
    const isWritten = (answers: Answers<boolean>): boolean => given(answers).filter(Boolean).length >= missing;
    const answers = await awaitVotes<boolean>(nodes, {
        of: behind.flatMap((at) => nodes.all[at] ?? []),
        within: nodes.timeout(ttl),
        ask: (node, callback) => {
            raise(node, attempt, fence).then(callback, (error: unknown) => callback(asLockError(error, key)));
        },
        isDecided: isWritten,
    });
    const all = votes.map((vote, at) => (behind.includes(at) ? answers[behind.indexOf(at)] : vote));
    return { isWritten: isWritten(answers), answers: all };
}

/** A node that voted late is told the fence, too, so that all tell the same holder. A quorum has it without that node. */
export function spreadFence(attempt: Attempt, node: QuorumNode, vote: NodeVote | undefined, fence: number): void {
    if (vote?.kind === 'yes' && vote.fence !== fence) raise(node, attempt, fence).catch(() => undefined);
}

function raise(node: QuorumNode, { id, options }: Attempt, fence: number): Promise<boolean> {
    const { key, spare = 0 } = options.request;
    // First the clock rises above the numbers that are reserved; then the key tells the fence.
    if (spare > 0) node.raise(key, id, fence + spare).catch(() => undefined);
    return node.raise(key, id, fence);
}

function has(vote: Extract<NodeVote, { kind: 'yes' }>, fence: number, spare: number): boolean {
    return vote.fence === fence && vote.reserved >= spare;
}
