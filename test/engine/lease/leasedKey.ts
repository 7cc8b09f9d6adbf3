import type { LeasedKey } from '../../../src/engine/lease/LeasedKey';
import { deadlineOf } from '../../../src/engine/port/validity';
import type { VirtualClock } from '../../fixtures/VirtualClock';

/** A key that was granted just now, for `ttl`. */
export function leasedKey(clock: VirtualClock, key: string, ttl: number, fence = 1, holder = 'me'): LeasedKey {
    const deadline = deadlineOf(clock.now(), ttl);
    return { key, holder, fence, deadline, permits: 1, shared: false, keptUntil: undefined };
}
