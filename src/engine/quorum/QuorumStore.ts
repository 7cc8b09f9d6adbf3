import { SystemClock } from '../time/Clock';
import type { Clock } from '../time/Clock';
import { LockError, isTemporary } from '../port/errors';
import type { LockErrorDetails } from '../port/errors';
import { answerWith, promised, renewEach } from '../port/LockStore';
import type {
    AcquireAnswer,
    AcquireRequest,
    Asker,
    Busy,
    Granted,
    LockInfo,
    LockStore,
    ReleaseAnswer,
    ReleaseRequest,
    Renewal,
    RenewAnswer,
    StoreListener,
} from '../port/LockStore';
import { AWAY, NodeSet } from './NodeSet';
import type { QuorumNode } from './NodeSet';
import { doneOf, awaitVotes, settled } from './awaitVotes';
import type { Answers, Settled } from './awaitVotes';
import { deadlineOfVotes, fenceOf, verdictOf } from './votes';
import type { Vote } from './votes';

export interface QuorumStoreOptions {
    /** How long a node may take to answer, ms; default 5 % of the ttl, 50 ms at least. */
    readonly nodeTimeout?: number | undefined;
    /** No lease is longer, ms: for so long a node that was restarted does not vote. */
    readonly longestTtl: number;
}

/** What a node still has to be told. */
interface Owed {
    readonly key: string;
    readonly holder: string;
    readonly id: string;
}

type Outcome =
    | { readonly kind: 'done'; readonly answer: AcquireAnswer }
    /** Others have votes that are needed. */
    | { readonly kind: 'contended'; readonly busy: Busy };

/** What a node says to an attempt; undefined: nothing in time. */
type Answered = Exclude<Vote, { kind: 'no' }> | { readonly kind: 'no'; readonly busy: Busy };

/** So much is remembered of what a node that is away has to be told. */
const MOST_DEBTS = 10_000;

/** Nodes that are slower to open by so many ms are not waited for. */
const MOMENT = 500;

/** Between two attempts of one whose turn it is, ms: a release and a grant may just cross each other. */
const SHORTEST_PAUSE = 2;
const LONGEST_PAUSE = 40;

/** One whose turn it is, and who cannot get a quorum, lets the next in line try after so many ms, and asks again then. */
const PATIENCE = 500;
const FIRST_PATIENCE = 50;
const AGAIN = 100;

/** So many keys are asked for at once. */
const TOGETHER = 100;

/**
 * Locks on several independent nodes, of which most must agree: Redlock ("Distributed Locks with Redis"), with an answer to
 * what it leaves open. All nodes are asked in parallel, each for a limited time, and the answer is given as soon as it is
 * decided. The first node that is healthy leads: its lock is a vote, and the turnstile at which waiters stand in line.
 * A lease lasts as long as a quorum has it. Its fencing token is the greatest that a quorum gave, and a quorum has it before
 * the lease is used (votes.ts says why).
 */
export class QuorumStore implements LockStore {
    // What one node says about a grant is not enough to rely on.
    readonly confirmsGrants = true;
    private readonly _nodes: NodeSet;
    private _listener: StoreListener | undefined;
    /** The nodes at which those stand in line who wait. */
    private readonly _lines = new Map<string, QuorumNode>();
    /** Acquisitions that are being asked for, and those of them that were given up meanwhile. */
    private readonly _asking = new Set<string>();
    private readonly _left = new Set<string>();
    private readonly _debts = new Map<QuorumNode, (Owed & { readonly until: number })[]>();
    private _attempts = 0;
    /** It was told that no quorum is there. */
    private _down = false;
    private _closed = false;

    /** @param nodes in the order in which they lead, the same for everybody. */
    constructor(
        nodes: readonly QuorumNode[],
        private readonly _options: QuorumStoreOptions,
        private readonly _clock: Clock = new SystemClock(),
    ) {
        // When another node leads, those who wait have to stand in line there.
        this._nodes = new NodeSet(nodes, _options.nodeTimeout, _clock, () => this._listener?.reconnected());
    }

