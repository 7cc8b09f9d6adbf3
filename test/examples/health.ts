import type { RedisLock } from '../../src';

/** For a readiness probe: one cheap question to Redis, which takes no longer than options.command_timeout. */
export async function health(lock: RedisLock): Promise<{ ready: boolean; reason?: string }> {
    if (!lock.isOpen()) return { ready: false, reason: 'the lock is not open' };
    try {
        await lock.ping(null);
        return { ready: true };
    } catch (error) {
        return { ready: false, reason: String(error) };
    }
}
