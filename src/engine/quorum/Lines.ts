import type { NodeVote } from './Attempt';
import type { QuorumNode } from './QuorumNode';

const NONE: readonly QuorumNode[] = [];

/** In whose lines an acquisition stands. */
export class Lines {
    /** The node that led when it asked last; undefined: it does not wait there. */
    lead: QuorumNode | undefined;
    private _others: Set<QuorumNode> | undefined;

    get all(): readonly QuorumNode[] {
        const others = this._others === undefined ? NONE : [...this._others];
        return this.lead === undefined ? others : [this.lead, ...others];
    }

    /** Whether it stands in line at a node that does not lead. */
    get isElsewhere(): boolean {
        return this._others !== undefined && this._others.size > 0;
    }

    /** A node that does not lead has answered. */
    heard(node: QuorumNode, vote: NodeVote): void {
        if (vote.kind === 'no' && vote.busy.ticket > 0) (this._others ??= new Set()).add(node);
        else if (vote.kind === 'yes') this._others?.delete(node);
    }

    /** It was granted the key by these nodes: there it stands in line no more. */
    granted(by: (node: QuorumNode) => boolean): void {
        if (this.lead !== undefined && by(this.lead)) this.lead = undefined;
        for (const node of this._others ?? NONE) if (by(node)) this._others?.delete(node);
    }

    /** @returns the nodes that have to be told. */
    leave(): readonly QuorumNode[] {
        const { all } = this;
        this.lead = undefined;
        this._others = undefined;
        return all;
    }
}
