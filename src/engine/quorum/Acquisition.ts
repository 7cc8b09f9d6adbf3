import type { Timer } from '../time/Clock';
import type { LockError } from '../port/errors';
import { chosenHolder, holderOf } from '../port/holder';
import type { AcquireAnswer, Busy, Callback, ReleaseAnswer } from '../port/LockStore';
import type { ReservedGrant, ReservingRequest } from '../port/ReservingRequest';
import { detailsOf, givenUp, tooSlow } from './acquisitionErrors';
import { Attempt } from './Attempt';
import type { AttemptOwner, NodeVote } from './Attempt';
import { Call } from './Call';
import { decideFence, spreadFence, writeFence } from './fences';
import type { DecidedFence } from './fences';
import type { QuorumContext } from './QuorumContext';
import { Leftovers } from './Leftovers';
import { Lines } from './Lines';
import { attemptIdOf, nodeIdOf, publicBusy } from './names';
import type { QuorumNode } from './QuorumNode';
import { ownerHas, regain } from './regain';
import { deadlineOfVotes, verdictOf } from './votes';

/** One acquisition on a quorum, over all its attempts: until it is granted or given up, and nothing of it is under way. */
export class Acquisition implements AttemptOwner {
    readonly nodeId: string;
    readonly lines = new Lines();
    private readonly _leftovers: Leftovers;
    /** A node has handed the key to it. */
    private _isItsTurn = false;
    private _call: Call | undefined;
    private _pausing: Timer | undefined;
    private _last: Attempt | undefined;
    /** Of the grant; undefined: there is none. */
    private _fence: number | undefined;
    private _isOver = false;

    /** @param _ended nothing of it needs to be known any more. */
    constructor(
        readonly key: string,
        readonly id: string,
        private readonly _context: QuorumContext,
        private readonly _ended: (acquisition: Acquisition) => void,
    ) {
        this.nodeId = nodeIdOf(id);
        this._leftovers = new Leftovers(_context, key, this.nodeId);
    }

    acquire(request: ReservingRequest, callback: Callback<AcquireAnswer>): void {
        const isFirst = this.lines.lead === undefined;
        this._try(new Call(request, callback, this._context.nodes.clock.now(), isFirst));
    }

    /** A node told that it has handed the key to it. */
    onGrant(): void {
        this._isItsTurn = true;
        if (this._pausing === undefined || this._call === undefined) return;
        this._pausing.cancel();
        this._try(this._call);
    }

    /** It was released, given up, or failed: what it may still get is given back. */
    end(): void {
        this._isOver = true;
        this._pausing?.cancel();
        if (this._pausing !== undefined) this._answer(this._givenUp());
        this._leftovers.bury();
        this._ended(this);
    }

    /** A node was told to release it, or to give it up, and has answered. */
    onReleased(node: QuorumNode, answer: ReleaseAnswer): void {
        if (this._last?.onGivenBack(node, answer) === true) this._leftovers.giveBack(this._last, node);
    }

    /** Whether it has the key under a holder that its caller has chosen. */
    isGrantedTo(holder: string): boolean {
        return this._call === undefined && this.lines.lead === undefined && chosenHolder(this.id) === holder;
    }

    decided(attempt: Attempt): void {
        const { led, votes } = attempt;
        const { all } = this._context.nodes;
        votes.forEach((vote, at) => this._note(all[at], vote));
        if (this._isOver) {
            this._leftovers.takeBack(attempt);
            this._answer(this._givenUp());
        } else if (ownerHas(this.id, attempt)) void this._regain(attempt);
        else if (led?.kind === 'no') this._busy(attempt, led.busy);
        else if (verdictOf(votes) === 'won') this._won(attempt);
        else this._lost(attempt);
    }

    late(attempt: Attempt, node: QuorumNode, vote: NodeVote): void {
        this._note(node, vote);
        if (vote.kind === 'yes' && attempt.onLateVote(node)) this._leftovers.giveBack(attempt, node);
        else if (this._fence !== undefined && !this._isOver) spreadFence(attempt, node, vote, this._fence);
        if (this._isOver || this._fence !== undefined) this._leaveLines();
        if (this._isOver) this._leftovers.bury();
        else this._forget();
    }

    private _try(call: Call): void {
        const { hint, nodes } = this._context;
        const { key, share, spare, ticket, ttl } = call.request;
        const { lead } = nodes;
        this._call = call;
        this._pausing = undefined;
        if (lead === undefined) {
            this._fail(this._context.noQuorum(`No node can be asked for ${key}`, [], detailsOf(this)));
            return;
        }
        // Where another node leads now, it stands in line there.
        if (this.lines.lead !== undefined && this.lines.lead !== lead) this._leaveLines();
        const now = nodes.clock.now();
        const request = {
            key,
            id: attemptIdOf(this.nodeId, this._context.nextAttempt()),
            ttl,
            ticket: undefined,
            share,
            spare,
            hint: hint.next(now),
        };
        const leadFirst = this.lines.lead !== undefined && (ticket ?? 0) > 0 && !this._isItsTurn;
        const linesUp = call.linesUp(now) || this.lines.isElsewhere;
        this._isItsTurn = false;
        this._last = new Attempt(nodes, { request, lead, ticket, leadFirst, linesUp }, this);
        this._last.begin();
    }

    private _leaveLines(): void {
        const { key, nodeId } = this;
        for (const node of this.lines.leave()) {
            this._context.undelivered.giveUp(node, { key, id: nodeId, underWay: false });
        }
    }

