import { assert } from 'chai';
import { HeldLease } from '../../../src/engine/lease/HeldLease';
import type { LeasedKey } from '../../../src/engine/lease/LeasedKey';
import type { LeaseEnd, LeaseKeeper } from '../../../src/engine/lease/LeaseKeeper';
import { LockError } from '../../../src/engine/port/errors';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock } from '../../fixtures/VirtualClock';
import { leasedKey } from './leasedKey';

const TTL = 10_000;
const VALIDITY = TTL - 0.01 * TTL - 2;

suite('HeldLease', () => {
    let clock: VirtualClock;
    let keeper: Keeper;
    let lease: HeldLease;

    setup(() => {
        clock = new VirtualClock();
        keeper = new Keeper();
        lease = leaseOf(['key']);
    });

    /** A lease that was granted just now, with the fences from 7 on. */
    function leaseOf(keys: readonly string[]): HeldLease {
        const [first, ...rest] = keys.map((key, at) => leasedKey(clock, key, TTL, 7 + at, `me:${7 + at}`));
        assert.isDefined(first);
        const one = new HeldLease(keeper, clock, first, TTL);
        one.add(rest, true);
        return one;
    }

    test('tells its key, holder and fence', () => {
        assert.deepInclude(
            { key: lease.key, keys: lease.keys, holder: lease.holder, fence: lease.fence },
            {
                key: 'key',
                keys: ['key'],
                holder: 'me:7',
                fence: 7,
            },
        );
    });

    test('of several keys has a fence and a holder for each, and none for others', () => {
        const several = leaseOf(['a', 'b', 'c']);
        assert.deepEqual(several.keys, ['a', 'b', 'c']);
        assert.deepEqual(
            ['a', 'b', 'c', 'd'].map((key) => several.fenceOf(key)),
            [7, 8, 9, undefined],
        );
        assert.deepEqual(
            ['a', 'b', 'c', 'd'].map((key) => several.holderOf(key)),
            ['me:7', 'me:8', 'me:9', undefined],
        );
        assert.strictEqual(several.fence, 7);
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
        assert.deepEqual(keeper.ends, ['lost']);
    });

    for (const at of [0, 1, 2]) {
        test(`ends when one of its keys does: number ${at} of three`, () => {
            const several = leaseOf(['a', 'b', 'c']);
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
            assert.include(signal.reason, { code: 'LOCK_LOST', key: 'key', holder: 'me:7' });
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

        for (const way of ['release', 'handOver'] as const) {
            test(`does not abort by ${way}, whenever it is asked for`, async () => {
                const { signal } = lease;
                const late = leaseOf(['key']);
                for (const one of [lease, late]) await one[way]();
                clock.skip(TTL);
                assert.isFalse(lease.isHeld());
                assert.isFalse(signal.aborted || late.signal.aborted);
            });
        }

        test('says CLOSED when the lock is closed', () => {
            const { signal } = lease;
            void lease.close();
            assert.include(signal.reason, { code: 'CLOSED', key: 'key', holder: 'me:7' });
        });
    });

    suite('a caller that asks late is told the same as one that asked early, when it', () => {
        const ENDS: Readonly<Record<string, (one: HeldLease) => unknown>> = {
            'was released': (one) => one.release(),
            'was handed over': (one) => one.handOver(),
            'was closed': (one) => one.close(),
            'was taken': (one) => one.lose('was taken'),
            'ran out': () => clock.skip(TTL),
            'ran out before it was released': (one) => {
                clock.skip(TTL);
                return one.release();
            },
            'ran out before it was closed': (one) => {
                clock.skip(TTL);
                return one.close();
            },
            'was released before it was closed': (one) => {
                void one.release();
                return one.close();
            },
            'was closed before it was released': (one) => {
                void one.close();
                return one.release();
            },
            'was lost before it was closed': (one) => {
                one.lose('was taken');
                return one.close();
            },
        };

        for (const [name, end] of Object.entries(ENDS)) {
            test(name, () => {
                const early = leaseOf(['key']);
                const { signal } = early;
                end(early);
                // Its time may be over before anybody asks.
                early.isHeld();
                const late = leaseOf(['key']);
                end(late);
                assert.strictEqual(late.signal.aborted, signal.aborted);
                assert.strictEqual(
                    said(() => late.signal.throwIfAborted()),
                    said(() => signal.throwIfAborted()),
                );
                assert.strictEqual(
                    said(() => late.assertHeld()),
                    said(() => early.assertHeld()),
                );
                if (signal.aborted)
                    assert.strictEqual(
                        said(() => late.assertHeld()),
                        said(() => signal.throwIfAborted()),
                    );
            });
        }
    });

    suite('a release', () => {
        test('ends the lease at once', () => {
            void lease.release();
            assert.isFalse(lease.isHeld());
            assert.strictEqual(lease.remaining(), 0);
            assert.throws(() => lease.assertHeld(), LockError, /was released/);
        });

        test('is done once, and gives its answer to every call', async () => {
            const first = lease.release();
            assert.isTrue(await lease.release());
            assert.isTrue(await first);
            assert.deepEqual(keeper.ends, ['released']);
        });

        test('gives its answer to an observer that asks while it is being told', async () => {
            let asked: Promise<boolean> | undefined;
            keeper.onEnd = () => {
                asked = lease.release();
            };
            assert.isTrue(await lease.release());
            assert.isTrue(await asked);
            assert.deepEqual(keeper.ends, ['released']);
        });

        test('tells every call that the store threw', async () => {
            keeper.onEnd = () => {
                throw new Error('of the store');
            };
            for (let count = 0; count < 2; count++) {
                assert.strictEqual((await rejection(lease.release())).message, 'of the store');
            }
            const other = leaseOf(['key']);
            const { signal } = other;
            other.lose('was taken');
            assert.isTrue(signal.aborted);
        });

        test('of a lost lease is false and asks nobody', async () => {
            lease.lose('was taken');
            assert.isFalse(await lease.release());
            assert.deepEqual(keeper.ends, ['lost']);
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
            assert.deepEqual(keeper.ends, ['released']);
        });
    });

    suite('a renewal', () => {
        test('asks for the ttl of the lease, or for the one given', async () => {
            await lease.renew();
            await lease.renew(5000);
            assert.deepEqual(keeper.renewals, [TTL, 5000]);
        });

        test('of a lost lease is refused', async () => {
            lease.lose('was taken');
            await rejection(lease.renew(), 'LOCK_LOST');
        });

        test('of a released lease is refused', async () => {
            await lease.release();
            await rejection(lease.renew(), 'LOCK_LOST');
            assert.isEmpty(keeper.renewals);
        });
    });

    test('is lost once only', () => {
        lease.lose('was taken');
        lease.lose('ran out');
        assert.deepEqual(keeper.ends, ['lost']);
        assert.throws(() => lease.assertHeld(), /was taken/);
    });

    test('that was released cannot be lost', async () => {
        await lease.release();
        lease.lose('was taken');
        assert.deepEqual(keeper.ends, ['released']);
    });

    suite('handing over', () => {
        test('gives the holder, and ends the lease here without a release', async () => {
            assert.strictEqual(lease.handOver(), 'me:7');
            assert.isFalse(lease.isHeld());
            assert.isTrue(await lease.release());
            assert.deepEqual(keeper.ends, ['handed over']);
            assert.throws(() => lease.assertHeld(), LockError, /was handed over/);
        });

        test('of a lost lease is refused', () => {
            lease.lose('was taken');
            assert.throws(() => lease.handOver(), LockError, /was taken/);
        });
    });
});

/** What it throws says, if it does. */
function said(ask: () => unknown): string {
    try {
        ask();
        return '';
    } catch (error) {
        return String(error);
    }
}

/** Answers that the lease was still ours unless it is lost, and notes what it is told. */
class Keeper implements LeaseKeeper {
    readonly ends: LeaseEnd['kind'][] = [];
    readonly renewals: number[] = [];
    onEnd: () => void = () => undefined;
    failure: LockError | undefined;

    renew(ttl: number): Promise<void> {
        this.renewals.push(ttl);
        return Promise.resolve();
    }

    keep(): void {}

    adopt(one: LeasedKey): LeasedKey {
        return one;
    }

    downgrade(): Promise<void> {
        return Promise.resolve();
    }

    mayBeRenewed(): boolean {
        return false;
    }

    answered(): Promise<void> {
        return Promise.resolve();
    }

    extended(): void {}

    ended({ kind }: LeaseEnd): Promise<boolean> {
        this.ends.push(kind);
        this.onEnd();
        return Promise.resolve(kind !== 'lost');
    }

    exceptionOf(error: LockError): Error {
        return error;
    }
}
