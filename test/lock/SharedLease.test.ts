import { inspect } from 'node:util';
import { assert } from 'chai';
import { ConfigParams } from 'pip-services4-components-node';
import { RedisLock } from '../../src';
import type { Lease } from '../../src';
import { rejection } from '../fixtures/rejection';
import { keysOfSuite } from '../fixtures/suiteServer';
import { until } from '../fixtures/until';

const TRACE = 'shared-lease';

suite('Leases that a component gives out', () => {
    const ours = keysOfSuite('shared-lease');
    let lock: RedisLock;
    let reentrant: RedisLock;
    let key: string;

    suiteSetup(async () => {
        lock = await ours.locks.open();
        reentrant = await ours.locks.open({ reentrant: true });
    });
    setup(() => void (key = ours.key));

    /** The same lock, twice. */
    async function twice(options: { ttl?: number; keepAlive?: boolean } = {}): Promise<[one: Lease, other: Lease]> {
        return [await reentrant.acquire(TRACE, key, options), await reentrant.acquire(TRACE, key, options)];
    }

    test('say what they are of', async () => {
        const lease = await lock.acquire(null, [`${key}-b`, `${key}-a`]);
        assert.strictEqual(lease.key, `${key}-a`);
        assert.deepEqual(lease.keys, [`${key}-a`, `${key}-b`]);
        assert.strictEqual(await ours.redis.client.get(lease.key), lease.holder);
        assert.strictEqual(lease.fenceOf(lease.key), lease.fence);
        assert.isNumber(lease.fenceOf(`${key}-b`));
        assert.isUndefined(lease.fenceOf('another'));
        await lease.release();
    });

    test('are shown in one line, without the engine, and so is the lock', async () => {
        const secret = new RedisLock();
        secret.configure(ConfigParams.fromTuples('connection.host', 'localhost', 'credential.password', 'hidden'));
        assert.strictEqual(inspect(secret), 'RedisLock { not open }');
        assert.strictEqual(inspect(lock), 'RedisLock { open }');
        for (const component of [lock, reentrant]) {
            const lease = await component.acquire(TRACE, [key, `${key}-2`]);
            const { fence, holder } = lease;
            const start = `Lease { "${key}", "${key}-2", holder ${holder}, fence ${fence}, `;
            assert.match(inspect(lease), /, held for \d+ ms more \}$/);
            assert.isTrue(inspect(lease).startsWith(start), inspect(lease));
            await lease.release();
            assert.strictEqual(inspect(lease), `${start}not held }`);
        }
    });

    test('end with their release, which may be asked for again', async () => {
        const lease = await lock.acquire(null, key);
        assert.isTrue(lease.isHeld());
        lease.assertHeld();
        assert.isAbove(lease.remaining(), 1000);
        assert.isTrue(await lease.release());
        assert.isTrue(await lease.release());
        assert.isFalse(lease.isHeld());
        assert.strictEqual(lease.remaining(), 0);
        assert.throws(() => lease.assertHeld(), /released/);
        assert.isFalse(lease.signal.aborted);
    });

    test('throw toolkit exceptions with the trace id of their caller, once they are lost', async () => {
        const lease = await lock.acquire(TRACE, key, { ttl: 200, keepAlive: false });
        const { signal } = lease;
        await until(() => signal.aborted);
        const failing = [
            Promise.reject<unknown>(signal.reason as Error),
            Promise.resolve().then(() => lease.assertHeld()),
            Promise.resolve().then(() => lease.handOver()),
            lease.renew(),
        ];
        for (const error of await Promise.all(failing.map((one) => rejection(one, 'LOCK_LOST')))) {
            assert.strictEqual(error.constructor.name, 'ConflictException');
            assert.strictEqual(error.trace_id, TRACE);
            assert.strictEqual(error.details?.getAsString('key'), key);
        }
        assert.isFalse(await lease.release());
    });

    test('have a signal that is aborted already, when it is first asked for after the loss', async () => {
        const lease = await lock.acquire(TRACE, key, { ttl: 200, keepAlive: false });
        await until(() => !lease.isHeld());
        assert.isTrue(lease.signal.aborted);
        assert.strictEqual((lease.signal.reason as { code?: string }).code, 'LOCK_LOST');
    });

    test('are released at the end of their block, also when it fails', async () => {
        const block = async (): Promise<void> => {
            await using lease = await lock.acquire(null, key);
            assert.isTrue(lease.isHeld());
            throw new Error('of the block');
        };
        assert.strictEqual((await rejection(block())).message, 'of the block');
        assert.strictEqual(await ours.redis.client.exists(key), 0);
    });

    test('tell of a bad ttl when they are renewed, and stay held', async () => {
        const lease = await lock.acquire(TRACE, key);
        for (const ttl of [0, -1, 1.5, NaN, 2 ** 31]) {
            const error = await rejection(lease.renew(ttl), 'BAD_TTL');
            assert.strictEqual(error.trace_id, TRACE);
        }
        assert.isTrue(lease.isHeld());
        await lease.renew(60_000);
        assert.isAbove(await ours.redis.client.pttl(key), 40_000);
        await lease.release();
    });

    test('that share a lock have the same holder and fence', async () => {
        const [one, other] = await twice();
        assert.strictEqual(one.holder, other.holder);
        assert.strictEqual(one.fence, other.fence);
        await Promise.all([one.release(), other.release()]);
    });

    test('that share a lock end one by one: the one that was released is not held, though others are', async () => {
        const [one, other] = await twice();
        assert.isTrue(await other.release());
        assert.isTrue(await other.release());
        assert.isFalse(other.isHeld());
        assert.strictEqual(other.remaining(), 0);
        assert.throws(() => other.assertHeld(), /released/);
        await rejection(other.renew(), 'LOCK_LOST');
        assert.throws(() => other.handOver(), /released/);
        assert.isTrue(one.isHeld());
        assert.strictEqual(await ours.redis.client.get(key), one.holder);
        assert.isTrue(await one.release());
        assert.strictEqual(await ours.redis.client.exists(key), 0);
    });

    test('that share a lock are lost together', async () => {
        const [one, other] = await twice({ ttl: 200, keepAlive: false });
        const signals = [one.signal, other.signal];
        await until(() => signals.every(({ aborted }) => aborted));
        assert.isFalse(one.isHeld() || other.isHeld());
        assert.deepEqual(await Promise.all([one.release(), other.release()]), [false, false]);
    });

    test('that share a lock are handed over together', async () => {
        const [one, other] = await twice();
        const holder = one.handOver();
        assert.isFalse(one.isHeld() || other.isHeld());
        await Promise.all([one.release(), other.release()]);
        assert.strictEqual(await ours.redis.client.get(key), holder);
        assert.isNull(await reentrant.tryAcquire(TRACE, key));
        assert.isTrue(await lock.release(null, key, holder));
    });
});
