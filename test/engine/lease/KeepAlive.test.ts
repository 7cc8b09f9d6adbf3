import { assert } from 'chai';
import { GiveUps } from '../../../src/engine/followups/GiveUps';
import type { HeldLease } from '../../../src/engine/lease/HeldLease';
import { KeepAlive } from '../../../src/engine/lease/KeepAlive';
import { newId } from '../../../src/engine/port/holder';
import type { LockEvent } from '../../../src/engine/port/LockObserver';
import { CLAIM_WINDOW } from '../../../src/engine/port/protocol';
import { acquireFrom } from '../../fixtures/asks';
import { FakeStore } from '../../fixtures/FakeStore';
import { listenerOf } from '../../fixtures/listenerOf';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';
import { leasedKey } from './leasedKey';

const TTL = 30_000;
const DRIFT = 0.01 * TTL + 2;

interface Wanted {
    readonly keys?: readonly string[];
    readonly holder?: string;
    readonly ttl?: number;
    readonly keepAlive?: boolean;
    /** The store has the keys for a claim window so far. */
    readonly claimed?: boolean;
}

suite('KeepAlive', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let giveUps: GiveUps;
    let keepAlive: KeepAlive;
    let events: LockEvent[];

    setup(async () => {
        clock = new VirtualClock();
        store = new FakeStore(clock);
        events = [];
        giveUps = new GiveUps(store, clock);
        const tell = (event: LockEvent): void => void events.push(event);
        keepAlive = new KeepAlive(store, clock, giveUps, tell, (error) => error);
        await store.open(listenerOf());
    });

    /** Has a lease looked after that the store knows of. */
    function keep({ keys = ['key'], holder = 'me', ttl = TTL, ...wanted }: Wanted = {}): HeldLease {
        const { keepAlive: isKept = true, claimed = false } = wanted;
        const granted = claimed ? CLAIM_WINDOW : ttl;
        const [first, ...rest] = keys.map((key, at) => {
            // In the store it is granted by the time this returns.
            void acquireFrom(store, { key, id: newId(holder), ttl: granted, ticket: undefined });
            return leasedKey(clock, key, granted, 1 + at, holder);
        });
        assert.isDefined(first);
        const lease = keepAlive.begin(first, { ttl, keepAlive: isKept, context: undefined }, !claimed);
        if (rest.length > 0) lease.add(rest, !claimed);
        return lease;
    }

    /** The network is gone for so long: whatever the store is asked for fails, and takes no effect. */
    async function outage(time: number): Promise<void> {
        store.holding = true;
        const end = clock.now() + time;
        while (clock.now() < end) {
            for (const call of [...store.renewals, ...store.releases, ...store.givenUp])
                if (!call.answered) call.fail();
            await clock.advance(10);
        }
        store.proceed();
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

        test('keeps a lease also when each answer takes nearly half of the ttl', async () => {
            const lease = keep({ ttl: 1000 });
            store.holding = true;
            for (let gone = 0; gone < 20_000; gone += 10) {
                await clock.advance(10);
                for (const call of store.renewals) if (!call.answered && clock.now() - call.at >= 470) call.go();
                if (!lease.isHeld()) break;
            }
            assert.isTrue(lease.isHeld());
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

    suite('a lease that was granted by a message', () => {
        test('is asked for its whole ttl before its owner is told, and once', async () => {
            const lease = keep({ keepAlive: false, claimed: true });
            assert.lengthOf(store.renewals, 1);
            await settled();
            assert.isAbove(lease.remaining(), TTL - DRIFT - 100);
            await clock.advance(TTL);
            assert.lengthOf(store.renewals, 1);
        });

        test('is not lost because the event loop was blocked when the answer came', async () => {
            store.holding = true;
            const lease = keep({ keepAlive: false, claimed: true });
            for (const call of store.acquires) call.go();
            store.renewals[0]?.goSilently();
            const deadline = clock.now() + TTL - DRIFT;
            clock.skip(CLAIM_WINDOW + 1000);
            assert.isFalse(lease.isHeld(), 'nothing was read yet');
            assert.throws(() => lease.assertHeld(), 'has not been read');
            await clock.advance(1);
            store.renewals[0]?.reply({ kind: 'renewed', deadline });
            store.holding = false;
            await settled();
            lease.assertHeld();
            assert.isAbove(lease.remaining(), TTL - CLAIM_WINDOW - 1000 - DRIFT - 100);
            assert.isFalse(lease.signal.aborted);
            await clock.advance(TTL / 2);
            assert.isTrue(lease.isHeld());
            assert.isTrue(await lease.release());
        });

        test('is not lost because it is to be kept alive no longer, before the answer was read', async () => {
            store.holding = true;
            const lease = keep({ claimed: true });
            for (const call of store.acquires) call.go();
            store.renewals[0]?.goSilently();
            const deadline = clock.now() + TTL - DRIFT;
            clock.skip(CLAIM_WINDOW + 1000);
            await clock.advance(1);
            lease.keeper.keep(false);
            await clock.advance(1);
            store.renewals[0]?.reply({ kind: 'renewed', deadline });
            await settled();
            assert.isTrue(lease.isHeld());
        });

        test('is lost when the event loop was blocked and no answer came', async () => {
            store.holding = true;
            const lease = keep({ keepAlive: false, claimed: true });
            const { signal } = lease;
            clock.skip(CLAIM_WINDOW + 1000);
            await clock.advance(1);
            assert.isFalse(signal.aborted);
            await clock.advance(50);
            assert.isTrue(signal.aborted);
            assert.isFalse(await lease.release());
        });

        test('can be released although the event loop was blocked', async () => {
            store.holding = true;
            const lease = keep({ keepAlive: false, claimed: true });
            clock.skip(CLAIM_WINDOW - 10);
            const released = lease.release();
            store.proceed();
            assert.isTrue(await released);
            assert.isUndefined(store.holderOf('key'));
        });

        for (const keepsAlive of [true, false]) {
            test(`is asked again while there is no answer, ${keepsAlive ? 'kept alive' : 'for once'}`, async () => {
                store.holding = true;
                const lease = keep({ keepAlive: keepsAlive, claimed: true });
                await outage(1500);
                await clock.advance(1000);
                assert.isTrue(lease.isHeld());
                assert.isAbove(lease.remaining(), TTL / 2);
            });
        }

        test('is asked again also when it is to be kept alive no longer', async () => {
            store.holding = true;
            const lease = keep({ claimed: true });
            lease.keeper.keep(false);
            await outage(1000);
            await clock.advance(1000);
            assert.isAbove(lease.remaining(), TTL / 2);
            await clock.advance(TTL);
            assert.isFalse(lease.isHeld());
        });

        test('and ended before it was confirmed, is not asked again', async () => {
            store.holding = true;
            const lease = keep({ claimed: true });
            const released = lease.release();
            store.proceed();
            await released;
            await clock.advance(TTL);
            assert.lengthOf(store.renewals, 1);
        });
    });

    suite('a further key', () => {
        const SLOW = 200;

        /** Each renewal is answered after so long. */
        async function slowly(time: number): Promise<void> {
            store.holding = true;
            const end = clock.now() + time;
            while (clock.now() < end) {
                await clock.advance(10);
                for (const call of store.renewals) if (!call.answered && clock.now() - call.at >= SLOW) call.go();
            }
        }

        /** The store grants a key to the lease, by a message. */
        function claim(lease: HeldLease, key: string): void {
            void acquireFrom(store, { key, id: newId('me'), ttl: CLAIM_WINDOW, ticket: undefined });
            for (const call of store.acquires) if (!call.answered) call.go();
            lease.add([leasedKey(clock, key, CLAIM_WINDOW)], false);
        }

        test('that is granted by a message is asked for its whole ttl', async () => {
            const lease = keep({ keys: ['a'], ttl: 9000 });
            claim(lease, 'b');
            await slowly(30_000);
            assert.isTrue(lease.isHeld());
        });

        test('that is granted by a message while the others are being renewed, is too', async () => {
            const lease = keep({ keys: ['a', 'b'], ttl: 9000 });
            await slowly(3050);
            assert.lengthOf(
                store.renewals.filter(({ answered }) => !answered),
                2,
                'their renewal is under way',
            );
            claim(lease, 'c');
            await slowly(30_000);
            assert.isTrue(lease.isHeld());
        });

        test('that is granted while the others are being renewed is asked for again, if the first request fails', async () => {
            const lease = keep({ keys: ['a', 'b'], ttl: 9000 });
            await slowly(3050);
            const before = store.renewals.length;
            claim(lease, 'c');
            for (const call of store.renewals.slice(before)) call.fail();
            await slowly(30_000);
            assert.isTrue(lease.isHeld());
        });

        test('does not put off the renewal of the first key, however often one is added', async () => {
            const lease = keep({ keys: ['a'], ttl: 9000 });
            for (let count = 0; count < 20; count++) {
                await slowly(1000);
                claim(lease, `key${count}`);
            }
            assert.isTrue(lease.isHeld());
            assert.isAbove(lease.remaining(), 1500);
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
            assert.include(signal.reason.cause, { code: 'CONNECTION_FAILED' });
            assert.include(String(signal.reason), `Its last renewal failed: ${signal.reason.cause.message}`);
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

        test('is given to a caller that renews by hand, and the lease stays', async () => {
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

        test('gives up no lease that this process never renewed: its owner may have renewed it elsewhere', async () => {
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
            assert.isUndefined(signal.reason.cause);
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

        test('is reported to a caller that renews by hand', async () => {
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
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(clock.timers, 0);
            assert.strictEqual(keepAlive.size, 0);
            await clock.advance(TTL);
            assert.isEmpty(store.renewals);
            assert.strictEqual(told('released'), 1);
        });

        test('while a renewal is under way is done at once, and not undone by it', async () => {
            const lease = keep();
            store.holding = true;
            await clock.advance(TTL / 3);
            const released = lease.release();
            store.releases[0]?.go();
            assert.isTrue(await released);
            store.proceed();
            await clock.advance(TTL);
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(told('lost'), 0);
            assert.strictEqual(clock.timers, 0);
        });

        test('that fails is told, and retried until it succeeds', async () => {
            const lease = keep();
            store.holding = true;
            const released = rejection(lease.release(), 'CONNECTION_FAILED');
            await outage(TTL / 2);
            await released;
            await clock.advance(2000);
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(told('failed'), 1);
            assert.strictEqual(clock.timers, 0);
        });

        test('that fails is retried until the ttl has passed, at the longest', async () => {
            const lease = keep();
            store.holding = true;
            const released = rejection(lease.release(), 'CONNECTION_FAILED');
            await outage(2 * TTL);
            await released;
            assert.strictEqual(giveUps.size, 0);
            assert.strictEqual(clock.timers, 0);
        });

        test('that fails after a renewal to less is retried for as long as the key may last', async () => {
            const lease = keep({ ttl: 25_000, keepAlive: false });
            await lease.renew(300);
            store.holding = true;
            const released = rejection(lease.release(), 'CONNECTION_FAILED');
            await outage(20_000);
            await released;
            assert.strictEqual(store.holderOf('key'), 'me');
            await clock.advance(2000);
            assert.isUndefined(store.holderOf('key'));
        });

        test('that fails after a renewal to more is retried for as long as the key may last', async () => {
            const lease = keep({ ttl: 1000, keepAlive: false });
            await lease.renew(25_000);
            await lease.renew(1000);
            store.holding = true;
            const released = rejection(lease.release(), 'CONNECTION_FAILED');
            await outage(20_000);
            await released;
            await clock.advance(2000);
            assert.isUndefined(store.holderOf('key'));
        });

        test('that fails when a renewal may still arrive is retried until it is answered', async () => {
            const lease = keep();
            store.holding = true;
            await clock.advance(TTL / 3);
            const renewal = store.renewals[0];
            const released = rejection(lease.release(), 'CONNECTION_FAILED');
            for (let gone = 0; gone < 1.4 * TTL; gone += 100) {
                for (const call of store.releases) if (!call.answered) call.fail();
                await clock.advance(100);
                // The server finds at last what it was sent long ago, but answers nothing.
                if (gone === TTL / 2) renewal?.goSilently();
            }
            await released;
            assert.strictEqual(store.holderOf('key'), 'me');
            store.proceed();
            await clock.advance(2000);
            assert.isUndefined(store.holderOf('key'));
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
            const renewal = rejection(lease.renew(), 'LOCK_LOST');
            const released = lease.release();
            store.proceed();
            assert.isTrue(await released);
            await renewal;
            assert.isUndefined(store.holderOf('key'));
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

    suite('a renewal to less', () => {
        test('bounds the rhythm by what remains', async () => {
            const lease = keep({ ttl: 10_000 });
            await clock.advance(1000);
            await lease.renew(1);
            await clock.advance(8000);
            assert.isTrue(lease.isHeld());
            assert.isBelow(store.renewals.length, 15);
        });

        test('bounds the tries after a failure by what remains', async () => {
            const lease = keep({ ttl: 10_000 });
            await lease.renew(1);
            await outage(8000);
            assert.isTrue(lease.isHeld());
            assert.isBelow(store.renewals.length, 40);
        });

        test('keeps the lease alive with the shorter ttl', async () => {
            const lease = keep({ ttl: 10_000 });
            await lease.renew(1000);
            await clock.advance(60_000);
            assert.isTrue(lease.isHeld());
            assert.isBelow(lease.remaining(), 1000);
        });
    });

    test('takes back a renewal whose answer was lost once the lease has run out', async () => {
        const lease = keep({ ttl: 1000, keepAlive: false });
        store.holding = true;
        const renewed = rejection(lease.renew(TTL), 'CONNECTION_FAILED');
        store.renewals[0]?.goUnheard();
        await renewed;
        store.proceed();
        await clock.advance(2000);
        assert.isFalse(lease.isHeld());
        assert.isUndefined(store.holderOf('key'));
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

    test('has what may still arrive of a lease refused that it hands over', async () => {
        const lease = keep();
        const astray = newId();
        lease.add([{ ...leasedKey(clock, 'other', TTL, 2, `${astray}2`), buried: astray }], true);
        store.put('other', `${astray}2`, TTL);
        store.holding = true;
        lease.handOver();
        for (const call of store.releases) call.fail();
        store.holding = false;
        await clock.advance(1000);
        assert.strictEqual(store.holderOf('other'), `${astray}2`);
        assert.strictEqual(store.holderOf('key'), 'me');
        store.delete('other');
        const late = acquireFrom(store, { key: 'other', id: astray, ttl: TTL, ticket: 0 });
        await rejection(late, 'LOCK_ABORTED');
    });

    test('releases everything on close, also what does not answer', async () => {
        const leases = [keep({ keys: ['a'], holder: 'a' }), keep({ keys: ['b'], holder: 'b' })];
        store.holding = true;
        const closed = keepAlive.close();
        await settled();
        store.releases[0]?.go();
        store.releases[1]?.fail();
        await closed;
        assert.strictEqual(keepAlive.size, 0);
        assert.isUndefined(store.holderOf('a'));
        for (const { signal } of leases) assert.include(signal.reason, { code: 'CLOSED' });
    });
});
