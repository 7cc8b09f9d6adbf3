import { LockError } from '../port/errors';
import type { Attempt, NodeVote } from './Attempt';
import type { QuorumContext } from './QuorumContext';
import type { QuorumNode } from './QuorumNode';

/** What nodes have, or may still get, of the attempts of one acquisition, and what nobody wants: it is taken back. */
export class Leftovers {
    /** Nodes where an attempt may still arrive: its answer was lost. */
    private _strays: Set<QuorumNode> | undefined;

    /** @param _nodeId how nodes know the acquisition. */
    constructor(
        private readonly _context: QuorumContext,
        private readonly _key: string,
        private readonly _nodeId: string,
    ) {}

    /** Whether an attempt may still arrive. */
    get hasStrays(): boolean {
        return this._strays !== undefined;
    }

    /** A node has answered, or its time is over. */
    note(node: QuorumNode, vote: NodeVote): void {
        if (vote.kind === 'unknown' && mayArrive(vote.error)) (this._strays ??= new Set()).add(node);
    }

    /**
     * Takes back what an attempt got or may still get, but nothing of what a later one gets, however late it arrives.
     *
     * @param but keeps its vote, and so our turn. The others only have to let go.
     */
    takeBack(attempt: Attempt, but?: QuorumNode): void {
        this._context.nodes.all.forEach((node, at) => {
            const vote = attempt.votes[at];
            const wasAsked = attempt.hasAskedAll || node === attempt.options.lead;
            const hasNone = vote?.kind === 'no' || (vote?.kind === 'unknown' && !mayArrive(vote.error));
            if (wasAsked && !hasNone && node !== but) this.giveBack(attempt, node);
        });
    }

    /** Gives the vote of one node back. */
    giveBack(attempt: Attempt, at: QuorumNode): void {
        const giveUp = { key: this._key, id: attempt.id, underWay: false };
        this._context.undelivered.giveUp(at, giveUp, (answer) => {
            if (attempt.onGivenBack(at, answer)) this.giveBack(attempt, at);
        });
    }

    /** Refuses what may still arrive. */
    bury(): void {
        const { _key: key, _nodeId: id, _strays: strays } = this;
        this._strays = undefined;
        for (const node of strays ?? []) this._context.undelivered.giveUp(node, { key, id, underWay: true });
    }
}

/** Whether a request whose answer was lost may still reach the node. */
function mayArrive(error: Error): boolean {
    return !(error instanceof LockError) || error.unknown;
}
