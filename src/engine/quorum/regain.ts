import { chosenHolder } from '../port/holder';
import type { Granted } from '../port/LockStore';
import type { Attempt } from './Attempt';
import { readStored } from './names';
import type { QuorumContext } from './QuorumContext';
import { leaseOf } from './reads';
import { renewLease } from './renew';

/*
 * A chosen holder is one owner: a caller that asks again for a key with it is granted the key again. Nodes tell acquisitions apart, so
 * the lease that a quorum has already is renewed.
 */

/** Whether an earlier acquisition of the owner has the key, as far as the lead knows. */
export function ownerHas(id: string, { led, votes }: Attempt): boolean {
    const chosen = chosenHolder(id);
    if (chosen === undefined) return false;
    const refusals = led?.kind === 'no' ? [led] : votes;
    return refusals.some((vote) => vote?.kind === 'no' && readStored(vote.busy.holder)?.chosen === chosen);
}

/** The lease of the owner, renewed. Undefined: no quorum has it, or that is unknown. */
export async function regain(context: QuorumContext, id: string, { options }: Attempt): Promise<Granted | undefined> {
    const { key, share, ttl } = options.request;
    const holder = chosenHolder(id);
    const lease = holder === undefined ? undefined : await leaseOf(context, key, holder);
    if (lease === undefined || holder === undefined) return undefined;
    const deadline = await renewLease(context, lease, { key, ttl, shared: share !== undefined });
    const { fence } = lease;
    return deadline === undefined ? undefined : { kind: 'granted', holder, fence, deadline, confirmed: true };
}
