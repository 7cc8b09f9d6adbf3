import { asLockError, isTemporary } from '../port/errors';
import type { Callback, GiveUpRequest, ReleaseAnswer, ReleaseRequest } from '../port/LockStore';
import { awaitVotes, countVotes, given } from './awaitVotes';
import type { Answers } from './awaitVotes';
import { nodeIdOf, readStored } from './names';
import type { QuorumContext } from './QuorumContext';
import type { QuorumNode } from './QuorumNode';

/**
 * Releases a lease: whatever attempt of its acquisition has the key at a node, for the acquisition is over.
 *
 * @param answered told of each node that has answered.
 */
export function release(
    context: QuorumContext,
    request: ReleaseRequest,
    answered: (node: QuorumNode, answer: ReleaseAnswer) => void,
    callback: Callback<ReleaseAnswer>,
): void {
    const { nodes, undelivered } = context;
    const { buried, holder, id, keptUntil, key, shared } = request;
    const name = readStored(holder)?.name;
    const lead = nodes.lead === undefined ? -1 : nodes.all.indexOf(nodes.lead);
    const buriedId = buried === undefined ? undefined : nodeIdOf(buried);
    const ownId = id === undefined ? undefined : nodeIdOf(id);
    const asked = { key, holder: name ?? holder, buried: buriedId, id: ownId, shared, keptUntil };
    const question = {
        of: nodes.all,
        within: nodes.timeout(nodes.longestTtl),
        ask: (node: QuorumNode, heard: Callback<ReleaseAnswer>) => node.release(asked, heard),
        answered,
        // The lead is waited for: a caller that is told of the release and asks at once would be refused there.
        isDecided: (answers: Answers<ReleaseAnswer>) =>
            (lead < 0 || answers[lead] !== undefined) && verdictOf(answers, nodes.quorum) !== undefined,
        failed: (node: QuorumNode, error: Error) => {
            // Where there is only something to bury, the key stays whose it is.
            if (holder === buried || !isTemporary(error)) return;
            // By a holder that the caller has chosen a later lease of it would be released, too: that release is refused when it arrives.
            const left = name === undefined ? (asked.buried ?? asked.id) : `${name}:`;
            if (left !== undefined) undelivered.keep(node, { key, id: left, underWay: true });
        },
    };
    countVotes<ReleaseAnswer>(nodes, question, (answers) => {
        const text = `It is unknown whether ${key} was released`;
        callback(verdictOf(answers, nodes.quorum) ?? context.noQuorum(text, answers, { key, holder, unknown: true }));
    });
}

export interface GiveUpOptions {
    /** The nodes that may know of it. Default: all. */
    readonly of?: readonly QuorumNode[] | undefined;
    /** Is told of each node that has answered. */
    readonly answered?: (node: QuorumNode, answer: ReleaseAnswer) => void;
}

/**
 * Gives up an acquisition.
 *
 * @param request its `id` as nodes see it.
 */
export async function giveUp(
    context: QuorumContext,
    request: GiveUpRequest,
    { of = context.nodes.all, answered }: GiveUpOptions = {},
): Promise<ReleaseAnswer> {
    const { nodes, undelivered } = context;
    const { key } = request;
    const { lead } = nodes;
    const enough = Math.min(nodes.quorum, of.length);
    const answers = await awaitVotes<ReleaseAnswer>(nodes, {
        of,
        within: nodes.timeout(nodes.longestTtl),
        ask: (node, callback) => {
            node.giveUp(request).then(callback, (error: unknown) => callback(asLockError(error, key)));
        },
        isDecided: (all) =>
            given(all).length >= enough && of.every((node, at) => node !== lead || all[at] !== undefined),
        answered: (node, answer) => answered?.(node, answer),
        failed: (node, error) => {
            if (isTemporary(error)) undelivered.keep(node, { ...request, underWay: true });
        },
    });
    const done = given(answers);
    if (done.length >= enough) return done.includes('released') ? 'released' : 'gone';
    throw context.noQuorum(`It is unknown whether ${key} was given up`, answers, { key, unknown: true });
}

/** Undefined: the answers that are missing make a difference. */
function verdictOf(answers: Answers<ReleaseAnswer>, quorum: number): ReleaseAnswer | undefined {
    let released = 0;
    let gone = 0;
    for (const answer of answers) {
        if (answer === 'released') released += 1;
        else if (answer === 'gone') gone += 1;
    }
    if (released >= quorum) return 'released';
    return gone > answers.length - quorum ? 'gone' : undefined;
}