    get wakes(): boolean {
        return this._nodes.lead?.wakes ?? true;
    }

    /** Settles when a quorum is ready, and the others had a moment to be it too: they may come later. */
    async open(listener: StoreListener): Promise<void> {
        this._listener = listener;
        const opening = this._nodes.all.map((node) => settled(node.open(this._listenerFor(node))));
        await awaitVotes(this._clock, opening, Infinity, (so) => doneOf(so).length >= this._nodes.quorum);
        const answers = await awaitVotes(
            this._clock,
            opening,
            Math.min(this._nodes.timeout(this._options.longestTtl), MOMENT),
        );
        this._nodes.look();
        // What is wrong with the configuration of one node is not made good by the others.
        const wrong = answers.find((one) => one?.kind === 'failed' && !isTemporary(one.error));
        if (wrong === undefined && doneOf(answers).length >= this._nodes.quorum) return;
        const error =
            wrong?.kind === 'failed' ? wrong.error : this._noQuorum('Too few nodes can be reached', answers, {});
        await this.close();
        throw error;
    }

    async close(): Promise<void> {
        this._closed = true;
        await Promise.all(this._nodes.all.map((node) => node.close()));
    }

    acquire(request: AcquireRequest, asker: Asker<AcquireAnswer>): void {
        answerWith(this._acquire(request), request, asker);
    }

    async renew(key: string, holder: string, ttl: number): Promise<RenewAnswer> {
        this._checkTtl(key, holder, ttl);
        const answers = await this._nodes.ask(
            this._nodes.all,
            (node) => node.renew(key, holder, ttl),
            this._nodes.timeout(ttl),
            // Those that may have lost their vote are waited for: it is asked for again.
            (so) => {
                const verdict = verdictOf(so.map(voteOfRenewal));
                return (
                    verdict === 'lost' || (verdict === 'won' && this._nodes.allHealthy((at) => so[at] !== undefined))
                );
            },
        );
        const votes = answers.map(voteOfRenewal);
        if (verdictOf(votes) === 'won') {
            votes.forEach((vote, at) => {
                if (vote === undefined) this._nodes.mark(this._nodes.all[at]);
            });
            await this._heal(key, holder, ttl, votes);
            return { kind: 'renewed', deadline: deadlineOfVotes(votes) };
        }
        if (votes.filter((vote) => vote?.kind === 'no').length > this._nodes.all.length - this._nodes.quorum)
            return { kind: 'gone' };
        throw this._noQuorum(`It is unknown whether ${key} was renewed`, answers, { key, holder, unknown: true });
    }

    renewAll(renewals: readonly Renewal[]): void {
        renewEach(this, renewals);
    }

    release(request: ReleaseRequest, asker: Asker<ReleaseAnswer>): void {
        answerWith(this._release(request), request, asker);
    }

    async giveUp(key: string, holder: string, id: string, underWay: boolean): Promise<ReleaseAnswer> {
        this._lines.delete(id);
        if (this._asking.has(id)) this._left.add(id);
        const at = this._nodes.all.findIndex((node) => node === this._nodes.lead);
        const answers = await this._giveBack(
            { key, holder, id },
            (node) => node.giveUp(key, holder, id, underWay),
            (so) => so[at] !== undefined && doneOf(so).length >= this._nodes.quorum,
        );
        const given = doneOf(answers);
        if (given.length >= this._nodes.quorum) return given.find((one) => one !== 'gone') ?? 'gone';
        throw this._noQuorum(`It is unknown whether ${key} was given up`, answers, { key, holder, unknown: true });
    }

    async handOn(key: string): Promise<void> {
        const { lead } = this._nodes;
        if (lead === undefined) throw this._noQuorum(`No node can be asked for ${key}`, [], { key });
        await lead.handOn(key);
    }

