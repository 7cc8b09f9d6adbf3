import type { RedisLock } from '../../src';
import type { GuardedResource } from './GuardedResource';

/** A write that cannot overwrite that of a later holder, however late it arrives. */
export async function guardedWrite(lock: RedisLock, resource: GuardedResource, value: string): Promise<void> {
    await lock.withLock(null, 'document', { timeout: 5000 }, async (lease) => {
        await Promise.resolve(); // whatever takes its time
        resource.write(value, lease.fence);
    });
}
