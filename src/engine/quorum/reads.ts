import { asLockError, isTemporary } from '../port/errors';
import { byFence, holding } from '../port/LockStore';
import type { LockHolder, LockInfo } from '../port/LockStore';
import { awaitVotes, given } from './awaitVotes';
import { publicName, readStored } from './names';
import type { StoredHolder } from './names';
import type { QuorumContext } from './QuorumContext';
import type { QuorumNode } from './QuorumNode';

/** This many keys are read at a time. */
const PAGE = 100;

/** Who has the key at a quorum of nodes; who stands in line at the node that leads. */
export async function inspect(context: QuorumContext, key: string): Promise<LockInfo> {
    const { infos, led } = await infosOf(context, key);
    const { quorum } = context.nodes;
    const holders = agreeing(infos, quorum).map((same) => holderOf(same, quorum));
    const isShared = infos.filter(({ mode }) => mode === 'shared').length >= quorum;
    const waiters = led?.waiters ?? [];
    return {
        key,
        ...holding(holders.sort(byFence), isShared ? 'shared' : 'exclusive'),
        waiters: waiters.map((one) => ({ ...one, holder: publicName(one.holder) })),
    };
}

/** The lease of an owner that a quorum has stored; undefined: there is none. */
export async function leaseOf(context: QuorumContext, key: string, owner: string): Promise<StoredHolder | undefined> {
    const { infos } = await infosOf(context, key);
    const { quorum } = context.nodes;
    return agreeing(infos, quorum)
        .map((same) => agreed(same, quorum))
        .find((lease) => lease?.chosen === owner);
}

/** What a quorum has is known to some of any quorum of nodes; who waits, to the one that leads. */
export async function* list(context: QuorumContext, pattern: string): AsyncIterable<LockInfo> {
    const { nodes } = context;
    const { lead } = nodes;
    const at = nodes.all.findIndex((node) => node === lead);
    const answers = await awaitVotes<string[]>(nodes, {
        of: nodes.all,
        within: Infinity,
        ask: (node, callback) => {
            keysOf(node, pattern).then(callback, (error: unknown) => callback(asLockError(error, pattern)));
        },
        isDecided: (all) => all[at] !== undefined && given(all).length >= nodes.quorum,
    });
    const wrong = answers.find((answer) => answer instanceof Error && !isTemporary(answer));
    if (wrong instanceof Error) throw wrong;
    if (given(answers).length < nodes.quorum) {
        throw context.noQuorum(`It is unknown which locks ${pattern} are held`, answers, {});
    }
    const keys = [...new Set(given(answers).flat())];
    while (keys.length > 0) {
        const infos = await Promise.all(keys.splice(0, PAGE).map((key) => inspect(context, key)));
        for (const info of infos) if (info.holder !== undefined) yield info;
    }
}

/** What nodes say of a key, and what the one that leads says. */
async function infosOf(
    context: QuorumContext,
    key: string,
): Promise<{ readonly infos: readonly LockInfo[]; readonly led: LockInfo | undefined }> {
    const { nodes } = context;
    const { lead } = nodes;
    const at = nodes.all.findIndex((node) => node === lead);
    const answers = await awaitVotes<LockInfo>(nodes, {
        of: nodes.all,
        within: nodes.timeout(nodes.longestTtl),
        ask: (node, callback) => {
            node.inspect(key).then(callback, (error: unknown) => callback(asLockError(error, key)));
        },
        isDecided: (all) => all[at] !== undefined && isAgreed(given(all), nodes.quorum),
    });
    const infos = given(answers);
    if (infos.length < nodes.quorum) {
        throw context.tooFew(`It is unknown who has ${key}`, answers, { key });
    }
    const led = answers[at];
    return { infos, led: led instanceof Error ? undefined : led };
}

async function keysOf(node: QuorumNode, pattern: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of node.list(pattern)) keys.push(key);
    return keys;
}

/** What nodes say of each attempt, or foreign holder, that a quorum names. */
function agreeing(infos: readonly LockInfo[], quorum: number): (readonly LockHolder[])[] {
    const byName = new Map<string, LockHolder[]>();
    for (const { holders } of infos) {
        for (const one of holders) {
            const name = readStored(one.holder)?.attempt ?? one.holder;
            byName.set(name, [...(byName.get(name) ?? []), one]);
        }
    }
    return [...byName.values()].filter((same) => same.length >= quorum);
}

/** A holder, as long as a quorum has it. */
function holderOf(same: readonly LockHolder[], quorum: number): LockHolder {
    const stored = agreed(same, quorum);
    const holder = stored === undefined ? same[0]?.holder : (stored.chosen ?? stored.attempt + String(stored.fence));
    const remaining = same.map((one) => one.remaining).sort((a, b) => b - a)[quorum - 1] ?? 0;
    return { holder: holder ?? '', remaining, fence: stored?.fence, held: undefined, permits: 1 };
}

/** Whether a quorum says the same, fence and all. */
function isAgreed(infos: readonly LockInfo[], quorum: number): boolean {
    const said = infos.map(({ holders }) => holders.map(({ holder }) => holder).join('\n'));
    return said.some((one) => said.filter((other) => other === one).length >= quorum);
}

/** The lease that they all name, with the fence that a quorum has: one that voted too late may have a greater one. */
function agreed(same: readonly LockHolder[], quorum: number): StoredHolder | undefined {
    const all = same.flatMap(({ holder }) => readStored(holder) ?? []);
    const isOfQuorum = (fence: number): boolean => all.filter((one) => one.fence === fence).length >= quorum;
    return all.find(({ fence }) => isOfQuorum(fence)) ?? all.sort((a, b) => b.fence - a.fence)[0];
}
