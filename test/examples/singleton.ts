import { setTimeout as sleep } from 'node:timers/promises';
import { Descriptor } from 'pip-services4-components-node';
import type { IOpenable, IReferenceable, IReferences } from 'pip-services4-components-node';
import type { LockContext, RedisLock } from '../../src';

/** A scheduler that is in every instance of a service, and works in one of them. */
export class Scheduler implements IReferenceable, IOpenable {
    private _lock: RedisLock | undefined;
    private _stop = new AbortController();
    private _leading: Promise<void> | undefined;

    /**
     * @param _tick  what the leader does again and again; hands the fence to what it writes to.
     * @param _pause between two ticks, ms.
     */
    constructor(
        private readonly _tick: (fence: number) => Promise<void>,
        private readonly _pause = 1000,
    ) {}

    setReferences(references: IReferences): void {
        this._lock = references.getOneRequired<RedisLock>(new Descriptor('*', 'lock', '*', '*', '1.0'));
    }

    isOpen(): boolean {
        return this._leading !== undefined;
    }

    /** Stands in line. The service does not wait for that. */
    open(context: LockContext): Promise<void> {
        this._stop = new AbortController();
        this._leading = this._lead(context);
        return Promise.resolve();
    }

    /** Lets the present tick end, and resigns. */
    async close(): Promise<void> {
        this._stop.abort();
        await this._leading;
        this._leading = undefined;
    }

    private async _lead(context: LockContext): Promise<void> {
        const { signal } = this._stop;
        try {
            await this._lock?.lead(context, 'scheduler', { ttl: 10_000, signal }, async (lease) => {
                while (!lease.signal.aborted) {
                    await this._tick(lease.fence);
                    await sleep(this._pause, undefined, { signal: lease.signal });
                }
            });
        } catch (error) {
            // LOCK_ABORTED. Anything else ends the process: what starts it again sees why.
            if (!signal.aborted) throw error;
        }
    }
}
