import { asLockError } from '../port/errors';
import type { LockError } from '../port/errors';
import type { AcquireAnswer, RenewAnswer } from '../port/LockStore';
import { awaitVotes } from './awaitVotes';
import { readStored } from './names';
import type { StoredHolder } from './names';
import type { QuorumContext } from './QuorumContext';
import type { QuorumNode } from './QuorumNode';
import { leaseOf } from './reads';
import { deadlineOfVotes, verdictOf } from './votes';
import type { Vote } from './votes';

/** Renews a lease for which a quorum votes. */
export async function renew(context: QuorumContext, key: string, holder: string, ttl: number): Promise<RenewAnswer> {
    const error = context.wrongTtl(ttl, { key, holder });
    if (error !== undefined) throw error;
    const { nodes } = context;
    const stored = readStored(holder);
    const votes = await votesFor(context, key, stored?.attempt ?? holder, ttl);
    const verdict = verdictOf(votes);
    if (verdict === 'won') {
        const gone = nodes.all.filter((_, at) => votes[at]?.kind === 'no');
        if (gone.length > 0) await heal(context, key, stored, gone, ttl);
        return { kind: 'renewed', deadline: deadlineOfVotes(votes) };
    }
    if (votes.filter((vote) => vote?.kind === 'no').length > nodes.all.length - nodes.quorum) return { kind: 'gone' };
    const text = `It is unknown whether ${key} was renewed`;
    throw context.noQuorum(text, votes, { key, holder, unknown: true });
}

/** @param holder the attempt, or the holder that the caller has chosen. */
async function votesFor(
    context: QuorumContext,
    key: string,
    holder: string,
    ttl: number,
): Promise<(Vote | undefined)[]> {
    const { nodes } = context;
    const answers = await awaitVotes<RenewAnswer>(nodes, {
        of: nodes.all,
        within: nodes.timeout(ttl),
        ask: (node, callback) => {
            node.renew(key, holder, ttl).then(callback, (error: unknown) => callback(asLockError(error, key, holder)));
        },
        // Those that may have lost their vote are waited for: it is asked for again.
        isDecided: (all) => {
            const verdict = verdictOf(all.map(voteOf));
            if (verdict !== 'won') return verdict === 'lost';
            return nodes.all.every((node, at) => all[at] !== undefined || !nodes.isHealthy(node));
        },
    });
    return answers.map(voteOf);
}

function voteOf(answer: RenewAnswer | LockError | undefined): Vote | undefined {
    if (answer === undefined) return undefined;
    if (answer instanceof Error) return { kind: 'unknown', error: answer };
    return answer.kind === 'renewed' ? { kind: 'yes', fence: 0, deadline: answer.deadline } : { kind: 'no' };
}

/** A vote that a node has lost, by a restart say, is asked for again: or the next node that fails would cost the lease. */
async function heal(
    context: QuorumContext,
    key: string,
    stored: StoredHolder | undefined,
    gone: readonly QuorumNode[],
    ttl: number,
): Promise<void> {
    const { nodes } = context;
    const lease = stored ?? (await leaseOf(context, key).catch(() => undefined));
    if (lease === undefined) return;
    const { attempt, fence } = lease;
    await awaitVotes<boolean>(nodes, {
        of: gone,
        within: nodes.timeout(ttl),
        ask: (node, callback) => {
            const asked = (answer: AcquireAnswer | LockError): void => {
                if (answer instanceof Error) callback(answer);
                else if (answer.kind === 'busy') callback(false);
                else
                    node.raise(key, attempt, fence).then(callback, (error: unknown) =>
                        callback(asLockError(error, key)),
                    );
            };
            node.acquire({ key, id: attempt, ttl, ticket: undefined }, asked);
        },
    });
}

/** Renews a lease of the same owner that another acquisition was granted. Undefined: it is gone, or that is unknown. */
export async function renewLease(
    context: QuorumContext,
    key: string,
    { attempt }: StoredHolder,
    ttl: number,
): Promise<number | undefined> {
    const votes = await votesFor(context, key, attempt, ttl);
    return verdictOf(votes) === 'won' ? deadlineOfVotes(votes) : undefined;
}
