import { assert } from 'chai';
import { Locker } from '../../../src/engine/locker/Locker';
import type { LeaseOptions } from '../../../src/engine/locker/LeaseOptions';
import { LocalGrants } from '../../../src/engine/local/LocalGrants';
import type { LockEvent } from '../../../src/engine/port/LockObserver';
import { FakeStore } from '../../fixtures/FakeStore';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

const TTL = 30_000;

suite('A locker whose keys are shared', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let locker: Locker;
    let events: LockEvent[];

    setup(async () => {
        clock = new VirtualClock();
        store = new FakeStore(clock);
        events = [];
        locker = new Locker(store, { ttl: TTL }, { observe: (event) => events.push(event) }, clock);
        await locker.open();
    });

    suite('refuses', () => {
        const refused: readonly (readonly [unknown, RegExp])[] = [
            [{ mode: 'reader' }, /mode must be 'exclusive' or 'shared', not "reader"/],
            [{ mode: null }, /mode must be/],
            [{ permits: 1 }, /permits needs a limit/],
            [{ mode: 'shared', permits: 1 }, /permits needs a limit/],
            [{ limit: 2, mode: 'shared' }, /mode and limit exclude each other/],
            [{ limit: 2, mode: 'exclusive' }, /mode and limit exclude each other/],
            [{ limit: 2, permits: 3 }, /number of permits must be a whole number from 1 to 2, not 3/],
            [{ limit: 2, permits: 0 }, /number of permits/],
            [{ limit: 2, permits: 1.5 }, /number of permits/],
            ...[0, -1, 1.5, NaN, Infinity, '5', null].map((limit) => [{ limit }, /limit must be a whole/] as const),
            ...[-1, 1.5, NaN, Infinity, '5', null].map((atLeast) => [{ atLeast }, /atLeast must be a whole/] as const),
            [{ atLeast: 2 * TTL, keepAlive: false }, /atLeast must not be longer than the ttl/],
        ];
        for (const [options, message] of refused) {
            test(`the options ${JSON.stringify(options)}: ${message.source}`, async () => {
                for (const asked of [
                    locker.acquire('key', options as LeaseOptions),
                    locker.tryAcquire(['a', 'b'], options as LeaseOptions),
                    locker.withLock('key', options as LeaseOptions, () => Promise.resolve()),
                ]) {
                    assert.match((await rejection(asked, 'BAD_PARAMETER')).message, message);
                }
                assert.isEmpty(store.acquires);
            });
        }

        test('the holder that a shared key seems to have', async () => {
            await rejection(locker.acquire('key', { holder: '(shared)' }), 'BAD_HOLDER');
            await rejection(locker.release('key', '(shared)'), 'BAD_HOLDER');
        });
    });

    test('asks for what is wanted of each key', async () => {
        await locker.acquire('alone');
        await locker.acquire('read', { mode: 'shared' });
        await locker.acquire(['a', 'b'], { limit: 5, permits: 2 });
        assert.deepEqual(
            store.acquires.map(({ request }) => [request.key, request.share]),
            [
                ['alone', undefined],
                ['read', { limit: Infinity, permits: 1 }],
                ['a', { limit: 5, permits: 2 }],
                ['b', { limit: 5, permits: 2 }],
            ],
        );
    });

    test('keeps a lease for longer than its ttl where it is kept alive, and its key for a time at least', async () => {
        const lease = await locker.acquire('key', { atLeast: 3 * TTL });
        await clock.advance(2 * TTL);
        assert.isTrue(await lease.release());
        assert.isFalse(lease.isHeld());
        assert.isNull(await locker.tryAcquire('key'));
        await clock.advance(TTL - 100);
        assert.isNull(await locker.tryAcquire('key'));
        await clock.advance(200);
        assert.isNotNull(await locker.tryAcquire('key'));
    });

    test('counts what is left of that time anew for each try to release', async () => {
        const lease = await locker.acquire('key', { atLeast: TTL, ttl: 2 * TTL });
        store.holding = true;
        const released = rejection(lease.release(), 'CONNECTION_FAILED');
        await settled();
        store.releases[0]?.fail();
        await released;
        await clock.advance(TTL / 2);
        store.proceed();
        await clock.advance(TTL / 2 + 10);
        assert.isNotNull(await locker.tryAcquire('key'));
    });

    test('lets the longest of several times hold', async () => {
        const lease = await locker.acquire('key', { atLeast: 1000 });
        locker.hold(lease, 5000);
        locker.hold(lease, 10);
        await lease.release();
        await clock.advance(4900);
        assert.isNull(await locker.tryAcquire('key'));
        await clock.advance(200);
        assert.isNotNull(await locker.tryAcquire('key'));
    });

    test('passes on to nobody in the process what is to stay taken', async () => {
        const local = new Locker(new LocalGrants(store.another(), clock, 5), { ttl: TTL }, undefined, clock);
        await local.open();
        const lease = await local.acquire('key', { atLeast: 2000 });
        let next = 0;
        const waiting = local.acquire('key', { timeout: TTL }).then(() => (next = clock.now()));
        await settled();
        const since = clock.now();
        await lease.release();
        await clock.advance(3000);
        await waiting;
        assert.isAtLeast(next - since, 2000);
    });

    test('takes every share from those who hold a key by force, and says so of each', async () => {
        const leases = [await locker.acquire('key', { mode: 'shared' }), await locker.acquire('key', { limit: 3 })];
        const why = { by: 'operator', reason: 'stuck' };
        assert.strictEqual(await locker.forceRelease('key', why), leases[0]?.holder);
        assert.deepEqual(
            events.flatMap((event) => (event.kind === 'forced' ? [event.holder] : [])),
            leases.map(({ holder }) => holder),
        );
        assert.isNotNull(await locker.tryAcquire('key'));
    });

    test('takes one share by force, and leaves the others', async () => {
        const [one, other] = [
            await locker.acquire('key', { mode: 'shared' }),
            await locker.acquire('key', { limit: 3 }),
        ];
        const why = { by: 'operator', reason: 'stuck', holder: other.holder };
        assert.strictEqual(await locker.forceRelease('key', why), other.holder);
        assert.deepEqual(
            (await locker.inspect('key')).holders.map(({ holder }) => holder),
            [one.holder],
        );
    });

    suite('by a downgrade', () => {
        test('waits for the renewal that is under way', async () => {
            const lease = await locker.acquire('key');
            store.holding = true;
            const renewed = lease.renew();
            const downgraded = lease.downgrade();
            await settled();
            assert.isEmpty(store.downgrades);
            store.renewals[0]?.go();
            await renewed;
            await settled();
            assert.lengthOf(store.downgrades, 1);
            store.downgrades[0]?.go();
            await downgraded;
            assert.strictEqual(lease.mode, 'shared');
            store.proceed();
        });

        test('keeps the lease as it was where the store has refused it', async () => {
            const lease = await locker.acquire('key');
            store.holding = true;
            const downgraded = rejection(lease.downgrade(), 'SERVER_REFUSED');
            await settled();
            store.downgrades[0]?.fail('SERVER_REFUSED');
            await downgraded;
            assert.strictEqual(lease.mode, 'exclusive');
            assert.isTrue(lease.isHeld());
            store.proceed();
            await lease.downgrade();
            assert.strictEqual(lease.mode, 'shared');
        });

        for (const arrived of [true, false]) {
            test(`is kept alive without an answer, whether it ${arrived ? 'arrived' : 'did not arrive'}`, async () => {
                const lease = await locker.acquire('key');
                store.holding = true;
                const downgraded = rejection(lease.downgrade(), 'CONNECTION_FAILED');
                await settled();
                if (arrived) store.downgrades[0]?.goUnheard();
                else store.downgrades[0]?.fail();
                await downgraded;
                assert.strictEqual(lease.mode, 'shared');
                store.proceed();
                await clock.advance(5 * TTL);
                assert.isTrue(lease.isHeld());
                assert.strictEqual((await locker.inspect('key')).mode, arrived ? 'shared' : 'exclusive');
                assert.isTrue(await lease.release());
                assert.isUndefined(store.holderOf('key'));
            });
        }

        test('ends the lease whose key is gone, and takes nothing from the one that has it', async () => {
            const lease = await locker.acquire('key');
            store.put('key', 'other', TTL);
            await rejection(lease.downgrade(), 'LOCK_LOST');
            assert.isFalse(lease.isHeld());
            await settled();
            assert.strictEqual(store.holderOf('key'), 'other');
        });
    });
});
