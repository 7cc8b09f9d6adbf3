import type { RedisLock } from '../../src';

/** Work that need not be done when somebody else does it already. @returns whether it was done here. */
export async function skipIfBusy(lock: RedisLock, refresh: () => Promise<void>): Promise<boolean> {
    const lease = await lock.tryAcquire(null, 'cache:refresh');
    if (lease === null) return false;
    try {
        await refresh();
        return true;
    } finally {
        await lease.release();
    }
}

/** A download that ends when the lock is lost: by the signal, or by `assertHeld` right before the write. */
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

/** Once a day on one of several hosts, whose clocks differ. */
export async function onceADay(lock: RedisLock, day: string, report: () => Promise<void>): Promise<void> {
    const lease = await lock.tryAcquire(null, `report:${day}`, { ttl: 3_600_000, keepAlive: false });
    if (lease !== null) await report();
}

/** Ticks in one process at a time until it is stopped, which rejects with LOCK_ABORTED. */
export async function keepTicking(
    lock: RedisLock,
    tick: (fence: number) => Promise<void>,
    stop: AbortSignal,
): Promise<void> {
    await lock.lead(null, 'scheduler', { ttl: 10_000, signal: stop }, async (lease) => {
        while (!lease.signal.aborted) await tick(lease.fence);
    });
}

/** What a database driver has. @returns how many rows were changed. */
type Query = (sql: string, values: readonly unknown[]) => Promise<number>;

/** A write that the database refuses when it comes from an earlier holder. */
export async function setBalance(lock: RedisLock, query: Query, id: number, balance: number): Promise<void> {
    await lock.withLock(null, `account:${id}`, { timeout: 5000 }, async (lease) => {
        const sql = 'UPDATE account SET balance = $1, fence = $2 WHERE id = $3 AND fence <= $2';
        const changed = await query(sql, [balance, lease.fence, id]);
        if (changed === 0) throw new Error('Somebody else has the lock now.');
    });
}
