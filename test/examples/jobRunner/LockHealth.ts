import { Descriptor } from 'pip-services4-components-node';
import type { IReferenceable, IReferences } from 'pip-services4-components-node';
import type { RedisLock } from '../../../src';
import type { PrometheusCounters } from './PrometheusCounters';

export interface Health {
    readonly open: boolean;
    /** Redis answers. */
    readonly reachable: boolean;
    /** Leases that this process has, and callers of it that wait for one. */
    readonly held: number;
    readonly waiting: number;
}

/** Tells whether the lock is well. */
export class LockHealth implements IReferenceable {
    private _lock: RedisLock | undefined;
    private _counters: PrometheusCounters | undefined;

    setReferences(references: IReferences): void {
        this._lock = references.getOneRequired<RedisLock>(new Descriptor('*', 'lock', '*', '*', '1.0'));
        const counters = new Descriptor('*', 'counters', 'prometheus', '*', '1.0');
        this._counters = references.getOneRequired<PrometheusCounters>(counters);
    }

    async check(): Promise<Health> {
        const open = this._lock?.isOpen() === true;
        // Takes no longer than options.command_timeout.
        const reachable = await this._lock?.ping(null).then(
            () => true,
            () => false,
        );
        const gauge = (name: string): number => this._counters?.gauge(`redis_lock.acquire.${name}`) ?? 0;
        return { open, reachable: reachable === true, held: gauge('held'), waiting: gauge('waiting') };
    }
}
