import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IContext } from 'pip-services4-components-node';
import { DIAGNOSTICS_CHANNEL, type ILock, type LockEvent } from '../../src';

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
