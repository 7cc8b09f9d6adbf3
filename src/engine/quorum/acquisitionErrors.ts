import { LockError } from '../port/errors';
import { nameOf } from '../port/holder';

/** Which acquisition it is. */
interface Named {
    readonly key: string;
    readonly id: string;
}

export function detailsOf({ key, id }: Named): { readonly key: string; readonly holder: string } {
    return { key, holder: nameOf(id) };
}

/** Its caller has left. */
export function givenUp(acquisition: Named): LockError {
    const text = `The acquisition of ${acquisition.key} was given up.`;
    return new LockError('LOCK_ABORTED', text, detailsOf(acquisition));
}

/** The nodes have voted for it, and the votes have run out. */
export function tooSlow(acquisition: Named, ttl: number): LockError {
    const text = `The nodes took longer to answer than the lease of ${acquisition.key} would have lasted (ttl ${ttl}).`;
    return new LockError('NO_QUORUM', text, { ...detailsOf(acquisition), unknown: true });
}
