import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisLock } from '../lock/RedisLock';
import { Inquiry } from './Inquiry';
import { reportOf } from './LockReport';
import type { LockReport } from './LockReport';

/** How often it looks, ms. */
const LOOK = 200;

/**
 * Looks at a lock until nobody holds it, or until it is stopped.
 *
 * @returns the last that was seen.
 * @throws why nothing was seen, when Redis was away at the end.
 */
export async function wait(
    lock: RedisLock,
    key: string,
    say: (text: string) => void,
    stop: AbortSignal,
): Promise<LockReport> {
    const inquiry = new Inquiry(say);
    for (;;) {
        const info = await inquiry.ask(() => lock.inspect(null, key));
        if (info !== undefined && (info.holder === undefined || stop.aborted)) return reportOf(info);
        if (inquiry.error !== undefined && stop.aborted) throw inquiry.error;
        await sleep(LOOK, undefined, { signal: stop }).catch(() => undefined);
    }
}
