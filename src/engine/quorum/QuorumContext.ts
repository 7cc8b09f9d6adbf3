import { LockError, isTemporary } from '../port/errors';
import type { LockErrorDetails } from '../port/errors';
import type { Answers } from './awaitVotes';
import { FenceHint } from './FenceHint';
import type { NodeSet } from './NodeSet';
import { Renewals } from './Renewals';
import { Undelivered } from './Undelivered';
import type { Vote } from './votes';

/** What everything that a quorum is asked for has in common. */
export class QuorumContext {
    readonly hint = new FenceHint();
    readonly renewals = new Renewals();
    readonly undelivered: Undelivered;
    private _isClosed = false;
    private _attempts = 0;

    constructor(readonly nodes: NodeSet) {
        this.undelivered = new Undelivered(nodes);
    }

    /** The number of the next attempt: nodes tell a later one by its greater number. */
    nextAttempt(): number {
        this._attempts += 1;
        return this._attempts;
    }

    /** BAD_TTL: a node that was restarted would vote before such a lease is over. */
    wrongTtl(ttl: number, details: LockErrorDetails): LockError | undefined {
        const { longestTtl } = this.nodes;
        if (ttl <= longestTtl) return undefined;
        const text = `With a quorum no ttl is longer than options.ttl: ${longestTtl}, not ${ttl}.`;
        return new LockError('BAD_TTL', text, details);
    }

    close(): void {
        this._isClosed = true;
        this.undelivered.close();
    }

    /** Undefined: it is open. */
    closed(details: LockErrorDetails): LockError | undefined {
        return this._isClosed ? new LockError('CLOSED', 'The lock was closed.', details) : undefined;
    }

    /** Why too few nodes answered. What is wrong with the key, or with our rights, is more than a node that is away. */
    tooFew(
        what: string,
        answers: readonly (Vote | undefined)[] | Answers<unknown>,
        details: LockErrorDetails,
    ): LockError {
        for (const answer of answers) {
            const error = isVote(answer) && answer.kind === 'unknown' ? answer.error : answer;
            if (error instanceof LockError && !isTemporary(error)) return error;
        }
        return this.noQuorum(what, answers, details);
    }

    /** The error that says what each node answered. */
    noQuorum(
        what: string,
        answers: readonly (Vote | undefined)[] | Answers<unknown>,
        details: LockErrorDetails,
    ): LockError {
        const closed = this.closed(details);
        if (closed !== undefined) return closed;
        const votes = answers.map((answer, at) => `node ${at + 1}: ${format(answer)}`);
        const text = votes.length === 0 ? `${what}: none is connected.` : `${what}: ${votes.join('; ')}.`;
        return new LockError('NO_QUORUM', text, { ...details, votes });
    }
}

/** What a node answered, in words. */
function format(answer: unknown): string {
    if (answer === undefined) return 'did not answer in time';
    if (answer instanceof Error) return sentence(answer);
    if (answer === false) return 'does not have the key any more';
    if (!isVote(answer)) return 'answered';
    switch (answer.kind) {
        case 'yes':
            return 'granted';
        case 'no':
            return 'is held by another';
        case 'unknown':
            return sentence(answer.error);
    }
}

function sentence({ message }: Error): string {
    return message.replace(/\.$/, '');
}

function isVote(answer: unknown): answer is Vote {
    if (typeof answer !== 'object' || answer === null || !('kind' in answer)) return false;
    return answer.kind === 'yes' || answer.kind === 'no' || answer.kind === 'unknown';
}
