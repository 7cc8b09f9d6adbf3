import { ConfigParams } from 'pip-services4-components-node';
import { RedisLock } from '../../src';

/** Any number of readers at a time, or one writer. */
export async function readersAndWriter(uri: string): Promise<string[]> {
    const lock = new RedisLock();
    lock.configure(ConfigParams.fromTuples('connection.uri', uri));
    await lock.open(null);
    let config = 'old';
    const read = (): Promise<string> =>
        lock.withLock(null, 'config', { mode: 'shared', timeout: 5000 }, () => Promise.resolve(config));
    const before = await Promise.all([read(), read()]);
    await lock.withLock(null, 'config', { timeout: 5000 }, () => Promise.resolve(void (config = 'new')));
    const after = await read();
    await lock.close(null);
    return [...before, after];
}

/** Other readers may read while the one that wrote checks what it wrote. */
export function writeAndCheck(lock: RedisLock, write: () => Promise<void>, check: () => Promise<void>): Promise<void> {
    return lock.withLock(null, 'config', { timeout: 5000 }, async (lease) => {
        await write();
        await lease.downgrade();
        await check();
    });
}

/** Over all hosts, at most five of these jobs run at a time. A large one counts as two. */
export function job(lock: RedisLock, isLarge: boolean, run: () => Promise<void>): Promise<void> {
    return lock.withLock(null, 'jobs', { limit: 5, permits: isLarge ? 2 : 1, timeout: 60000 }, run);
}

/** Each call has a permit for at least a second: so at most ten begin in any second, over all hosts. */
export function callApi(lock: RedisLock, call: () => Promise<void>): Promise<void> {
    return lock.withLock(null, 'api', { limit: 10, atLeast: 1000, timeout: 60000 }, call);
}

/** Cron starts it on every host at 03:00. The first one runs it; the others, whose clocks are up to a minute late, find it taken. */
export async function nightlyReport(lock: RedisLock, report: () => Promise<void>): Promise<boolean> {
    const lease = await lock.tryAcquire(null, 'nightly:report', { atLeast: 60000 });
    if (lease === null) return false;
    try {
        await report();
        return true;
    } finally {
        await lease.release();
    }
}
