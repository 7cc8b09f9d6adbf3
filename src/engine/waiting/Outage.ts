import type { LockError } from '../port/errors';
import type { LockEvent } from '../port/LockObserver';
import { HEARTBEAT } from '../port/protocol';

/** Failures that are further apart than this belong to different outages, ms. No waiter pauses for as long. */
const APART = HEARTBEAT;

/** Tells once that the store serves nobody for now, however many waiters notice it. */
export class Outage {
    private _failedAt = -Infinity;

    constructor(private readonly _tell: (event: LockEvent) => void) {}

    /** An attempt has failed that will be made again. */
    failed(error: LockError, now: number): void {
        if (now - this._failedAt > APART) {
            this._tell({
                kind: 'warning',
                message: `Locks cannot be had for now; waiting callers retry: ${error.message}`,
            });
        }
        this.known(now);
    }

    /** It was told already. */
    known(now: number): void {
        this._failedAt = now;
    }
}