    /** Who has the key at a quorum of nodes; who stands in line at the node that leads. */
    async inspect(key: string): Promise<LockInfo> {
        const { lead } = this._nodes;
        const at = this._nodes.all.findIndex((node) => node === lead);
        const answers = await this._nodes.ask(
            this._nodes.all,
            (node) => node.inspect(key),
            this._nodes.timeout(this._options.longestTtl),
            (so) => so[at] !== undefined && agreeing(doneOf(so), this._nodes.quorum).length > 0,
        );
        const infos = doneOf(answers);
        if (infos.length < this._nodes.quorum) throw this._noQuorum(`It is unknown who has ${key}`, answers, { key });
        const led = answers[at];
        const waiters = led?.kind === 'done' ? led.value.waiters : [];
        const same = agreeing(infos, this._nodes.quorum);
        const remaining = same.map((one) => one.remaining).sort((a, b) => b - a)[this._nodes.quorum - 1] ?? 0;
        const fence = Math.max(...same.map((one) => one.fence ?? 0));
        return {
            key,
            holder: same[0]?.holder,
            remaining,
            fence: fence > 0 ? fence : undefined,
            held: undefined,
            waiters,
        };
    }

    /** What a quorum has is known to some of any quorum of nodes; who waits, to the one that leads. */
    async *list(pattern: string): AsyncIterable<LockInfo> {
        const { lead } = this._nodes;
        const at = this._nodes.all.findIndex((node) => node === lead);
        const answers = await this._nodes.ask(
            this._nodes.all,
            (node) => keysOf(node, pattern),
            Infinity,
            (so) => so[at] !== undefined && doneOf(so).length >= this._nodes.quorum,
        );
        const wrong = answers.find((one) => one?.kind === 'failed' && !isTemporary(one.error));
        if (wrong?.kind === 'failed') throw wrong.error;
        if (doneOf(answers).length < this._nodes.quorum) {
            throw this._noQuorum(`It is unknown which locks ${pattern} are held`, answers, {});
        }
        const keys = [...new Set(doneOf(answers).flat())];
        while (keys.length > 0) {
            const infos = await Promise.all(keys.splice(0, TOGETHER).map((key) => this.inspect(key)));
            for (const info of infos) if (info.holder !== undefined) yield info;
        }
    }

    async watch(key: string, holder: string): Promise<boolean> {
        return (await this._nodes.lead?.watch(key, holder)) ?? false;
    }

    private async _acquire(request: AcquireRequest): Promise<AcquireAnswer> {
        const { key, holder, id, ttl, ticket } = request;
        this._checkTtl(key, holder, ttl);
        // Whoever has not stood in line yet is not kept from that for long.
        const patience = ticket !== undefined && ticket > 0 ? PATIENCE : FIRST_PATIENCE;
        const until = this._clock.now() + Math.min(patience, ttl / 3);
        this._asking.add(id);
        try {
            for (let pause = SHORTEST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
                this._attempts += 1;
                const attempt = `${id}#${this._attempts}`;
                const outcome = await this._attempt(request, attempt);
                if (outcome.kind === 'done') return outcome.answer;
                const { busy } = outcome;
                if (this._clock.now() >= until) {
                    await this._undo(request, attempt, this._nodes.all);
                    return { ...busy, ticket: ticket ?? 0, rank: 0, remaining: Math.min(busy.remaining, AGAIN) };
                }
                await new Promise<void>((resolve) => this._clock.timer(pause * (0.5 + Math.random()), resolve));
            }
        } finally {
            this._asking.delete(id);
            if (this._left.delete(id)) this._lines.delete(id);
        }
    }

    private async _release({ key, holder }: ReleaseRequest): Promise<ReleaseAnswer> {
        const decided = (so: Answers<ReleaseAnswer>): boolean => decidedOf(so, this._nodes.quorum);
        const owed = { key, holder, id: holder };
        const answers = await this._giveBack(
            owed,
            (node) => promised((asker) => node.release({ key, holder }, asker)),
            decided,
        );
        const given = doneOf(answers);
        const ours = given.filter((one) => one !== 'gone');
        if (ours.length >= this._nodes.quorum) return ours.includes('released') ? 'released' : 'already';
        if (given.length - ours.length > this._nodes.all.length - this._nodes.quorum) return 'gone';
        throw this._noQuorum(`It is unknown whether ${key} was released`, answers, { key, holder, unknown: true });
    }

