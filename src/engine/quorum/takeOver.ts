import { LockError, asLockError } from '../port/errors';
import type { AcquireAnswer, AcquireRequest, Callback } from '../port/LockStore';
import type { StoredHolder } from './names';
import type { QuorumContext } from './QuorumContext';
import { inspect } from './reads';
import { renew } from './renew';

/** Acquires with the holder of a lease that was handed over: that holder is what it takes to get the lease. */
export function takeOver(
    context: QuorumContext,
    request: AcquireRequest,
    lease: StoredHolder,
    callback: Callback<AcquireAnswer>,
): void {
    const { key } = request;
    ask(context, request, lease).then(callback, (error: unknown) => callback(asLockError(error, key)));
}

async function ask(context: QuorumContext, request: AcquireRequest, lease: StoredHolder): Promise<AcquireAnswer> {
    const { key, share, ticket = 0, ttl } = request;
    const { attempt, fence } = lease;
    const own = attempt + String(fence);
    const sentAt = context.nodes.clock.now();
    const renewed = await renew(context, { key, holder: own, ttl, shared: share !== undefined });
    if (renewed.kind === 'renewed') {
        return { kind: 'granted', holder: own, fence, deadline: renewed.deadline, confirmed: true };
    }
    const { fence: present = 0, holder, remaining } = await inspect(context, key);
    if (holder === undefined) {
        throw new LockError('LOCK_LOST', `The lease of ${key} is over, which was handed over.`, { key, holder: own });
    }
    return { kind: 'busy', sentAt, remaining, fence: present, ticket, rank: 0, foreign: true, holder };
}
