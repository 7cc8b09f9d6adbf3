import { asLockError, isTemporary } from '../port/errors';
import type { LockError } from '../port/errors';
import type { StoreListener } from '../port/LockStore';
import { given } from './awaitVotes';
import type { QuorumContext } from './QuorumContext';
import type { QuorumNode } from './QuorumNode';

/** Nodes that are slower to open by so many ms are not waited for. */
const MOMENT = 500;

/**
 * Opens the nodes. Settles when a quorum is ready, and the others had a moment to be it, too: they may come later.
 *
 * @throws what is wrong with the configuration of one node, which the others do not make good; NO_QUORUM.
 */
export async function openNodes(
    context: QuorumContext,
    listenerFor: (node: QuorumNode) => StoreListener,
): Promise<void> {
    const { nodes } = context;
    const answers: (true | LockError | undefined)[] = nodes.all.map(() => undefined);
    await new Promise<void>((resolve) => {
        const count = (at: number, answer: true | LockError): void => {
            answers[at] = answer;
            if (!answers.includes(undefined)) resolve();
            else if (given(answers).length === nodes.quorum) {
                nodes.clock.timer(Math.min(nodes.timeout(nodes.longestTtl), MOMENT), resolve);
            }
        };
        nodes.all.forEach((node, at) => {
            node.open(listenerFor(node)).then(
                () => count(at, true),
                (error: unknown) => count(at, asLockError(error, '')),
            );
        });
    });
    const wrong = answers.find((answer) => answer instanceof Error && !isTemporary(answer));
    if (wrong instanceof Error) throw wrong;
    if (given(answers).length < nodes.quorum) throw context.noQuorum('Too few nodes can be reached', answers, {});
}