    /** @throws LockError BAD_TTL: a node that was restarted would vote before such a lease is over. */
    private _checkTtl(key: string, holder: string, ttl: number): void {
        const { longestTtl } = this._options;
        if (ttl <= longestTtl) return;
        const text = `With a quorum no ttl is longer than options.ttl: ${longestTtl}, not ${ttl}.`;
        throw new LockError('BAD_TTL', text, { key, holder });
    }

    /** @param attempt its id at the nodes. */
    private async _attempt(request: AcquireRequest, attempt: string): Promise<Outcome> {
        const { key, holder, id, ttl, ticket } = request;
        const { lead } = this._nodes;
        if (lead === undefined) throw this._noQuorum(`No node can be asked for ${key}`, [], { key, holder });
        this._move(request, lead);
        if (ticket !== undefined) this._lines.set(id, lead);
        const within = this._nodes.timeout(ttl);
        const sentAt = this._clock.now();
        const first = this._vote(lead, { ...request, id: attempt });
        if (ticket !== undefined && ticket > 0) {
            // In line, the others are asked when it is our turn: before, that would only hinder the one whose turn it is.
            const [vote] = await awaitVotes(this._clock, [first], within);
            if (vote?.kind === 'no') return { kind: 'done', answer: { ...vote.busy, sentAt } };
        }
        const at = this._nodes.all.indexOf(lead);
        const follow = { ...request, id: attempt, ticket: undefined };
        const votes = await awaitVotes(
            this._clock,
            this._nodes.all.map((node) => (node === lead ? first : this._vote(node, follow))),
            within,
            (so) => so[at]?.kind === 'no' || (so[at] !== undefined && verdictOf(so) !== 'open'),
        );
        if (votes[at] === undefined) this._nodes.mark(lead);
        const led = votes[at];
        if (led?.kind === 'no') {
            void this._undo(
                request,
                attempt,
                this._nodes.all.filter((node) => node !== lead),
            );
            return { kind: 'done', answer: { ...led.busy, sentAt } };
        }
        if (verdictOf(votes) === 'won') return { kind: 'done', answer: await this._won(request, attempt, votes) };
        return this._lost(request, attempt, votes, lead);
    }

    /** Leaves the line at the node that led before. */
    private _move(request: AcquireRequest, lead: QuorumNode): void {
        const before = this._lines.get(request.id);
        if (before === undefined || before === lead) return;
        this._lines.delete(request.id);
        void this._undo(request, request.id, [before]);
    }

    /** Asks one node; never rejects. */
    private _vote(node: QuorumNode, request: AcquireRequest): Promise<Answered> {
        if (!node.isReady) return Promise.resolve({ kind: 'unknown', error: AWAY });
        const since = this._clock.now();
        return new Promise((resolve) => {
            const answered = (answer: AcquireAnswer | LockError): void => {
                if (answer instanceof Error) {
                    resolve({ kind: 'unknown', error: answer });
                    return;
                }
                if (this._clock.now() - since <= this._nodes.timeout(request.ttl)) this._nodes.unmark(node);
                const { kind } = answer;
                if (kind === 'granted') resolve({ kind: 'yes', fence: answer.fence, deadline: answer.deadline });
                else resolve({ kind: 'no', busy: answer });
            };
            node.acquire(request, { answered });
        });
    }

    /** The lease may be used when a quorum has its fence, and if there is time left. */
    private async _won(
        request: AcquireRequest,
        attempt: string,
        votes: readonly (Answered | undefined)[],
    ): Promise<Granted> {
        const { key, holder, id, ttl } = request;
        const { fence, behind } = fenceOf(votes);
        const deadline = deadlineOfVotes(votes);
        const having = votes.filter((vote) => vote?.kind === 'yes').length - behind.length;
        const missing = this._nodes.quorum - having;
        const raised = await this._nodes.ask(
            behind.flatMap((at) => this._nodes.all[at] ?? []),
            (node) => node.raise(key, holder, fence),
            this._nodes.timeout(ttl),
            (so) => doneOf(so).filter(Boolean).length >= missing,
        );
        if (doneOf(raised).filter(Boolean).length < missing) {
            await this._undo(request, attempt, this._nodes.all);
            const text = `The fencing token of ${key} could not be stored`;
            throw this._noQuorum(text, raised, { key, holder, unknown: true });
        }
        if (deadline <= this._clock.now()) {
            await this._undo(request, attempt, this._nodes.all);
            const text = `The nodes took longer to answer than the lease of ${key} would have lasted (ttl ${ttl}).`;
            throw new LockError('NO_QUORUM', text, { key, holder, unknown: true });
        }
        this._lines.delete(id);
        return { kind: 'granted', fence, deadline };
    }

