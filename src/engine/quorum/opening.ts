import { LockError, asLockError, isTemporary } from '../port/errors';
import type { Timer } from '../time/Clock';
import type { NodeListener } from '../port/ReservingRequest';
import { given } from './awaitVotes';
import type { QuorumContext } from './QuorumContext';
import type { QuorumNode } from './QuorumNode';

/** Nodes that are slower by this are not waited for, ms. */
const MOMENT = 500;

/**
 * Opens the nodes. Settles when a quorum is ready, and the others had a moment to be it, too: they may come later.
 *
 * @param warned is told, once, when the quorum has to wait for nodes that were started a moment ago.
 * @throws what is wrong with the configuration of one node, which the others do not make good; NO_QUORUM.
 */
export async function openNodes(
    context: QuorumContext,
    listenerFor: (node: QuorumNode) => NodeListener,
    warned: (message: string) => void,
): Promise<void> {
    const answers = await new Opening(context, warned).open(listenerFor);
    const wrong = answers.find((answer) => answer instanceof Error && !isTemporary(answer));
    if (wrong instanceof Error) throw wrong;
    if (given(answers).length < context.nodes.quorum) {
        throw context.noQuorum('Too few nodes can be reached', answers, {});
    }
}

/** The opening of all nodes, and what they say meanwhile. */
class Opening {
    private readonly _answers: (true | LockError | undefined)[];
    /** When each node votes, as far as known. */
    private readonly _votesAt: number[];
    private readonly _since: number;
    private readonly _moment: number;
    private _judging: Timer | undefined;
    private _isTold = false;
    private _isSettled = false;
    private _settle: (error?: LockError) => void = () => undefined;

    constructor(
        private readonly _context: QuorumContext,
        private readonly _warned: (message: string) => void,
    ) {
        const { all, clock, longestTtl } = _context.nodes;
        this._moment = Math.min(_context.nodes.timeout(longestTtl), MOMENT);
        this._answers = all.map(() => undefined);
        this._votesAt = all.map(() => Infinity);
        this._since = clock.now();
    }

    open(listenerFor: (node: QuorumNode) => NodeListener): Promise<readonly (true | LockError | undefined)[]> {
        const { nodes } = this._context;
        return new Promise((resolve, reject) => {
            this._settle = (error) => {
                this._isSettled = true;
                this._judging?.cancel();
                if (error === undefined) resolve(this._answers);
                else reject(error);
            };
            nodes.all.forEach((node, at) => {
                const listener = { ...listenerFor(node), settling: (left: number) => this._settling(at, left) };
                node.open(listener).then(
                    () => this._count(at, true),
                    (error: unknown) => this._count(at, asLockError(error, '')),
                );
            });
        });
    }

    private _count(at: number, answer: true | LockError): void {
        const { nodes } = this._context;
        this._answers[at] = answer;
        if (answer === true) this._votesAt[at] = -Infinity;
        if (!this._answers.includes(undefined)) this._settle();
        else if (answer === true && given(this._answers).length === nodes.quorum) {
            nodes.clock.timer(this._moment, () => this._settle());
        }
    }

    private _settling(at: number, left: number): void {
        const { clock } = this._context.nodes;
        this._votesAt[at] = clock.now() + left;
        // Others may be about to say that they are ready.
        if (this._judging === undefined) this._judging = clock.timer(this._moment, () => this._judge());
    }

    /** Tells once when the quorum opens, if it has to wait for nodes that were started a moment ago. */
    private _judge(): void {
        this._judging = undefined;
        const { clock, longestTtl, openTimeout, quorum } = this._context.nodes;
        const now = clock.now();
        const opensAt = [...this._votesAt].sort((a, b) => a - b)[quorum - 1] ?? Infinity;
        if (this._isTold || this._isSettled || opensAt === Infinity || opensAt <= now) return;
        this._isTold = true;
        const fresh = this._votesAt.filter((votesAt) => votesAt > now && votesAt < Infinity).length;
        const text =
            `The quorum opens in ${seconds(opensAt - now)}: ${fresh} of ${this._votesAt.length} nodes were started ` +
            `a moment ago, and vote when they have run for options.ttl (${seconds(longestTtl)}).`;
        if (opensAt - this._since < openTimeout) this._warned(text);
        else this._settle(new LockError('NO_QUORUM', `${text} A greater options.connect_timeout waits for that.`));
    }
}

function seconds(time: number): string {
    return `${Math.ceil(time / 1000)} s`;
}