    private _busy(attempt: Attempt, busy: Busy): void {
        this._leftovers.takeBack(attempt, attempt.options.lead);
        this._refuse(attempt, { ...publicBusy(busy), sentAt: attempt.sentAt });
    }

    /** Answers by busy. One without a place in line is over then. */
    private _refuse({ options: { lead, ticket } }: Attempt, busy: Busy): void {
        if (ticket !== undefined) this.lines.lead = lead;
        this._answer(busy);
        if (ticket === undefined) this.end();
    }

    /** The lease may be used when a quorum has its fence, and if there is time left. */
    private _won(attempt: Attempt): void {
        const { hint, nodes } = this._context;
        hint.learn(attempt.sentAt, attempt.fences);
        const decided = decideFence(attempt, nodes.quorum);
        if (decided.behind.length === 0) this._grant(attempt, decided.fence);
        else void this._writeFence(attempt, decided);
    }

    private async _writeFence(attempt: Attempt, decided: DecidedFence): Promise<void> {
        const { answers, isWritten } = await writeFence(this._context, attempt, decided);
        if (this._isOver) {
            this._leftovers.takeBack(attempt);
            this._answer(this._givenUp());
        } else if (isWritten) this._grant(attempt, decided.fence);
        else {
            const text = `The fencing token of ${this.key} could not be stored`;
            this._fail(this._context.noQuorum(text, answers, { ...detailsOf(this), unknown: true }), attempt);
        }
    }

    private _grant(attempt: Attempt, fence: number): void {
        const { nodes } = this._context;
        const { ttl } = attempt.options.request;
        const deadline = deadlineOfVotes(attempt.votes);
        if (deadline <= nodes.clock.now()) {
            this._fail(tooSlow(this, ttl), attempt);
            return;
        }
        this.lines.granted((node) => attempt.votes[nodes.all.indexOf(node)]?.kind === 'yes');
        this._leaveLines();
        const holder = chosenHolder(this.id) ?? holderOf(attempt.id, fence);
        this._fence = fence;
        nodes.all.forEach((node, at) => spreadFence(attempt, node, attempt.votes[at], fence));
        const { spare: reserved } = attempt.options.request;
        this._answer({ kind: 'granted', holder, fence, deadline, confirmed: true, reserved });
        this._forget();
    }

    /** No quorum has voted for it, though the lead may have: it tries again, fails, or lets the next in line try. */
    private _lost(attempt: Attempt): void {
        const { _call: call } = this;
        const { nodes } = this._context;
        const { votes } = attempt;
        const refusal = votes.find((vote) => vote?.kind === 'no');
        const answered = votes.filter((vote) => vote !== undefined && vote.kind !== 'unknown').length;
        if (answered < nodes.quorum || refusal === undefined || call === undefined) {
            const text = `Too few nodes answered for ${this.key}`;
            this._fail(this._context.tooFew(text, votes, { ...detailsOf(this), unknown: true }), attempt);
            return;
        }
        const pause = call.pause(nodes.clock.now(), Math.random());
        if (pause !== undefined) {
            this._leftovers.takeBack(attempt, attempt.options.lead);
            this._pausing = nodes.clock.timer(pause, () => this._call !== undefined && this._try(this._call));
            return;
        }
        this._leftovers.takeBack(attempt);
        const { ticket = 0 } = call.request;
        const { remaining, ...busy } = publicBusy(refusal.busy);
        this._refuse(attempt, { ...busy, ticket, rank: 0, remaining: call.askAgain(remaining) });
    }

    /** The key is its owner's already, as it seems. */
    private async _regain(attempt: Attempt): Promise<void> {
        this._leftovers.takeBack(attempt);
        const granted = await regain(this._context, this.id, attempt).catch(() => undefined);
        if (this._isOver) this._answer(this._givenUp());
        else if (granted !== undefined) {
            this._leaveLines();
            this._answer(granted);
            this.end();
        } else if (attempt.led?.kind === 'no') this._busy(attempt, attempt.led.busy);
        else this._lost(attempt);
    }

    /**
     * One that waits tries again after a failure, until it is granted or given up. So the nodes must not refuse it from now on. It gives
     * up whatever may have had an effect, and what is in line.
     */
    private _fail(error: LockError, attempt?: Attempt): void {
        const isWaiting = this._call?.request.ticket !== undefined;
        if (attempt !== undefined) this._leftovers.takeBack(attempt);
        this._answer(error);
        const isGivenUpLater = this.lines.lead !== undefined || (isWaiting && error.unknown);
        if (!isGivenUpLater) this.end();
    }

    private _answer(answer: ReservedGrant | Busy | LockError): void {
        const call = this._call;
        this._call = undefined;
        this._pausing = undefined;
        call?.callback(answer);
    }

    /** Remembers what a vote means for later. */
    private _note(node: QuorumNode | undefined, vote: NodeVote | undefined): void {
        if (node === undefined || vote === undefined) return;
        this._leftovers.note(node, vote);
        if (node !== this._last?.options.lead) this.lines.heard(node, vote);
    }

    /** A granted acquisition needs to be known for as long as something of it is under way. */
    private _forget(): void {
        const isWaiting = this._call !== undefined || this.lines.lead !== undefined;
        if (!isWaiting && !this._leftovers.hasStrays && (this._last?.missing ?? 0) === 0) this._ended(this);
    }

    private _givenUp(): LockError {
        return this._context.closed(detailsOf(this)) ?? givenUp(this);
    }
}
