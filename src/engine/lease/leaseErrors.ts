import { LockError } from '../port/errors';
import type { Lease } from './Lease';
import type { LeaseEnd } from './LeaseKeeper';

/** A lease that is needed, and is not held. */
type EndedLease = Pick<Lease, 'key' | 'keys' | 'holder'>;

/** What a caller that needs the lease is told of its end. */
export function errorOf(end: LeaseEnd, lease: EndedLease): LockError {
    const { key, holder } = lease;
    switch (end.kind) {
        case 'lost':
            return end.error;
        case 'closed':
            return new LockError('CLOSED', `The lock was closed while ${key} was held.`, { key, holder });
        case 'released':
        case 'handed over':
            return lost(lease, `was ${end.kind}`);
    }
}

/** @param cause why its last renewal failed, if it did. */
export function lost({ key, keys, holder }: EndedLease, how: string, cause?: LockError): LockError {
    const why = cause === undefined ? '' : ` Its last renewal failed: ${cause.message}`;
    return new LockError('LOCK_LOST', `The lease ${how}: ${keys.join(', ')}.${why}`, { key, holder, cause });
}
