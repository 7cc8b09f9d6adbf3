import { quorumOf } from '../../../src/engine/quorum/votes';
import type { Vote } from '../../../src/engine/quorum/votes';
import { bitsOf, IDLE, isAlive, without } from './Attempt';
import type { Attempt, Bits } from './Attempt';
import type { QuorumMove } from './QuorumMove';
import type { QuorumOptions } from './QuorumRules';

/** What a node stores of the lock. */
export interface QuorumNode {
    /** The acquisition that has the key here. */
    readonly holder: number | undefined;
    /** The last fence, its memory. */
    readonly fence: number | undefined;
    /** The acquisitions whose end it waits for before it votes again. */
    readonly waitsFor: Bits;
}

const EMPTY: QuorumNode = { holder: undefined, fence: undefined, waitsFor: 0 };
/** A hint that is far ahead: no clock gets there by itself. */
const FAR = 1_000_000;

/** Deadlines are none of the model's business: a lease ends at any time. */
const DEADLINE = 0;

/**
 * Independent nodes, the acquisitions and everything on the way between them: a state of the search. There is no time; what
 * was sent is run at any later time or never. A world is not changed once `apply` has made it.
 */
export class QuorumWorld {
    restarts = 0;
    resends = 0;
    misled = 0;
    /** The greatest fence any node has given. */
    greatest = 0;
    /** The fence of the lease handed out last. */
    last = 0;
    /** What the last move broke. */
    violation: string | undefined;

    private constructor(
        readonly options: QuorumOptions,
        public nodes: readonly QuorumNode[],
        public attempts: readonly Attempt[],
    ) {}

    static start(options: QuorumOptions): QuorumWorld {
        const { memories } = options;
        const world = new QuorumWorld(
            options,
            memories.map((fence) => ({ ...EMPTY, fence })),
            Array.from({ length: options.acquisitions }, () => IDLE),
        );
        world.greatest = Math.max(0, ...memories.map((fence) => fence ?? 0));
        // The worst that earlier leases can have left behind: a quorum has their fences, or has forgotten them.
        const fences = memories.map((fence) => fence ?? world.greatest).sort((a, b) => b - a);
        world.last = fences[quorumOf(fences.length) - 1] ?? 0;
        return world;
    }

    get alive(): Bits {
        return bitsOf(this.attempts, isAlive);
    }

    /** Who may write to what the key protects: never more than one. */
    get believers(): number[] {
        return this.attempts.flatMap(({ phase }, by) => (phase === 'held' ? [by] : []));
    }

    attempt(by: number): Attempt {
        const attempt = this.attempts[by];
        if (attempt === undefined) throw new Error('There is no such acquisition.');
        return attempt;
    }

    node(at: number): QuorumNode {
        const node = this.nodes[at];
        if (node === undefined) throw new Error('There is no such node.');
        return node;
    }

    /** Whether the node, restarted empty, lets those end that it may have voted for. */
    isQuarantined(at: number): boolean {
        const { waitsFor } = this.node(at);
        return waitsFor !== 0 && (waitsFor & this.alive) !== 0;
    }

    /** Whether another node may fail: fewer than a quorum do so at a time. */
    get mayRestart(): boolean {
        if (this.restarts === this.options.restarts) return false;
        const affected = this.nodes.filter((_, at) => this.isQuarantined(at)).length;
        return affected + 1 < quorumOf(this.nodes.length);
    }

    /** Whether the node lets its fence be raised for the acquisition. */
    takesRaise(by: number, at: number): boolean {
        const { holder, fence } = this.node(at);
        switch (this.options.rules.raises) {
            case 'held':
                return holder === by;
            case 'remembered':
                return fence !== undefined;
            case 'always':
                return true;
        }
    }

    /** The state after a move. */
    apply(move: QuorumMove): QuorumWorld {
        const next = new QuorumWorld(this.options, this.nodes, this.attempts);
        next.restarts = this.restarts;
        next.resends = this.resends;
        next.misled = this.misled;
        next.greatest = this.greatest;
        next.last = this.last;
        next._perform(move);
        return next;
    }

