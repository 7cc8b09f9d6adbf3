import type { VirtualClock } from '../../fixtures/VirtualClock';
import { HeldLease } from '../../../src/engine/lease/Lease';
import type { LeaseKeeper } from '../../../src/engine/lease/Lease';
import { deadlineOf } from '../../../src/engine/port/validity';

export interface LeaseOfOptions {
    readonly keys?: readonly string[];
    readonly holder?: string;
    readonly ttl?: number;
    readonly fence?: number;
    /** As granted, where that is not the ttl. */
    readonly granted?: number;
}

/** A lease that was granted just now. */
export function leaseOf(keeper: LeaseKeeper, clock: VirtualClock, options: LeaseOfOptions = {}): HeldLease {
    const { keys = ['key'], holder = 'me', ttl = 30_000, fence = 1, granted = ttl } = options;
    const now = clock.now();
    const [first, ...rest] = keys.map((key, at) => ({
        key,
        id: holder,
        fence: fence + at,
        deadline: deadlineOf(now, granted),
    }));
    if (first === undefined) throw new Error('A lease has a key.');
    const lease = new HeldLease(keeper, clock, holder, ttl, first, now, undefined);
    for (const one of rest) lease.add(one);
    return lease;
}
