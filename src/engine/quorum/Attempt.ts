import type { LockError } from '../port/errors';
import type { Busy, ReleaseAnswer } from '../port/LockStore';
import type { ReservedGrant, ReservingRequest } from '../port/ReservingRequest';
import type { NodeSet, Waiting } from './NodeSet';
import { AWAY } from './QuorumNode';
import type { QuorumNode } from './QuorumNode';
import { verdictOf } from './votes';
import type { Vote } from './votes';

/** What a node says to an attempt. */
export type NodeVote =
    | (Extract<Vote, { kind: 'yes' }> & { /** Fences behind it. */ readonly reserved: number })
    | Extract<Vote, { kind: 'unknown' }>
    | { readonly kind: 'no'; readonly busy: Busy };

/** Made for each attempt: what it asks for, and how. */
export interface AttemptOptions {
    /** As nodes see it, without a place in line. */
    readonly request: ReservingRequest;
    readonly lead: QuorumNode;
    /** In the line of the lead, see AcquireRequest. */
    readonly ticket: number | undefined;
    /** The others are asked once the lead has granted it. Before its turn, an attempt would hinder the one whose turn it is. */
    readonly leadFirst: boolean;
    /** Take a place in line at the other nodes, too. */
    readonly linesUp: boolean;
}

/** Who makes attempts. */
export interface AttemptOwner {
    /** Once: when the missing votes make no difference, or the time is over. */
    decided(attempt: Attempt): void;
    /** A vote that came after the decision. */
    late(attempt: Attempt, node: QuorumNode, vote: NodeVote): void;
}

/** One round of votes for an acquisition: all nodes are asked at once, each for a limited time. */
export class Attempt implements Waiting {
    place = -1;
    /** In the order of the nodes; undefined: nothing in time. */
    readonly votes: (NodeVote | undefined)[];
    readonly sentAt: number;
    private readonly _leadAt: number;
    /** How many nodes were asked and have not answered. */
    missing = 0;
    /** Else the lead only. */
    hasAskedAll = false;
    /** Nodes that have given its vote back, and those whose vote came after the decision. */
    private _givenBack: Set<QuorumNode> | undefined;
    private _late: Set<QuorumNode> | undefined;
    private _phase: 'lead' | 'all' | 'decided' = 'lead';
    private _isAsking = false;
    private _isLate = false;

    constructor(
        private readonly _nodes: NodeSet,
        readonly options: AttemptOptions,
        private readonly _owner: AttemptOwner,
    ) {
        this.votes = _nodes.all.map(() => undefined);
        this._leadAt = _nodes.all.indexOf(options.lead);
        this.sentAt = _nodes.clock.now();
    }

    get id(): string {
        return this.options.request.id;
    }

    /** Of the nodes that voted for it. */
    get fences(): number[] {
        const fences: number[] = [];
        for (const vote of this.votes) if (vote?.kind === 'yes') fences.push(vote.fence);
        return fences;
    }

    /** What the lead said. */
    get led(): NodeVote | undefined {
        return this.votes[this._leadAt];
    }

    /** A node was told to give its vote back, and has answered. @returns whether it granted it only after that. */
    onGivenBack(node: QuorumNode, answer: ReleaseAnswer): boolean {
        if (this.missing > 0) (this._givenBack ??= new Set()).add(node);
        return answer === 'gone' && this._late?.delete(node) === true;
    }

    /** A node votes for it after the decision. @returns whether it has given that vote back before. */
    onLateVote(node: QuorumNode): boolean {
        if (this._givenBack?.has(node) === true) return true;
        (this._late ??= new Set()).add(node);
        return false;
    }

    begin(): void {
        const { lead, leadFirst, request, ticket } = this.options;
        this._nodes.limit(this, this._nodes.timeout(request.ttl));
        if (!leadFirst) {
            this._askAll();
            return;
        }
        this.missing += 1;
        this._ask(lead, this._leadAt, { ...request, ticket });
    }

    overdue(): void {
        if (!this._isLate) {
            // Where the event loop was late, answers may have arrived that nobody has read yet: they come before a second timer.
            this._isLate = true;
            this._nodes.limit(this, 1);
        } else if (this._phase === 'lead') {
            this._nodes.markSlow(this.options.lead);
            this._isLate = false;
            this._nodes.limit(this, this._nodes.timeout(this.options.request.ttl));
            this._askAll();
        } else {
            this._nodes.all.forEach((node, at) => {
                if (this.votes[at] === undefined) this._nodes.markSlow(node);
            });
            if (this._phase === 'all') this._decide();
        }
    }

    private _askAll(): void {
        const { lead, leadFirst, linesUp, request, ticket } = this.options;
        this._phase = 'all';
        this.hasAskedAll = true;
        this._isAsking = true;
        const follow = linesUp ? { ...request, ticket: 0 } : request;
        const first = ticket === undefined ? request : { ...request, ticket };
        this.missing += leadFirst ? this._nodes.all.length - 1 : this._nodes.all.length;
        this._nodes.all.forEach((node, at) => {
            if (node !== lead) this._ask(node, at, follow);
            else if (!leadFirst) this._ask(node, at, first);
        });
        this._isAsking = false;
        this._count();
    }

    private _ask(node: QuorumNode, at: number, request: ReservingRequest): void {
        if (node.isReady) node.acquire(request, (answer) => this._heard(node, at, answer));
        else this._heard(node, at, AWAY);
    }

    private _heard(node: QuorumNode, at: number, answer: ReservedGrant | Busy | LockError): void {
        const vote = voteOf(answer);
        this.missing -= 1;
        if (this.missing === 0 && this._phase !== 'lead') this._nodes.limit(this, undefined);
        if (vote.kind !== 'unknown' && !this._isLate) this._nodes.unmarkSlow(node);
        if (this._phase === 'decided') {
            this.votes[at] ??= vote;
            this._owner.late(this, node, vote);
            return;
        }
        this.votes[at] = vote;
        if (this._phase === 'all') this._count();
        else if (vote.kind === 'no') this._decide();
        else this._askAll();
    }

    /** The lead has to be heard: others may wait in its line. */
    private _count(): void {
        if (this._phase !== 'all' || this._isAsking) return;
        const { led } = this;
        if (this.missing === 0 || led?.kind === 'no' || (led !== undefined && verdictOf(this.votes) !== 'open'))
            this._decide();
    }

    private _decide(): void {
        this._phase = 'decided';
        if (this.missing === 0) this._nodes.limit(this, undefined);
        this._owner.decided(this);
    }
}

function voteOf(answer: ReservedGrant | Busy | LockError): NodeVote {
    if (answer instanceof Error) return { kind: 'unknown', error: answer };
    if (answer.kind === 'busy') return { kind: 'no', busy: answer };
    const { deadline, fence, reserved = 0 } = answer;
    return { kind: 'yes', fence, deadline, reserved };
}