    private _perform(move: QuorumMove): void {
        switch (move.kind) {
            case 'begin':
                return this._begin(move.by, move.misled);
            case 'vote':
                return this._vote(move.by, move.at, move.heard);
            case 'ask again':
                this.resends += 1;
                return this._change(move.by, { asked: this.attempt(move.by).asked | (1 << move.at) });
            case 'count':
                return this._count(move.by);
            case 'raise':
                return this._raise(move.by, move.at);
            case 'hand out':
                return this._handOut(move.by, this.attempt(move.by).fence);
            case 'give up':
            case 'end':
                this._change(move.by, { phase: 'over', votes: [] });
                if (!this.options.late) this._change(move.by, { asked: 0 });
                return;
            case 'free':
                return this._store(move.at, { holder: undefined });
            case 'release late':
                this._store(move.at, { holder: undefined });
                return this._change(move.by, { released: this.attempt(move.by).released | (1 << move.at) });
            case 'restart':
                this.restarts += 1;
                return this._store(move.at, { ...EMPTY, waitsFor: this._mayHaveVote() });
        }
    }

    private _begin(by: number, misled: boolean): void {
        if (misled) this.misled += 1;
        const votes = this.nodes.map(() => undefined);
        this._change(by, { phase: 'asking', votes, misled, asked: bitsOf(this.nodes, () => true) });
    }

    private _vote(by: number, at: number, heard: boolean): void {
        const { phase, votes, asked } = this.attempt(by);
        const vote = this._acquire(by, at);
        const counts = heard && phase === 'asking';
        this._change(by, { asked: without(asked, at), votes: counts ? votes.with(at, vote) : votes });
    }

    /** The node runs an acquire. */
    private _acquire(by: number, at: number): Vote {
        const { holder, fence } = this.node(at);
        if (this.isQuarantined(at) || (holder !== undefined && holder !== by)) return { kind: 'no' };
        const least = fence === undefined ? this.greatest + this.options.ahead : fence + 1;
        const isBelieved = this.attempt(by).misled && !this.options.rules.boundsHints;
        const given = isBelieved ? Math.max(least, FAR) : least;
        // It stands for the time, which a hint does not move.
        if (given < FAR) this.greatest = Math.max(this.greatest, given);
        this._store(at, { holder: by, fence: given });
        return { kind: 'yes', fence: given, deadline: DEADLINE };
    }

    /** The client has won and computes its fence: a quorum may have it at once, or after it was written to those behind. */
    private _count(by: number): void {
        const { fence, behind } = this.options.rules.fenceOf(this.attempt(by).votes);
        if (behind.length === 0) return this._handOut(by, fence);
        this._change(by, { phase: 'raising', fence, raised: bitsOf(this.nodes, (_, at) => behind.includes(at)) });
    }

    /** The node runs a raise; the client, if it still wants to know, is told whether the node has the fence now. */
    private _raise(by: number, at: number): void {
        const { phase, votes, raised, fence } = this.attempt(by);
        const node = this.node(at);
        const taken = this.takesRaise(by, at);
        if (taken) this._store(at, { fence: Math.max(node.fence ?? 0, fence) });
        const vote: Vote = { kind: 'yes', fence, deadline: DEADLINE };
        const counts = taken && phase === 'raising';
        this._change(by, { raised: without(raised, at), votes: counts ? votes.with(at, vote) : votes });
    }

    private _handOut(by: number, fence: number): void {
        this._change(by, { phase: 'held', votes: [], fence });
        const { believers } = this;
        if (believers.length > 1) this.violation = 'two believe that they have the key';
        else if (fence <= this.last) this.violation = `a lease with a fence that does not rise: ${fence}`;
        this.last = Math.max(this.last, fence);
    }

    private _mayHaveVote(): Bits {
        switch (this.options.rules.quarantine) {
            case 'attempts':
                return this.alive;
            case 'leases':
                return bitsOf(this.attempts, ({ phase }) => phase === 'held');
            case 'none':
                return 0;
        }
    }

    private _store(at: number, change: Partial<QuorumNode>): void {
        this.nodes = this.nodes.with(at, { ...this.node(at), ...change });
    }

    private _change(by: number, change: Partial<Attempt>): void {
        this.attempts = this.attempts.with(by, { ...this.attempt(by), ...change });
    }
}