    /** Gives the votes back; but for that of the lead, which keeps our turn where others only have to let go. */
    private async _lost(
        request: AcquireRequest,
        attempt: string,
        votes: readonly (Answered | undefined)[],
        lead: QuorumNode,
    ): Promise<Outcome> {
        const { key, holder } = request;
        const refusal = votes.find((vote) => vote?.kind === 'no');
        const answered = votes.filter((vote) => vote !== undefined && vote.kind !== 'unknown').length;
        if (answered < this._nodes.quorum || refusal === undefined) {
            await this._undo(request, attempt, this._nodes.all);
            // What is wrong with the key, or with our rights, is more than a node that is away.
            const wrong = votes.find((vote) => vote?.kind === 'unknown' && !isTemporary(vote.error));
            if (wrong?.kind === 'unknown') throw wrong.error;
            throw this._noQuorum(`Too few nodes answered for ${key}`, votes, { key, holder, unknown: true });
        }
        const others = this._nodes.all.filter((node, at) => node !== lead && votes[at]?.kind !== 'no');
        await this._undo(request, attempt, others);
        return { kind: 'contended', busy: refusal.busy };
    }

    /** Takes back what an attempt got, but nothing of what a later one gets, however late it arrives. */
    private async _undo({ key, holder, ttl }: AcquireRequest, id: string, nodes: readonly QuorumNode[]): Promise<void> {
        await this._nodes.ask(nodes, (node) => node.giveUp(key, holder, id, false), this._nodes.timeout(ttl));
    }

    /** The turnstile comes last: whomever it lets in finds the other nodes free. */
    private async _giveBack(
        owed: Owed,
        give: (node: QuorumNode) => Promise<ReleaseAnswer>,
        decided: (so: Answers<ReleaseAnswer>) => boolean,
    ): Promise<Answers<ReleaseAnswer>> {
        const { lead } = this._nodes;
        const within = this._nodes.timeout(this._options.longestTtl);
        const others = this._nodes.all.map((node) => (node === lead ? undefined : this._nodes.one(node, give)));
        const known = others.flatMap((one) => one ?? []);
        await awaitVotes(this._clock, known, within, (so) => doneOf(so).length >= this._nodes.quorum - 1);
        const asked = this._nodes.all.map((node, at) => others[at] ?? this._nodes.one(node, give));
        asked.forEach((one, at) => {
            void one.then((answer) => {
                if (answer.kind === 'failed' && isTemporary(answer.error)) this._owe(this._nodes.all[at], owed);
            });
        });
        const at = this._nodes.all.findIndex((node) => node === lead);
        const led = asked[at];
        if (lead !== undefined && led !== undefined) {
            void awaitVotes(this._clock, [led], within).then(([answer]) => {
                if (answer === undefined) this._nodes.mark(lead);
            });
        }
        return awaitVotes(this._clock, asked, within, decided);
    }

    /** Gives up later, at a node that could not be told: what it still has would keep others out until it runs out. */
    private _owe(node: QuorumNode | undefined, owed: Owed): void {
        if (node === undefined || this._closed) return;
        const now = this._clock.now();
        const debts = (this._debts.get(node) ?? []).filter(({ until }) => until > now);
        this._debts.set(node, [...debts.slice(1 - MOST_DEBTS), { ...owed, until: now + this._options.longestTtl }]);
    }

