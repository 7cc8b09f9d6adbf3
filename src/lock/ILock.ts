import type { LockContext } from '../connect/context';

/**
 * The lock of every pip-services component, structurally the same as `ILock` of pip-services4-logic-node. Times in ms.
 */
export interface ILock {
    /** Takes the key if it is free. @returns whether it is ours now. */
    tryAcquireLock(context: LockContext, key: string, ttl: number): Promise<boolean>;
    /** Waits for the key. @throws ConflictException LOCK_TIMEOUT when it was busy to the end. */
    acquireLock(context: LockContext, key: string, ttl: number, timeout: number): Promise<void>;
    /** Gives the key back. Resolves also when it is not ours. */
    releaseLock(context: LockContext, key: string): Promise<void>;
}
