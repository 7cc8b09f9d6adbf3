import { LockError } from '../port/errors';
import type { AcquireAnswer, Callback, LockStore } from '../port/LockStore';
import type { NodeListener, ReservingRequest } from '../port/ReservingRequest';

/**
 * One independent node: a store in which acquisitions and holders have the names of names.ts. Holders that are handed in stand
 * for every value that begins with them and `#`, or that they are, or whose attempt they are.
 */
export interface QuorumNode extends Omit<LockStore, 'open' | 'renewAll' | 'acquire' | 'confirmsGrants'> {
    /** Whether a command would be sent at once. */
    readonly isReady: boolean;
    open(listener: NodeListener): Promise<void>;
    acquire(request: ReservingRequest, callback: Callback<AcquireAnswer>): void;
    /** Writes the fence that the quorum decided, while that attempt has the key. @returns whether it has. */
    raise(key: string, attempt: string, fence: number): Promise<boolean>;
}

/** Why a node is not asked. */
export const AWAY = new LockError('CONNECTION_FAILED', 'It is not connected');
