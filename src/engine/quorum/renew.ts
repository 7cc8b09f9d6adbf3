import { asLockError } from '../port/errors';
import type { LockError } from '../port/errors';
import { READER } from '../port/LockStore';
import type { AcquireAnswer, RenewAnswer, Renewal } from '../port/LockStore';
import { awaitVotes } from './awaitVotes';
import { readStored } from './names';
import type { StoredHolder } from './names';
import type { QuorumContext } from './QuorumContext';
import type { QuorumNode } from './QuorumNode';
import { leaseOf } from './reads';
import type { RenewalUnderWay } from './Renewals';
import { deadlineOfVotes, verdictOf } from './votes';
import type { Vote } from './votes';

/** Of which lease, and for how long. */
type Renewed = Pick<Renewal, 'key' | 'holder' | 'ttl' | 'shared'>;

/** @param holder the attempt, or the holder that the caller has chosen. */
type Ask = (node: QuorumNode, holder: string) => Promise<RenewAnswer>;

/** Renews a lease for which a quorum votes. */
export function renew(context: QuorumContext, renewed: Renewed): Promise<RenewAnswer> {
    const { key, shared, ttl } = renewed;
    return lengthen(context, renewed, (node, holder) => node.renew(key, holder, ttl, shared));
}

/** Makes a shared lease of an exclusive one for which a quorum votes. */
export function downgrade(context: QuorumContext, renewed: Renewed): Promise<RenewAnswer> {
    const { key, ttl } = renewed;
    return lengthen(context, { ...renewed, shared: true }, (node, holder) => node.downgrade(key, holder, ttl));
}

async function lengthen(context: QuorumContext, renewed: Renewed, ask: Ask): Promise<RenewAnswer> {
    const { key, holder, ttl } = renewed;
    const error = context.wrongTtl(ttl, { key, holder });
    if (error !== undefined) throw error;
    return context.renewals.run(key, holder, (underWay) => lengthenBy(ask, context, renewed, underWay));
}

async function lengthenBy(
    ask: Ask,
    context: QuorumContext,
    renewed: Renewed,
    underWay: RenewalUnderWay,
): Promise<RenewAnswer> {
    const { key, holder } = renewed;
    const { nodes } = context;
    const stored = readStored(holder);
    const votes = await votesFor(context, { ...renewed, holder: stored?.attempt ?? holder }, ask);
    const verdict = verdictOf(votes);
    if (verdict === 'won') {
        const gone = nodes.all.filter((_, at) => votes[at]?.kind === 'no');
        const lease = gone.length > 0 ? (stored ?? (await storedFor(context, renewed))) : undefined;
        if (lease !== undefined) await heal(context, { ...renewed, lease, underWay }, gone);
        return { kind: 'renewed', deadline: deadlineOfVotes(votes) };
    }
    if (votes.filter((vote) => vote?.kind === 'no').length > nodes.all.length - nodes.quorum) return { kind: 'gone' };
    const text = `It is unknown whether ${key} was renewed`;
    throw context.noQuorum(text, votes, { key, holder, unknown: true });
}

async function votesFor(
    { nodes }: QuorumContext,
    { holder, key, ttl }: Renewed,
    ask: Ask,
): Promise<(Vote | undefined)[]> {
    const answers = await awaitVotes<RenewAnswer>(nodes, {
        of: nodes.all,
        within: nodes.timeout(ttl),
        ask: (node, callback) => {
            ask(node, holder).then(callback, (error: unknown) => callback(asLockError(error, key, holder)));
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

/** What the nodes store for a holder that the caller has chosen; undefined: that cannot be told now. */
function storedFor(context: QuorumContext, { key, holder }: Renewed): Promise<StoredHolder | undefined> {
    return leaseOf(context, key, holder).catch(() => undefined);
}

interface Healed extends Renewed {
    readonly lease: StoredHolder;
    readonly underWay: RenewalUnderWay;
}

/** A vote that a node has lost, by a restart say, is asked for again: or the next node that fails would cost the lease. */
async function heal(context: QuorumContext, healed: Healed, gone: readonly QuorumNode[]): Promise<void> {
    const { nodes } = context;
    const { key, lease, shared, ttl, underWay } = healed;
    if (underWay.isOver) return;
    const { attempt, fence } = lease;
    const share = shared === true ? READER : undefined;
    await awaitVotes<boolean>(nodes, {
        of: gone,
        within: nodes.timeout(ttl),
        ask: (node, callback) => {
            const asked = (answer: AcquireAnswer | LockError): void => {
                if (answer instanceof Error) {
                    if (answer.unknown) takeBack(context, node, healed, true);
                    callback(answer);
                } else if (answer.kind === 'busy') callback(false);
                else if (underWay.isOver) {
                    takeBack(context, node, healed, false);
                    callback(false);
                } else {
                    node.raise(key, attempt, fence).then(callback, (error: unknown) =>
                        callback(asLockError(error, key)),
                    );
                }
            };
            node.acquire({ key, id: attempt, ttl, ticket: undefined, share }, asked);
        },
    });
}

/** Takes back a vote that comes too late: it would outlive the lease. @param mayArrive its request may still reach the node. */
function takeBack(
    { undelivered }: QuorumContext,
    node: QuorumNode,
    { key, lease: { attempt, name } }: Healed,
    mayArrive: boolean,
): void {
    undelivered.giveUp(node, { key, id: attempt, underWay: false });
    if (mayArrive) undelivered.giveUp(node, { key, id: `${name}:`, underWay: true });
}

/** Renews a lease of the same owner that another acquisition was granted. Undefined: it is gone, or that is unknown. */
export async function renewLease(
    context: QuorumContext,
    { attempt }: StoredHolder,
    { key, shared, ttl }: Omit<Renewed, 'holder'>,
): Promise<number | undefined> {
    const votes = await votesFor(context, { key, holder: attempt, ttl }, (node) =>
        node.renew(key, attempt, ttl, shared),
    );
    return verdictOf(votes) === 'won' ? deadlineOfVotes(votes) : undefined;
}
