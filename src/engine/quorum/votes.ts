/** What a node of a quorum says to an acquisition. */
export type Vote =
    | { readonly kind: 'yes'; /** That the node gave it. */ readonly fence: number; readonly deadline: number }
    | { readonly kind: 'no' }
    /** It did not answer in time, or could not be asked. Whether it voted is not known. */
    | { readonly kind: 'unknown'; readonly error: Error };

const NONE: readonly number[] = [];

/** The smallest majority: any two of them have a node in common. */
export function quorumOf(nodes: number): number {
    return Math.floor(nodes / 2) + 1;
}

/** Whether these votes are enough, or can still become enough. Undefined stands for a node that has not answered yet. */
export function verdictOf(votes: readonly (Vote | undefined)[]): 'won' | 'lost' | 'open' {
    const quorum = quorumOf(votes.length);
    let yes = 0;
    let open = 0;
    for (const vote of votes) {
        if (vote === undefined) open += 1;
        else if (vote.kind === 'yes') yes += 1;
    }
    if (yes >= quorum) return 'won';
    return yes + open >= quorum ? 'open' : 'lost';
}

/** The fencing token of a grant, and the nodes that have to be given it before the grant may be used. */
export interface QuorumFence {
    readonly fence: number;
    /** Nodes that voted yes with a smaller one; empty when a quorum has it already. */
    readonly behind: readonly number[];
}

/**
 * The greatest of what a majority gave. As every later majority has a node in common with those that have it, its own will
 * be greater; unless fewer than a majority have it, so then it has to be written to the others first.
 */
export function fenceOf(votes: readonly (Vote | undefined)[]): QuorumFence {
    let fence = 0;
    let having = 0;
    for (const vote of votes) {
        if (vote?.kind !== 'yes' || vote.fence < fence) continue;
        having = vote.fence === fence ? having + 1 : 1;
        fence = vote.fence;
    }
    if (having >= quorumOf(votes.length)) return { fence, behind: NONE };
    const behind = votes.flatMap((vote, at) => (vote?.kind === 'yes' && vote.fence < fence ? [at] : []));
    return { fence, behind };
}

/** Until when a quorum of nodes holds the key for us. */
export function deadlineOfVotes(votes: readonly (Vote | undefined)[]): number {
    const deadlines: number[] = [];
    for (const vote of votes) if (vote?.kind === 'yes') deadlines.push(vote.deadline);
    return deadlines.sort((a, b) => b - a)[quorumOf(votes.length) - 1] ?? -Infinity;
}