    private _pay(node: QuorumNode): void {
        const debts = this._debts.get(node) ?? [];
        this._debts.delete(node);
        for (const { key, holder, id, until } of debts) {
            if (until > this._clock.now()) void this._nodes.one(node, (one) => one.giveUp(key, holder, id, true));
        }
    }

    /** Votes that a node has lost, by a restart say, are asked for again: or the next node that fails would cost the lease. */
    private async _heal(key: string, holder: string, ttl: number, votes: readonly (Vote | undefined)[]): Promise<void> {
        const gone = this._nodes.all.filter((_, at) => votes[at]?.kind === 'no');
        const request = { key, holder, id: holder, ttl, ticket: undefined };
        const ask = (node: QuorumNode): Promise<AcquireAnswer> => promised((asker) => node.acquire(request, asker));
        await this._nodes.ask(gone, ask, this._nodes.timeout(ttl));
    }

    private _listenerFor(node: QuorumNode): StoreListener {
        const listener = this._listener;
        return {
            granted: (key, id, fence) => listener?.granted(key, id, fence, 0),
            first: (key, id, remaining) => listener?.first(key, id, remaining),
            handedOn: (key, window) => {
                if (node === this._nodes.lead) listener?.handedOn(key, window);
            },
            changed: (key) => listener?.changed(key),
            reconnected: () => {
                this._pay(node);
                if (node === this._nodes.lead) listener?.reconnected();
                else this._nodes.look();
            },
            disconnected: (error) => {
                const { ready } = this._nodes;
                if (ready < this._nodes.quorum) {
                    this._down = true;
                    listener?.disconnected(error);
                } else
                    listener?.warned(
                        `One of ${this._nodes.all.length} nodes is away; ${ready} are there. ${error.message}`,
                    );
                this._nodes.look();
            },
            recovered: () => {
                const { all, quorum, ready } = this._nodes;
                const message = `One of ${all.length} nodes works again; ${ready} are there.`;
                if (!this._down) listener?.warned(message);
                else if (ready >= quorum) {
                    this._down = false;
                    listener?.recovered(message);
                }
            },
            warned: (message) => listener?.warned(message),
        };
    }

    private _noQuorum(
        what: string,
        answers: readonly (Vote | Settled<unknown> | undefined)[],
        details: LockErrorDetails,
    ): LockError {
        if (this._closed) return new LockError('CLOSED', 'The lock was closed.', details);
        const votes = answers.map((answer, at) => `node ${at + 1}: ${told(answer)}`);
        return new LockError('NO_QUORUM', `${what}: ${votes.join('; ')}.`, { ...details, votes });
    }
}

async function keysOf(node: QuorumNode, pattern: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of node.list(pattern)) keys.push(key);
    return keys;
}

/** Those that name the holder that a quorum names. */
function agreeing(infos: readonly LockInfo[], quorum: number): readonly LockInfo[] {
    return infos.filter(({ holder }) => infos.filter((one) => one.holder === holder).length >= quorum);
}

/** Whether so many have said the same that the others make no difference. */
function decidedOf(answers: Answers<ReleaseAnswer>, quorum: number): boolean {
    const given = doneOf(answers);
    const gone = given.filter((one) => one === 'gone').length;
    return given.length - gone >= quorum || gone > answers.length - quorum;
}

function voteOfRenewal(answer: Settled<RenewAnswer> | undefined): Vote | undefined {
    if (answer === undefined) return undefined;
    if (answer.kind === 'failed') return { kind: 'unknown', error: answer.error };
    return answer.value.kind === 'renewed'
        ? { kind: 'yes', fence: 0, deadline: answer.value.deadline }
        : { kind: 'no' };
}

/** What a node answered, in words. */
function told(answer: Vote | Settled<unknown> | undefined): string {
    switch (answer?.kind) {
        case undefined:
            return 'did not answer in time';
        case 'yes':
            return 'granted';
        case 'no':
            return 'is held by another';
        case 'done':
            return 'answered';
        case 'unknown':
        case 'failed':
            return answer.error.message.replace(/\.$/, '');
    }
}
