import type { Timer } from '../time/Clock';
import { LockError, isTemporary } from '../port/errors';
import { chosenHolder, holderOf, nameOf } from '../port/holder';
import type { AcquireAnswer, Busy, Callback, ReleaseAnswer } from '../port/LockStore';
import type { ReservedGrant, ReservingRequest } from '../port/ReservingRequest';
import { Attempt } from './Attempt';
import type { AttemptOwner, NodeVote } from './Attempt';
import { decideFence, spreadFence, writeFence } from './fences';
import type { DecidedFence } from './fences';
import type { QuorumContext } from './QuorumContext';
import { Leftovers } from './Leftovers';
import { Lines } from './Lines';
import { attemptIdOf, nodeIdOf, publicHolder, readStored } from './names';
import type { QuorumNode } from './QuorumNode';
import { ownerHas, regain } from './regain';
import { deadlineOfVotes, verdictOf } from './votes';

/** Between two attempts of an acquisition whose turn it is, ms: a release and a grant may just cross each other. */
const SHORTEST_PAUSE = 2;
const LONGEST_PAUSE = 40;

/**
 * An acquisition that the lead lets in, and that gets no quorum for so many ms, lets the next in line try; and asks again after
 * `ASK_AGAIN`. The first time is shorter, so that a caller with a short timeout is told that the key is busy.
 */
const PATIENCE = 500;
const FIRST_PATIENCE = 50;
const ASK_AGAIN = 100;

/** The lead lets it in, and others refuse it for so many ms: it takes a place in their lines, too. */
const LINE_UP_AFTER = 20;

/** A call of the store. */
interface Call {
    readonly request: ReservingRequest;
    readonly callback: Callback<AcquireAnswer>;
    readonly since: number;
    /** No attempt is made after that. */
    readonly until: number;
    readonly pause: number;
}

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
        const since = this._context.nodes.clock.now();
        const patience = this.lines.lead === undefined ? FIRST_PATIENCE : PATIENCE;
        const until = since + Math.min(patience, request.ttl / 3);
        this._try({ request, callback, since, until, pause: SHORTEST_PAUSE });
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
            this._leftovers.takeBack(attempt, all);
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
        const { id, key, share, spare, ticket, ttl } = call.request;
        const { lead } = nodes;
        this._call = call;
        this._pausing = undefined;
        if (lead === undefined) {
            this._fail(this._context.noQuorum(`No node can be asked for ${key}`, [], { key, holder: nameOf(id) }));
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
        const isRefused = ticket !== undefined && now - call.since >= LINE_UP_AFTER;
        const linesUp = isRefused || this.lines.isElsewhere;
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
        const { nodes } = this._context;
        this._leftovers.takeBack(
            attempt,
            nodes.all.filter((node) => node !== attempt.options.lead),
        );
        if (attempt.options.ticket !== undefined) this.lines.lead = attempt.options.lead;
        this._answer({ ...publicBusy(busy), sentAt: attempt.sentAt });
        if (attempt.options.ticket === undefined) this.end();
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
            this._leftovers.takeBack(attempt, this._context.nodes.all);
            this._answer(this._givenUp());
        } else if (isWritten) this._grant(attempt, decided.fence);
        else {
            const text = `The fencing token of ${this.key} could not be stored`;
            const { behind } = decided;
            const all = attempt.votes.map((vote, at) => (behind.includes(at) ? answers[behind.indexOf(at)] : vote));
            this._fail(this._context.noQuorum(text, all, { ...this._details(), unknown: true }), attempt);
        }
    }

    private _grant(attempt: Attempt, fence: number): void {
        const { nodes } = this._context;
        const { ttl } = attempt.options.request;
        const deadline = deadlineOfVotes(attempt.votes);
        if (deadline <= nodes.clock.now()) {
            const text = `The nodes took longer to answer than the lease of ${this.key} would have lasted (ttl ${ttl}).`;
            this._fail(new LockError('NO_QUORUM', text, { ...this._details(), unknown: true }), attempt);
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

    /** Gives the votes back; but for that of the lead, which keeps our turn where others only have to let go. */
    private _lost(attempt: Attempt): void {
        const { nodes } = this._context;
        const { votes } = attempt;
        const { lead } = attempt.options;
        const call = this._call;
        const refusal = votes.find((vote) => vote?.kind === 'no');
        const answered = votes.filter((vote) => vote !== undefined && vote.kind !== 'unknown').length;
        if (answered < nodes.quorum || refusal === undefined || call === undefined) {
            // What is wrong with the key, or with our rights, is more than a node that is away.
            const wrong = votes.find((vote) => vote?.kind === 'unknown' && !isTemporary(vote.error));
            const text = `Too few nodes answered for ${this.key}`;
            const error = this._context.noQuorum(text, votes, { ...this._details(), unknown: true });
            this._fail(wrong?.kind === 'unknown' && wrong.error instanceof LockError ? wrong.error : error, attempt);
        } else if (nodes.clock.now() < call.until) {
            this._leftovers.takeBack(
                attempt,
                nodes.all.filter((node) => node !== lead),
            );
            const pause = call.pause * (0.5 + Math.random());
            this._call = { ...call, pause: Math.min(2 * call.pause, LONGEST_PAUSE) };
            this._pausing = nodes.clock.timer(pause, () => this._call !== undefined && this._try(this._call));
        } else {
            this._leftovers.takeBack(attempt, nodes.all);
            const { ticket } = call.request;
            const { remaining, ...busy } = publicBusy(refusal.busy);
            if (ticket !== undefined) this.lines.lead = lead;
            this._answer({ ...busy, ticket: ticket ?? 0, rank: 0, remaining: Math.min(remaining, ASK_AGAIN) });
            if (ticket === undefined) this.end();
        }
    }

    /** The key is its owner's already, as it seems. */
    private async _regain(attempt: Attempt): Promise<void> {
        this._leftovers.takeBack(attempt, this._context.nodes.all);
        const granted = await regain(this._context, this.id, attempt).catch(() => undefined);
        if (this._isOver) this._answer(this._givenUp());
        else if (granted !== undefined) {
            this._leaveLines();
            this._answer(granted);
            this.end();
        } else if (attempt.led?.kind === 'no') this._busy(attempt, attempt.led.busy);
        else this._lost(attempt);
    }

    private _fail(error: LockError, attempt?: Attempt): void {
        if (attempt !== undefined) this._leftovers.takeBack(attempt, this._context.nodes.all);
        this._answer(error);
        // One that waits keeps its place until it is given up.
        if (this.lines.lead === undefined) this.end();
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
        const text = `The acquisition of ${this.key} was given up.`;
        return this._context.closed(this._details()) ?? new LockError('LOCK_ABORTED', text, this._details());
    }

    private _details(): { readonly key: string; readonly holder: string } {
        return { key: this.key, holder: nameOf(this.id) };
    }
}

/** For those who do not know of attempts. */
function publicBusy(busy: Busy): Busy {
    const stored = readStored(busy.holder);
    return stored === undefined
        ? busy
        : { ...busy, holder: publicHolder(busy.holder), foreign: stored.chosen !== undefined };
}
