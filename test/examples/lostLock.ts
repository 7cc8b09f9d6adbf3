import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IContext } from 'pip-services4-components-node';
import { DIAGNOSTICS_CHANNEL } from '../../src';
import type { ILock, LockEvent, RedisLock } from '../../src';

/** With a lease, its signal tells: whatever takes a signal ends by itself, and `assertHeld` throws before the write. */
export async function copyUnderLock(
    lock: RedisLock,
    url: string,
    save: (text: string) => Promise<void>,
): Promise<void> {
    await lock.withLock(null, 'copy', { ttl: 3000, timeout: 5000 }, async (lease) => {
        const response = await fetch(url, { signal: lease.signal });
        const text = await response.text();
        lease.assertHeld();
        await save(text);
    });
}

/** With ILock alone, the event tells that has the context with which the lock was taken. */
export async function underLock<T>(
    lock: ILock,
    context: IContext,
    key: string,
    ttl: number,
    work: (lost: AbortSignal) => Promise<T>,
): Promise<T> {
    const lost = new AbortController();
    const listener = (message: unknown): void => {
        const event = message as LockEvent;
        if (event.kind === 'lost' && event.key === key && event.context === context) lost.abort(event.error);
    };
    await lock.acquireLock(context, key, ttl, 5000);
    subscribe(DIAGNOSTICS_CHANNEL, listener);
    try {
        return await work(lost.signal);
    } finally {
        unsubscribe(DIAGNOSTICS_CHANNEL, listener);
        await lock.releaseLock(context, key);
    }
}
