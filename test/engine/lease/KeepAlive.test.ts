import { assert } from 'chai';
import { GiveUps } from '../../../src/engine/followups/GiveUps';
import { KeepAlive } from '../../../src/engine/lease/KeepAlive';
import type { HeldLease } from '../../../src/engine/lease/Lease';
import type { LockEvent } from '../../../src/engine/port/LockObserver';
import { acquireFrom } from '../../fixtures/asks';
import { FakeStore } from '../../fixtures/FakeStore';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';
import { leaseOf } from './leaseOf';
import type { LeaseOfOptions } from './leaseOf';

const TTL = 30_000;
const DRIFT = 0.01 * TTL + 2;

suite('KeepAlive', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let keepAlive: KeepAlive;
    let events: LockEvent[];

    setup(async () => {
        clock = new VirtualClock();
        store = new FakeStore(clock);
        events = [];
        const tell = (event: LockEvent): void => void events.push(event);
        keepAlive = new KeepAlive(store, clock, new GiveUps(store, clock), tell, (error) => error);
        await store.open({
            granted: () => undefined,
            first: () => undefined,
            handedOn: () => undefined,
            changed: () => undefined,
            reconnected: () => undefined,
            disconnected: () => undefined,
            recovered: () => undefined,
            warned: () => undefined,
        });
    });

    /** Has a lease looked after that the store knows of. */
    function keep(options: LeaseOfOptions & { keepAlive?: boolean; confirm?: boolean } = {}): HeldLease {
        const lease = leaseOf(keepAlive, clock, options);
        const { holder, ttl } = lease;
        for (const key of lease.keys) {
            // In the store it is granted by the time this returns.
            void acquireFrom(store, { key, holder, id: holder, ttl: options.granted ?? ttl, ticket: undefined });
        }
        keepAlive.add(lease, options.keepAlive ?? true, options.confirm ?? false);
        return lease;
    }

    function told(kind: LockEvent['kind']): number {
        return events.filter((event) => event.kind === kind).length;
    }

    suite('a renewal', () => {
        test('is sent at a third of the ttl, and again', async () => {
            const start = clock.now();
            keep();
            await clock.advance(TTL);
            const sentAt = store.renewals.map(({ at }) => at - start);
            assert.lengthOf(sentAt, 3);
            for (const [at, sent] of sentAt.entries()) assert.approximately(sent, ((at + 1) * TTL) / 3, 30);
            assert.deepEqual(store.renewals[0]?.request, { key: 'key', holder: 'me', ttl: TTL });
            assert.strictEqual(told('renewed'), 3);
        });

        test('keeps a lease for as long as it is wanted', async () => {
            const lease = keep();
            await clock.advance(100 * TTL);
            assert.isTrue(lease.isHeld());
            assert.strictEqual(told('lost'), 0);
        });

        test('lengthens the lease from its send', async () => {
            const lease = keep();
            store.holding = true;
            await clock.advance(TTL / 3);
            await clock.advance(1000);
            store.proceed();
            await settled();
            const sentAt = store.renewals[0]?.at ?? NaN;
            assert.strictEqual(lease.deadline, sentAt + TTL - DRIFT);
        });

        test('goes out in the same turn as the others that are due together', async () => {
            for (let count = 0; count < 10; count++) keep({ keys: [`key${count}`], holder: `holder${count}` });
            await clock.advance(TTL / 3 + 10);
            assert.lengthOf(store.renewals, 10);
            assert.lengthOf(new Set(store.renewals.map(({ at }) => at)), 1);
        });

        test('goes out together with those of leases that began a few ms apart', async () => {
            await clock.advance(10 - (clock.now() % 10));
            for (let count = 0; count < 8; count++) {
                keep({ keys: [`key${count}`], holder: `holder${count}` });
                await clock.advance(1);
            }
            await clock.advance(TTL / 3);
            assert.lengthOf(store.renewals, 8);
            assert.lengthOf(new Set(store.renewals.map(({ at }) => at)), 1);
        });

        test('goes out in lists of limited length, at once for all that are due', async () => {
            const lengths: number[] = [];
            const renewAll = store.renewAll.bind(store);
            store.renewAll = (renewals) => {
                lengths.push(renewals.length);
                renewAll(renewals);
            };
            for (let count = 0; count < 250; count++) keep({ keys: [`key${count}`], holder: `holder${count}` });
            await clock.advance(TTL / 3 + 10);
            assert.deepEqual(lengths, [100, 100, 50]);
            await clock.advance(10 * TTL);
            assert.strictEqual(keepAlive.size, 250);
        });

        test('is not sent for a lease that is not to be kept alive', async () => {
            const lease = keep({ keepAlive: false });
            await clock.advance(TTL - DRIFT - 1);
            assert.isTrue(lease.isHeld());
            assert.isEmpty(store.renewals);
            await clock.advance(2);
            assert.strictEqual(told('lost'), 1);
            assert.isEmpty(store.renewals);
        });

        test('is sent once, and soon, for a lease that began on the word of a message', async () => {
            const lease = keep({ keepAlive: false, confirm: true, granted: 2000 });
            await clock.advance(30);
            assert.lengthOf(store.renewals, 1);
            assert.isAbove(lease.remaining(), TTL - DRIFT - 100);
            await clock.advance(TTL);
            assert.lengthOf(store.renewals, 1);
        });

        test('of a lease that began on the word of a message is sent again while there is no answer', async () => {
            const lease = keep({ keepAlive: false, confirm: true, granted: 2000 });
            store.holding = true;
            while (store.renewals.length < 2) {
                await clock.advance(10);
                assert.isTrue(lease.isHeld());
                for (const call of store.renewals.slice(0, 1)) if (!call.answered) call.fail();
            }
            store.proceed();
            await clock.advance(2000);
            assert.isTrue(lease.isHeld());
        });

        test('by hand that fails is not sent again for a lease that was confirmed long ago', async () => {
            const lease = keep({ keepAlive: false, confirm: true, granted: 2000 });
            await clock.advance(100);
            store.holding = true;
            const renewal = lease.renew();
            store.renewals[1]?.fail();
            await rejection(renewal, 'CONNECTION_FAILED');
            await clock.advance(TTL / 2);
            assert.lengthOf(store.renewals, 2);
        });

        test('is not sent for a lease that began on the word of a message and ended before', async () => {
            const lease = keep({ confirm: true, granted: 2000 });
            await clock.advance(5);
            await lease.release();
            await clock.advance(TTL);
            assert.isEmpty(store.renewals);
        });

        test('renews every key of a lease', async () => {
            const lease = keep({ keys: ['a', 'b', 'c'] });
            await clock.advance(TTL / 3);
            assert.sameMembers(
                store.renewals.map(({ request }) => request.key),
                ['a', 'b', 'c'],
            );
            await clock.advance(10 * TTL);
            assert.isTrue(lease.isHeld());
        });

        test('that is late never shortens the lease', async () => {
            const lease = keep({ ttl: TTL });
            const before = lease.deadline;
            await lease.renew(1000);
            assert.strictEqual(lease.deadline, before);
        });
    });

    suite('an unknown answer', () => {
        test('is followed by further renewals until the deadline, and then the lease is lost', async () => {
            const lease = keep();
            const start = clock.now();
            const signal = lease.signal;
            store.holding = true;
            let lostAt = Infinity;
            signal.addEventListener('abort', () => {
                lostAt = clock.now();
            });
            while (clock.now() < start + TTL) {
                await clock.advance(10);
                for (const call of store.renewals) if (!call.answered) call.fail();
            }
            assert.isAtMost(lostAt, start + TTL - DRIFT + 1);
            assert.isAtLeast(lostAt, start + TTL - DRIFT - 1);
            assert.isAbove(store.renewals.length, 5);
            assert.include(signal.reason, { code: 'LOCK_LOST' });
            assert.strictEqual(told('lost'), 1);
            const sent = store.renewals.length;
            await clock.advance(TTL);
            assert.lengthOf(store.renewals, sent);
        });

        test('does not end the lease before its deadline', async () => {
            const lease = keep();
            store.holding = true;
            await clock.advance(TTL / 3);
            store.renewals[0]?.fail();
            await clock.advance(1);
            assert.isTrue(lease.isHeld());
            store.proceed();
            await clock.advance(TTL);
            assert.isTrue(lease.isHeld());
            assert.strictEqual(told('failed'), 1);
        });

        test('that never comes does not keep the lease from ending at its deadline', async () => {
            const lease = keep();
            const { signal } = lease;
            store.holding = true;
            await clock.advance(TTL - DRIFT - 1);
            assert.isFalse(signal.aborted);
            await clock.advance(1);
            assert.isTrue(signal.aborted);
            assert.isFalse(lease.isHeld());
        });

        test('that comes after the deadline does not bring the lease back', async () => {
            const lease = keep();
            store.holding = true;
            await clock.advance(TTL);
            store.renewals[0]?.reply({ kind: 'renewed', deadline: clock.now() + TTL });
            await settled();
            assert.isFalse(lease.isHeld());
            assert.strictEqual(lease.remaining(), 0);
            assert.strictEqual(told('renewed'), 0);
        });

        test('is given to whoever renews by hand, and the lease stays', async () => {
            const lease = keep({ keepAlive: false });
            store.holding = true;
            const renewal = lease.renew();
            store.renewals[0]?.fail();
            await rejection(renewal, 'CONNECTION_FAILED');
            assert.isTrue(lease.isHeld());
        });

        test('of a lease that ran out leaves nothing behind: what may have been renewed is given up', async () => {
            const lease = keep();
            store.holding = true;
            await clock.advance(TTL);
            assert.isFalse(lease.isHeld());
            store.proceed();
            await settled();
            assert.isUndefined(store.holderOf('key'));
        });

        test('is none of a lease that nobody renewed: when it ran out, somebody else may have renewed it', async () => {
            const lease = keep({ keepAlive: false });
            await store.renew('key', 'me', 3 * TTL);
            await clock.advance(TTL);
            assert.isFalse(lease.isHeld());
            assert.strictEqual(store.holderOf('key'), 'me');
        });
    });

    suite('a key that is gone', () => {
        test('ends the lease at once', async () => {
            const lease = keep();
            const { signal } = lease;
            store.delete('key');
            await clock.advance(TTL / 3);
            assert.isTrue(signal.aborted);
            assert.include(signal.reason, { code: 'LOCK_LOST' });
            assert.match(String(signal.reason), /taken or deleted/);
            assert.strictEqual(told('lost'), 1);
            assert.strictEqual(clock.timers, 0);
        });

        test('is never created again', async () => {
            keep();
            store.delete('key');
            await clock.advance(2 * TTL);
            assert.isUndefined(store.holderOf('key'));
            assert.lengthOf(store.acquires, 1);
            assert.lengthOf(store.renewals, 1);
        });

        test('that somebody else has by now is left to him', async () => {
            const lease = keep();
            store.put('key', 'other', TTL);
            await clock.advance(TTL / 3);
            assert.isFalse(lease.isHeld());
            assert.strictEqual(store.holderOf('key'), 'other');
        });

        test('takes the other keys of its lease with it', async () => {
            const lease = keep({ keys: ['a', 'b'] });
            store.delete('a');
            await clock.advance(TTL / 3);
            assert.isFalse(lease.isHeld());
            assert.isUndefined(store.holderOf('b'));
        });

        test('is reported to whoever renews by hand', async () => {
            const lease = keep({ keepAlive: false });
            store.delete('key');
            await rejection(lease.renew(), 'LOCK_LOST');
            assert.isFalse(lease.isHeld());
        });
    });

    suite('a release', () => {
        test('stops the renewals and leaves no timer', async () => {
            const lease = keep();
            assert.isTrue(await lease.release());
            assert.strictEqual(clock.timers, 0);
            assert.strictEqual(keepAlive.size, 0);
            await clock.advance(TTL);
            assert.isEmpty(store.renewals);
            assert.strictEqual(told('released'), 1);
        });

        test('waits for a renewal that is under way', async () => {
            const lease = keep();
            store.holding = true;
            await clock.advance(TTL / 3);
            const released = lease.release();
            await settled();
            assert.isEmpty(store.releases);
            store.renewals[0]?.go();
            await settled();
            assert.lengthOf(store.releases, 1);
            store.releases[0]?.go();
            assert.isTrue(await released);
            assert.strictEqual(clock.timers, 0);
        });

        test('after a renewal without an answer fails, and is done in the background', async () => {
            const lease = keep();
            store.holding = true;
            await clock.advance(TTL / 3);
            const released = lease.release();
            store.renewals[0]?.fail();
            await rejection(released, 'CONNECTION_FAILED');
            assert.isEmpty(store.releases);
            store.givenUp[0]?.fail();
            await clock.advance(500);
            store.givenUp[1]?.go();
            await settled();
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(clock.timers, 0);
        });

        test('that fails in any way is told', async () => {
            const lease = keep();
            store.holding = true;
            await clock.advance(TTL / 3);
            const released = lease.release();
            store.renewals[0]?.fail();
            await rejection(released, 'CONNECTION_FAILED');
            assert.strictEqual(told('failed'), 1);
        });

        test('without an answer fails, and is tried on until the ttl has passed', async () => {
            const lease = keep();
            store.holding = true;
            const released = lease.release();
            await settled();
            store.releases[0]?.fail();
            await rejection(released, 'CONNECTION_FAILED');
            assert.strictEqual(told('failed'), 1);
            for (let gone = 0; gone < 2 * TTL; gone += 100) {
                for (const call of store.givenUp) if (!call.answered) call.fail();
                await clock.advance(100);
            }
            assert.lengthOf(store.releases, 1);
            assert.isAbove(store.givenUp.length, 50);
            assert.strictEqual(clock.timers, 0);
        });

        test('of a key that is gone says so', async () => {
            const lease = keep();
            store.delete('key');
            assert.isFalse(await lease.release());
            assert.strictEqual(told('released'), 0);
        });

        test('gives every key back, and says whether all of them were ours', async () => {
            const lease = keep({ keys: ['a', 'b', 'c'] });
            store.put('b', 'other', TTL);
            assert.isFalse(await lease.release());
            assert.isUndefined(store.holderOf('a'));
            assert.strictEqual(store.holderOf('b'), 'other');
            assert.isUndefined(store.holderOf('c'));
        });

        test('is not overtaken by a renewal by hand that waits', async () => {
            const lease = keep();
            store.holding = true;
            await clock.advance(TTL / 3);
            const renewal = lease.renew();
            const released = lease.release();
            store.proceed();
            assert.isTrue(await released);
            await rejection(renewal, 'LOCK_LOST');
            assert.lengthOf(store.renewals, 1);
        });
    });

    suite('renewing by hand', () => {
        test('lengthens the lease to the ttl given, which the keep-alive then follows', async () => {
            const lease = keep();
            await lease.renew(2 * TTL);
            assert.isAbove(lease.remaining(), 2 * TTL - 0.02 * TTL - 3);
            await clock.advance((2 * TTL) / 3);
            assert.lengthOf(store.renewals, 2);
            assert.strictEqual(store.renewals[1]?.request.ttl, 2 * TTL);
        });

        test('never overlaps with another renewal of the lease', async () => {
            const lease = keep();
            store.holding = true;
            const renewals = [lease.renew(), lease.renew(), lease.renew()];
            for (let count = 1; count <= 3; count++) {
                await settled();
                assert.lengthOf(store.renewals, count);
                store.renewals.at(-1)?.go();
            }
            await Promise.all(renewals);
        });
    });

    test('sets one timer for all leases', async () => {
        for (let count = 0; count < 100; count++) {
            keep({ keys: [`key${count}`], holder: `holder${count}`, ttl: 1000 + 50 * count });
        }
        assert.strictEqual(clock.timers, 1);
        await clock.advance(20_000);
        assert.strictEqual(clock.timers, 1);
        assert.strictEqual(keepAlive.size, 100);
    });

    test('ends a lease in the same turn in which the event loop goes on after its deadline', async () => {
        const lease = keep();
        const { signal } = lease;
        clock.skip(2.5 * TTL);
        assert.isFalse(lease.isHeld());
        assert.isTrue(signal.aborted);
        await clock.advance(0);
        assert.isEmpty(store.renewals);
    });

    test('hands a lease over: renews it no more, and does not release it', async () => {
        const lease = keep();
        assert.strictEqual(lease.handOver(), 'me');
        await clock.advance(TTL - 1);
        assert.isEmpty(store.renewals);
        assert.isEmpty(store.releases);
        assert.strictEqual(store.holderOf('key'), 'me');
        assert.isFalse(lease.isHeld());
        assert.strictEqual(clock.timers, 0);
    });

    test('releases everything on close, also what does not answer', async () => {
        keep({ keys: ['a'], holder: 'a' });
        keep({ keys: ['b'], holder: 'b' });
        store.holding = true;
        const closed = keepAlive.close();
        await settled();
        store.releases[0]?.go();
        store.releases[1]?.fail();
        await closed;
        assert.strictEqual(keepAlive.size, 0);
        assert.isUndefined(store.holderOf('a'));
    });
});
