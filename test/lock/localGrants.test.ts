import { assert } from 'chai';
import type { RedisLock } from '../../src';
import { ownServer } from '../fixtures/ownServer';

const PASSES = 8;

suite('options.local_grants, of a key that only one process wants', () => {
    const own = ownServer();
    let lock: RedisLock;

    setup(async () => {
        lock = await own.locks.open({ local_grants: PASSES });
        // From now on the server knows the scripts.
        const lease = await lock.acquire(null, 'known');
        const waiting = lock.acquire(null, 'known', { timeout: 20_000 });
        await lease.release();
        await (await waiting).release();
        await own.commands.reset();
    });

    test('passes it on among those who wait for it, however few they are', async () => {
        const fences: number[] = [];
        let lease = await lock.acquire(null, 'hot');
        for (let times = 0; times < 90; times++) {
            const next = lock.acquire(null, 'hot', { timeout: 20_000 });
            await lease.release();
            lease = await next;
            fences.push(lease.fence);
        }
        await lease.release();
        // Without it: 182.
        assert.isAtMost(await own.commands.scripts(), 2 + (2 * 90) / PASSES);
        assert.deepEqual(
            fences,
            [...fences].sort((one, other) => one - other),
        );
        assert.strictEqual(new Set(fences).size, 90);
    });

    test('takes it by the usual command when nobody waits', async () => {
        for (let times = 0; times < 10; times++) await (await lock.acquire(null, 'calm', { timeout: 1000 })).release();
        assert.strictEqual(await own.commands.scripts(), 20);
        assert.isUndefined((await own.commands.calls()).get('zscore'));
    });
});
