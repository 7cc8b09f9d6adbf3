import { assert } from 'chai';
import { LockError } from '../../../src/engine/port/errors';
import type { HeldLease, LeaseKeeper } from '../../../src/engine/lease/Lease';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock } from '../../fixtures/VirtualClock';
import { leaseOf } from './leaseOf';

const TTL = 10_000;
const VALIDITY = TTL - 0.01 * TTL - 2;

suite('Lease', () => {
    let clock: VirtualClock;
    let keeper: Keeper;
    let lease: HeldLease;

    setup(() => {
        clock = new VirtualClock();
        keeper = new Keeper();
        lease = leaseOf(keeper, clock, { ttl: TTL, fence: 7 });
    });

    test('tells its key, holder and fence', () => {
        assert.deepInclude(
            { key: lease.key, keys: lease.keys, holder: lease.holder, fence: lease.fence },
            {
                key: 'key',
                keys: ['key'],
                holder: 'me',
                fence: 7,
            },
        );
    });

    test('of several keys has a fence for each, and none for others', () => {
        const several = leaseOf(keeper, clock, { keys: ['a', 'b', 'c'], fence: 10 });
        assert.deepEqual(several.keys, ['a', 'b', 'c']);
        assert.deepEqual(
            ['a', 'b', 'c', 'd'].map((key) => several.fenceOf(key)),
            [10, 11, 12, undefined],
        );
        assert.strictEqual(several.fence, 10);
        assert.strictEqual(several.key, 'a');
    });

    test('is held until its deadline, and has ever less left', async () => {
        assert.isTrue(lease.isHeld());
        assert.strictEqual(lease.remaining(), VALIDITY);
        await clock.advance(1000);
        assert.strictEqual(lease.remaining(), VALIDITY - 1000);
        clock.skip(VALIDITY - 1001);
        assert.isTrue(lease.isHeld());
        lease.assertHeld();
    });

    test('is lost at its deadline: every question says so, without a timer', () => {
        clock.skip(VALIDITY);
        assert.isFalse(lease.isHeld());
        assert.strictEqual(lease.remaining(), 0);
        assert.throws(() => lease.assertHeld(), LockError, /ran out/);
        assert.deepEqual(keeper.calls, ['lost LOCK_LOST']);
    });

    for (const at of [0, 1, 2]) {
        test(`ends when one of its keys does: number ${at} of three`, () => {
            const several = leaseOf(keeper, clock, { keys: ['a', 'b', 'c'], ttl: TTL });
            const one = several.leased[at];
            assert.isDefined(one);
            one.deadline = clock.now() + 500;
            assert.strictEqual(several.remaining(), 500);
            clock.skip(500);
            assert.isFalse(several.isHeld());
        });
    }

    suite('its signal', () => {
        test('aborts when the lease is lost, with the reason', () => {
            const { signal } = lease;
            assert.isFalse(signal.aborted);
            lease.lose('was taken');
            assert.isTrue(signal.aborted);
            assert.include(signal.reason, { code: 'LOCK_LOST', key: 'key', holder: 'me' });
        });

        test('is aborted already when it is asked for after the loss', () => {
            lease.lose('was taken');
            assert.isTrue(lease.signal.aborted);
            assert.include(lease.signal.reason, { code: 'LOCK_LOST' });
        });

        test('is aborted already when it is asked for after the deadline', () => {
            clock.skip(VALIDITY);
            assert.isTrue(lease.signal.aborted);
        });

        test('is always the same one', () => {
            assert.strictEqual(lease.signal, lease.signal);
        });

        test('does not abort when the lease is released', async () => {
            const { signal } = lease;
            await lease.release();
            clock.skip(TTL);
            assert.isFalse(lease.isHeld());
            assert.isFalse(signal.aborted);
        });
    });

    suite('a release', () => {
        test('ends the lease at once', () => {
            void lease.release();
            assert.isFalse(lease.isHeld());
            assert.strictEqual(lease.remaining(), 0);
            assert.throws(() => lease.assertHeld(), LockError, /was released/);
        });

        test('is done once, and gives its answer to every call', async () => {
            assert.isTrue(await lease.release());
            assert.isTrue(await lease.release());
            assert.deepEqual(keeper.calls, ['release']);
        });

        test('of a lost lease is false and asks nobody', async () => {
            lease.lose('was taken');
            assert.isFalse(await lease.release());
            assert.deepEqual(keeper.calls, ['lost LOCK_LOST']);
        });

        test('of a lease whose deadline has passed is false', async () => {
            clock.skip(VALIDITY);
            assert.isFalse(await lease.release());
        });

        test('comes at the end of its scope', async () => {
            {
                await using used = lease;
                assert.isTrue(used.isHeld());
            }
            assert.deepEqual(keeper.calls, ['release']);
        });
    });

    suite('a renewal', () => {
        test('asks for the ttl of the lease, or for the one given', async () => {
            await lease.renew();
            await lease.renew(5000);
            assert.deepEqual(keeper.calls, [`renew ${TTL}`, 'renew 5000']);
        });

        test('of a lost lease is refused', async () => {
            lease.lose('was taken');
            await rejection(lease.renew(), 'LOCK_LOST');
        });

        test('of a released lease is refused', async () => {
            await lease.release();
            await rejection(lease.renew(), 'LOCK_LOST');
            assert.deepEqual(keeper.calls, ['release']);
        });
    });

    test('is lost once only', () => {
        lease.lose('was taken');
        lease.lose('ran out');
        assert.deepEqual(keeper.calls, ['lost LOCK_LOST']);
        assert.throws(() => lease.assertHeld(), /was taken/);
    });

    test('that was released cannot be lost', async () => {
        await lease.release();
        lease.lose('was taken');
        assert.deepEqual(keeper.calls, ['release']);
    });

    suite('handing over', () => {
        test('gives the holder, and ends the lease here without a release', async () => {
            assert.strictEqual(lease.handOver(), 'me');
            assert.isFalse(lease.isHeld());
            assert.isTrue(await lease.release());
            assert.deepEqual(keeper.calls, ['handed over']);
        });

        test('of a lost lease is refused', () => {
            lease.lose('was taken');
            assert.throws(() => lease.handOver(), LockError, /was taken/);
        });
    });
});

/** Notes what it is asked. */
class Keeper implements LeaseKeeper {
    readonly calls: string[] = [];

    renew(_lease: HeldLease, ttl: number): Promise<void> {
        this.calls.push(`renew ${ttl}`);
        return Promise.resolve();
    }

    release(): Promise<boolean> {
        this.calls.push('release');
        return Promise.resolve(true);
    }

    handedOver(): void {
        this.calls.push('handed over');
    }

    exceptionOf(error: LockError): Error {
        return error;
    }

    lost(_lease: HeldLease, error: LockError): void {
        this.calls.push(`lost ${error.code}`);
    }
}
