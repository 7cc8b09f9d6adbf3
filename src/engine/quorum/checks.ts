import { LockError } from '../port/errors';
import { chosenHolder, nameOf } from '../port/holder';
import type { AcquireRequest } from '../port/LockStore';
import { handedOver } from './names';
import type { QuorumContext } from './QuorumContext';

/** What is wrong with a request, for a quorum: BAD_TTL, BAD_HOLDER, BAD_PARAMETER. */
export function wrongRequest(request: AcquireRequest, context: QuorumContext): LockError | undefined {
    const { id, key, ttl } = request;
    return context.wrongTtl(ttl, { key, holder: nameOf(id) }) ?? wrongHolder(request) ?? wrongLimit(request);
}

/** Nodes count permits, each for itself: different ones of them could admit different callers, more than the limit in all. */
function wrongLimit({ id, key, share }: AcquireRequest): LockError | undefined {
    if (share === undefined || share.limit === Infinity) return undefined;
    const text =
        `A quorum cannot keep a limit, as ${key} is to have: its nodes count permits independently of each other, and more ` +
        'would be out than the limit allows. Take one server for it, or a cluster.';
    return new LockError('BAD_PARAMETER', text, { key, holder: nameOf(id) });
}

/** `#` separates what the nodes store behind it. */
function wrongHolder({ id, key }: AcquireRequest): LockError | undefined {
    const holder = chosenHolder(id);
    if (holder === undefined || !holder.includes('#') || handedOver(id) !== undefined) return undefined;
    return new LockError('BAD_HOLDER', `With a quorum a holder must not contain #: ${holder}.`, { key, holder });
}
