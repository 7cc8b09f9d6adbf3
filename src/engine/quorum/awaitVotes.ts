import type { LockError } from '../port/errors';
import type { Callback } from '../port/LockStore';
import type { NodeSet, Waiting } from './NodeSet';
import { AWAY } from './QuorumNode';
import type { QuorumNode } from './QuorumNode';

/** What each node answered, in the order in which they were asked; undefined: nothing in time. */
export type Answers<Answer> = readonly (Answer | LockError | undefined)[];

/** Something that is asked of several nodes at once. */
export interface Question<Answer> {
    readonly of: readonly QuorumNode[];
    /** How long they may take, ms. */
    readonly within: number;
    /** Asks one of them. */
    readonly ask: (node: QuorumNode, callback: Callback<Answer>) => void;
    /** Whether the answers that are missing make no difference. Default: never. */
    readonly isDecided?: (answers: Answers<Answer>) => boolean;
    /** Is told of every node that answered, also after the decision. */
    readonly answered?: (node: QuorumNode, answer: Answer) => void;
    /** Is told of every node that failed, also after the decision. */
    readonly failed?: (node: QuorumNode, error: LockError) => void;
}

/** Asks several nodes: until it is decided, all have answered, or the time is over. */
export function awaitVotes<Answer>(nodes: NodeSet, question: Question<Answer>): Promise<Answers<Answer>> {
    return new Promise((resolve) => countVotes(nodes, question, resolve));
}

/** What {@link awaitVotes} does, told without a promise. */
export function countVotes<Answer>(
    nodes: NodeSet,
    question: Question<Answer>,
    decided: (answers: Answers<Answer>) => void,
): void {
    new Ballot(nodes, question, decided).begin();
}

/** The answers that were given, without those of nodes that failed. */
export function given<Answer>(answers: Answers<Answer>): Answer[] {
    const done: Answer[] = [];
    for (const answer of answers) if (answer !== undefined && !(answer instanceof Error)) done.push(answer);
    return done;
}

class Ballot<Answer> implements Waiting {
    place = -1;
    private readonly _answers: (Answer | LockError | undefined)[];
    private _missing: number;
    private _phase: 'asking' | 'open' | 'decided' = 'asking';
    private _isLate = false;

    constructor(
        private readonly _nodes: NodeSet,
        private readonly _question: Question<Answer>,
        private readonly _decided: (answers: Answers<Answer>) => void,
    ) {
        this._missing = _question.of.length;
        this._answers = Array.from({ length: this._missing });
    }

    begin(): void {
        const { ask, of, within } = this._question;
        const isAnyAsked = of.length === 0 || of.some((node) => node.isReady);
        of.forEach((node, at) => {
            if (node.isReady) ask(node, (answer) => this._heard(node, at, answer));
            else this._heard(node, at, AWAY);
        });
        if (this._missing > 0) this._nodes.limit(this, within);
        this._phase = 'open';
        if (isAnyAsked) this._count();
        // A caller that tries again at once must leave the event loop a turn, or no node comes back.
        else this._nodes.limit(this, 0);
    }

    overdue(): void {
        if (!this._isLate) {
            // Where the event loop was late, answers may have arrived that nobody has read yet: they come before a second timer.
            this._isLate = true;
            this._nodes.limit(this, 1);
            return;
        }
        this._question.of.forEach((node, at) => {
            if (this._answers[at] === undefined) this._nodes.markSlow(node);
        });
        if (this._phase === 'open') this._decide();
    }

    private _heard(node: QuorumNode, at: number, answer: Answer | LockError): void {
        this._missing -= 1;
        if (this._missing === 0) this._nodes.limit(this, undefined);
        if (answer instanceof Error) this._question.failed?.(node, answer);
        else {
            this._question.answered?.(node, answer);
            if (!this._isLate) this._nodes.unmarkSlow(node);
        }
        if (this._phase === 'decided') {
            this._answers[at] ??= answer;
            return;
        }
        this._answers[at] = answer;
        this._count();
    }

    private _count(): void {
        if (this._phase !== 'open') return;
        if (this._missing === 0 || this._question.isDecided?.(this._answers) === true) this._decide();
    }

    private _decide(): void {
        this._phase = 'decided';
        this._decided([...this._answers]);
    }
}
