import type { Lease } from '../lease/Lease';
import { LockError } from '../port/errors';

/**
 * Runs `work` while holding a lease, and releases it on every path. @see Locker.withLock
 */
export async function holding<T>(lease: Lease, work: (lease: Lease) => Promise<T>): Promise<T> {
    let result: T;
    try {
        lease.assertHeld();
        result = await work(lease);
    } catch (error) {
        // Cleanup never replaces the first error.
        await lease.release().catch(() => false);
        throw error;
    }
    // Lost, or released because the lock was closed: the work went on without the lock. It may have released the lease itself, too.
    const isEnded = !lease.isHeld();
    // Where the release failed it is unknown, and the observer was told: before its deadline the lease was ours.
    const wasOurs = await lease.release().catch(() => !isEnded);
    const { key, holder, signal } = lease;
    if (isEnded) signal.throwIfAborted();
    if (wasOurs) return result;
    const text = `The lease of ${key} was taken or deleted before it was released.`;
    throw new LockError('LOCK_LOST', text, { key, holder });
}
