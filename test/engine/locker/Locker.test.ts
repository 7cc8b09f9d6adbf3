import { assert } from 'chai';
import fc from 'fast-check';
import { getEventListeners } from 'node:events';
import { LockError } from '../../../src/engine/port/errors';
import { newId, readHolder } from '../../../src/engine/port/holder';
import type { Lease } from '../../../src/engine/lease/Lease';
import { Locker } from '../../../src/engine/locker/Locker';
import type { LeaseOptions } from '../../../src/engine/locker/LeaseOptions';
import type { LockerOptions } from '../../../src/engine/locker/LockerOptions';
import type { LockEvent } from '../../../src/engine/port/LockObserver';
import type { StoreListener } from '../../../src/engine/port/LockStore';
import { acquireFrom, releaseTo } from '../../fixtures/asks';
import { FakeStore } from '../../fixtures/FakeStore';
import { listenerOf } from '../../fixtures/listenerOf';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

const TTL = 30_000;

suite('Locker', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let locker: Locker;
    let events: LockEvent[];

    setup(async () => {
        clock = new VirtualClock();
        store = new FakeStore(clock);
        events = [];
        locker = lockerWith();
        await locker.open();
    });

    function lockerWith(options: Partial<LockerOptions> = {}): Locker {
        return new Locker(store, { ttl: TTL, ...options }, { observe: (event) => events.push(event) }, clock);
    }

    async function opened(options: Partial<LockerOptions>): Promise<Locker> {
        const one = lockerWith(options);
        await one.open();
        return one;
    }

    /** How many steps the store was asked for. */
    function asked(): number {
        const { acquires, renewals, releases, givenUp } = store;
        return acquires.length + renewals.length + releases.length + givenUp.length;
    }

    function told(): string[] {
        return events.map(({ kind }) => kind);
    }

    suite('tryAcquire', () => {
        test('gives a lease of a free key', async () => {
            const lease = await locker.tryAcquire('key');
            assert.isNotNull(lease);
            assert.strictEqual(lease.key, 'key');
            assert.strictEqual(store.holderOf('key'), lease.holder);
            assert.isAbove(lease.fence, 0);
            assert.isTrue(lease.isHeld());
            assert.deepEqual(locker.load, { held: 1, waiting: 0 });
        });

        test('gives null when somebody else holds the key', async () => {
            store.put('key', 'other', TTL);
            assert.isNull(await locker.tryAcquire('key'));
            assert.deepEqual(locker.load, { held: 0, waiting: 0 });
            assert.strictEqual(clock.timers, 0);
            assert.include(told(), 'busy');
        });

        test('ignores a timeout', async () => {
            store.put('key', 'other', TTL);
            assert.isNull(await locker.tryAcquire('key', { timeout: 5000 }));
            assert.isUndefined(store.acquires[0]?.request.ticket);
        });

        test('holds each key under another id', async () => {
            const leases = [await locker.tryAcquire('a'), await locker.tryAcquire('b')];
            assert.notStrictEqual(leases[0]?.holder, leases[1]?.holder);
        });

        test('gives the lease the ttl of the locker, or its own', async () => {
            await locker.tryAcquire('a');
            await locker.tryAcquire('b', { ttl: 1234 });
            assert.deepEqual(
                store.acquires.map(({ request }) => request.ttl),
                [TTL, 1234],
            );
        });

        test('keeps the lease alive unless told not to', async () => {
            const kept = await locker.tryAcquire('kept');
            const left = await locker.tryAcquire('left', { keepAlive: false });
            await clock.advance(2 * TTL);
            assert.isTrue(kept?.isHeld());
            assert.isFalse(left?.isHeld());
        });

        test('keeps a lease alive from the moment at which it is told to, however little is left', async () => {
            const lease = await locker.acquire('key', { keepAlive: false });
            await clock.advance(TTL - 1000);
            assert.isBelow(lease.remaining(), 1000);
            locker.keepAlive(lease, true);
            await clock.advance(10 * TTL);
            assert.isTrue(lease.isHeld());
        });

        test('keeps a lease alive no longer when it is told so', async () => {
            const lease = await locker.acquire('key');
            await clock.advance(2 * TTL);
            locker.keepAlive(lease, false);
            assert.isAbove(lease.remaining(), TTL / 2);
            await clock.advance(TTL);
            assert.isFalse(lease.isHeld());
        });

        test('does not keep alive what was released or lost', async () => {
            const [released, lost] = [await locker.acquire('a'), await locker.acquire('b', { keepAlive: false })];
            await released.release();
            await clock.advance(TTL);
            locker.keepAlive(released, true);
            locker.keepAlive(lost, true);
            assert.strictEqual(locker.load.held, 0);
            assert.strictEqual(clock.timers, 0);
            await clock.advance(TTL);
            assert.isFalse(released.isHeld() || lost.isHeld());
            assert.strictEqual(clock.timers, 0);
        });
    });

    suite('acquire', () => {
        test('waits until the key is passed on', async () => {
            const first = await locker.acquire('key');
            const second = locker.acquire('key', { timeout: 5000 });
            await clock.advance(1000);
            assert.deepEqual(locker.load, { held: 1, waiting: 1 });
            await first.release();
            const lease = await second;
            assert.isAbove(lease.fence, first.fence);
            assert.strictEqual(store.holderOf('key'), lease.holder);
        });

        test('confirms a lease that was passed on, for all of its ttl', async () => {
            const first = await locker.acquire('key');
            const second = locker.acquire('key', { timeout: 5000, keepAlive: false });
            await settled();
            await first.release();
            const lease = await second;
            await settled();
            assert.isAbove(lease.remaining(), 0.98 * TTL);
        });

        test('says LOCK_TIMEOUT, who holds the key and for how long, when it was busy to the end', async () => {
            store.put('key', 'other', 60_000);
            const waiting = locker.acquire('key', { timeout: 1000 });
            const [error] = await Promise.all([rejection(waiting, 'LOCK_TIMEOUT'), clock.advance(1000)]);
            assert.instanceOf(error, LockError);
            assert.strictEqual(error.key, 'key');
            assert.strictEqual(error.holder, 'other');
            assert.approximately(error.remaining ?? 0, 59_000, 200);
            assert.include(told(), 'timeout');
            assert.strictEqual(clock.timers, 0);
            assert.deepEqual(store.lineOf('key'), []);
        });

        test('waits for as long as the locker says by default', async () => {
            const short = await opened({ timeout: 700 });
            store.put('key', 'other', TTL);
            const start = clock.now();
            let settledAt = 0;
            const waiting = rejection(short.acquire('key'), 'LOCK_TIMEOUT').then(() => (settledAt = clock.now()));
            await clock.advance(2000);
            await waiting;
            assert.strictEqual(settledAt - start, 700);
        });

        test('is stopped by its signal', async () => {
            store.put('key', 'other', TTL);
            const controller = new AbortController();
            const waiting = locker.acquire('key', { timeout: 5000, signal: controller.signal });
            await settled();
            controller.abort();
            await rejection(waiting, 'LOCK_ABORTED');
            await settled();
            assert.deepEqual(store.lineOf('key'), []);
        });

        test('is over for good when an observer sends the caller away', async () => {
            const controller = new AbortController();
            const observe = ({ kind }: LockEvent): void => {
                if (kind === 'waiting') controller.abort();
            };
            const theirs = store.another();
            const one = new Locker(theirs, { ttl: TTL }, { observe }, clock);
            await one.open();
            await locker.acquire('key');
            await rejection(one.acquire('key', { timeout: 60_000, signal: controller.signal }), 'LOCK_ABORTED');
            await clock.advance(30_000);
            assert.lengthOf(theirs.acquires, 1);
            assert.deepEqual(store.lineOf('key'), []);
            await one.close();
        });

        test('tells the observer of it all, with the context of the caller', async () => {
            const context = { any: 'thing' };
            const first = await locker.acquire('key', { context });
            const second = locker.acquire('key', { context, timeout: 5000, keepAlive: false });
            await settled();
            await clock.advance(500);
            await first.release();
            const { holder } = await second;
            await (await second).release();
            // Before the grant the fence is missing.
            const of = (one: string): LockEvent[] =>
                events.filter((event) => 'holder' in event && one.startsWith(event.holder));
            assert.deepEqual(
                of(first.holder).map(({ kind }) => kind),
                ['acquired', 'released'],
            );
            assert.deepEqual(
                of(holder).map(({ kind }) => kind),
                ['waiting', 'acquired', 'renewed', 'released'],
            );
            // While it waits its fence is not known yet.
            const waiting = events.find(({ kind }) => kind === 'waiting');
            assert.isTrue(waiting?.kind === 'waiting' && holder.startsWith(`${waiting.holder}:`));
            for (const event of events) assert.deepInclude(event, { key: 'key', context });
            assert.deepInclude(of(first.holder)[1], { held: 500 });
            assert.deepInclude(of(holder)[1], { waited: 500 });
        });
    });

    suite('a holder that its caller has chosen', () => {
        const options = { holder: 'mine', timeout: 10_000 };
        /** Of which the release has no answer yet. */
        let before: Lease;
        let released: Promise<unknown>;

        setup(async () => {
            before = await locker.acquire('key', options);
            store.holding = true;
            released = before.release().catch(() => 'failed');
            await settled();
        });

        async function fail(): Promise<void> {
            for (const call of store.releases) if (!call.answered) call.fail();
            await settled();
        }

        /** A try of the release has failed, and the next one reaches the store. */
        async function releases(): Promise<void> {
            await fail();
            store.proceed();
            await clock.advance(300);
        }

        for (const how of ['acquire', 'tryAcquire'] as const) {
            test(`is acquired again when its release was done: ${how}`, async () => {
                const next = locker[how]('key', options);
                await settled();
                assert.lengthOf(store.acquires, 1);
                store.holding = false;
                store.proceed();
                assert.isTrue(await released);
                assert.isTrue((await next)?.isHeld());
                assert.strictEqual(store.holderOf('key'), 'mine');
            });

            test(`is acquired again when its release was done at last, and what is late does nothing: ${how}`, async () => {
                const next = locker[how]('key', options);
                await releases();
                assert.isTrue((await next)?.isHeld());
                store.releases[0]?.goSilently();
                assert.strictEqual(store.holderOf('key'), 'mine');
                await clock.advance(2 * TTL);
                assert.isTrue((await next)?.isHeld());
                assert.isTrue(await (await next)?.release());
                assert.isUndefined(store.holderOf('key'));
            });
        }

        test('is not acquired while nobody knows what became of its release', async () => {
            const next = rejection(locker.acquire('key', options), 'CONNECTION_FAILED');
            const tried = rejection(locker.tryAcquire('key', options), 'CONNECTION_FAILED');
            const caller = new AbortController();
            const { signal } = caller;
            const aborted = rejection(locker.acquire('key', { ...options, signal }), 'LOCK_ABORTED');
            for (let gone = 0; gone <= 10_100; gone += 100) {
                await fail();
                await clock.advance(100);
                if (gone === 1000) {
                    assert.match((await tried).message, /unknown whether key was given back/);
                    caller.abort();
                    await aborted;
                }
            }
            assert.match((await next).message, /unknown whether key was given back/);
            assert.lengthOf(store.acquires, 1);
            assert.deepEqual(locker.load, { held: 0, waiting: 0 });
        });

        test('is acquired again when it has run out', async () => {
            const next = locker.acquire('key', { ...options, timeout: Infinity });
            for (let gone = 0; gone < TTL + 1000; gone += 100) {
                await fail();
                await clock.advance(100);
            }
            store.proceed();
            assert.isTrue((await next).isHeld());
            assert.strictEqual(store.holderOf('key'), 'mine');
        });

        test('of another key, and another holder of the key, do not wait', async () => {
            store.holding = false;
            assert.isTrue((await locker.acquire('other', options)).isHeld());
            assert.isNull(await locker.tryAcquire('key', { holder: 'theirs' }));
            assert.isNull(await locker.tryAcquire('key'));
            await fail();
        });

        test('is acquired when its lost lease was given back', async () => {
            store.proceed();
            await released;
            const kept = await locker.acquire('key', options);
            store.holding = true;
            await clock.advance(TTL);
            assert.isFalse(kept.isHeld());
            const next = locker.acquire('key', options);
            await settled();
            const attempts = store.acquires.length;
            store.proceed();
            await clock.advance(300);
            assert.isTrue((await next).isHeld());
            assert.isAbove(store.acquires.length, attempts);
            assert.strictEqual(store.holderOf('key'), 'mine');
        });
    });

    suite('several keys', () => {
        test('are taken in sorted order, each once', async () => {
            const lease = await locker.acquire(['c', 'a', 'b', 'a']);
            assert.deepEqual(lease.keys, ['a', 'b', 'c']);
            assert.deepEqual(
                store.acquires.map(({ request }) => request.key),
                ['a', 'b', 'c'],
            );
            for (const key of lease.keys) {
                assert.strictEqual(store.holderOf(key), lease.holderOf(key));
                assert.isNumber(lease.fenceOf(key));
            }
        });

        test('are all asked for at once', async () => {
            store.holding = true;
            const waiting = locker.acquire(['c', 'a', 'b']);
            assert.deepEqual(
                store.acquires.map(({ request: { key, ticket } }) => [key, ticket]),
                [
                    ['a', undefined],
                    ['b', undefined],
                    ['c', undefined],
                ],
            );
            store.proceed();
            assert.deepEqual((await waiting).keys, ['a', 'b', 'c']);
        });

        test('are not held while an earlier one is waited for', async () => {
            store.put('b', 'other', 600);
            const waiting = locker.acquire(['a', 'b', 'c'], { timeout: TTL });
            await settled();
            assert.isDefined(store.holderOf('a'));
            assert.isUndefined(store.holderOf('c'));
            assert.lengthOf(store.lineOf('b'), 1);
            await clock.advance(700);
            const lease = await waiting;
            assert.deepEqual(lease.keys, ['a', 'b', 'c']);
            assert.strictEqual(store.holderOf('c'), lease.holderOf('c'));
        });

        test('that a holder was chosen for are asked for one by one', async () => {
            store.holding = true;
            const waiting = locker.acquire(['a', 'b'], { holder: 'me' });
            await settled();
            assert.lengthOf(store.acquires, 1);
            store.proceed();
            assert.strictEqual((await waiting).holderOf('b'), 'me');
        });

        test('are had again where one of them took longer to answer than the others last', async () => {
            store.holding = true;
            const waiting = locker.acquire(['a', 'b'], { ttl: 1000, timeout: TTL });
            store.acquires[0]?.go();
            await clock.advance(1500);
            store.holding = false;
            store.acquires[1]?.go();
            const [lease] = await Promise.all([waiting, clock.advance(10)]);
            assert.deepEqual(lease.keys, ['a', 'b']);
            assert.isAbove(lease.remaining(), 900);
            assert.deepEqual(
                ['a', 'b'].map((key) => store.holderOf(key)),
                ['a', 'b'].map((key) => lease.holderOf(key)),
            );
        });

        test('tell of each key that was acquired, and of one refusal', async () => {
            store.put('b', 'other', TTL);
            assert.isNull(await locker.tryAcquire(['a', 'b', 'c']));
            assert.deepEqual(told(), ['acquired', 'released', 'busy']);
        });

        test('are given back together', async () => {
            const lease = await locker.acquire(['a', 'b', 'c']);
            assert.isTrue(await lease.release());
            for (const key of ['a', 'b', 'c']) assert.isUndefined(store.holderOf(key));
            assert.strictEqual(clock.timers, 0);
        });

        test('are all given back when one is busy', async () => {
            store.put('b', 'other', TTL);
            assert.isNull(await locker.tryAcquire(['a', 'b', 'c']));
            assert.isUndefined(store.holderOf('a'));
            assert.isUndefined(store.holderOf('c'));
            assert.deepEqual(locker.load, { held: 0, waiting: 0 });
            assert.strictEqual(clock.timers, 0);
        });

        test('are all given back when one is busy to the end, within one timeout for all', async () => {
            store.put('a', 'other', 600);
            store.put('c', 'other', TTL);
            const start = clock.now();
            let settledAt = 0;
            const waiting = rejection(locker.acquire(['a', 'b', 'c'], { timeout: 1000 }), 'LOCK_TIMEOUT');
            const noted = waiting.then((error) => {
                settledAt = clock.now();
                return error;
            });
            await clock.advance(3000);
            const error = await noted;
            assert.instanceOf(error, LockError);
            assert.strictEqual(error.key, 'c');
            assert.strictEqual(settledAt - start, 1000);
            assert.isUndefined(store.holderOf('a'));
            assert.isUndefined(store.holderOf('b'));
        });

        test('are all given back when one fails', async () => {
            store.holding = true;
            const waiting = locker.acquire(['a', 'b']);
            store.acquires[0]?.go();
            store.acquires[1]?.fail('WRONG_TYPE');
            await clock.advance(1);
            store.acquires[2]?.fail('WRONG_TYPE');
            store.holding = false;
            await Promise.all([rejection(waiting, 'WRONG_TYPE'), clock.advance(1)]);
            await settled();
            assert.isUndefined(store.holderOf('a'));
            assert.strictEqual(clock.timers, 0);
        });

        test('whose last has no answer fail with the timeout that the caller gave, not with what was left of it', async () => {
            store.holding = true;
            const waiting = rejection(locker.acquire(['a', 'b'], { timeout: 1000 }), 'CONNECTION_FAILED');
            await clock.advance(400);
            store.acquires[0]?.go();
            await clock.advance(700);
            store.proceed();
            await clock.advance(1);
            assert.include((await waiting).message, 'the timeout of 1000 ms');
        });

        test('that were acquired do not run out while others are waited for', async () => {
            store.put('b', 'other', 3 * TTL);
            const waiting = locker.acquire(['a', 'b'], { timeout: 4 * TTL, keepAlive: false });
            await clock.advance(3 * TTL + 200);
            const lease = await waiting;
            assert.isTrue(lease.isHeld());
            assert.isAbove(lease.remaining(), 0.9 * TTL);
            await clock.advance(2 * TTL);
            assert.isFalse(lease.isHeld());
        });

        test('are acquired although the event loop was blocked when the first was renewed', async () => {
            const other = new Locker(store.another(), { ttl: 4 * TTL }, undefined, clock);
            await other.open();
            const theirs = await other.acquire('b');
            const waiting = locker.acquire(['a', 'b'], { timeout: 3 * TTL });
            await settled();
            store.holding = true;
            await clock.advance(TTL / 3);
            const [renewal] = store.renewals;
            renewal?.goSilently();
            clock.skip((TTL * 2) / 3);
            await theirs.release();
            await settled();
            store.acquires.at(-1)?.go();
            await settled();
            renewal?.reply({ kind: 'renewed', deadline: renewal.at + 0.98 * TTL });
            store.proceed();
            assert.isTrue((await waiting).isHeld());
            await other.close();
        });

        test('all last for the ttl from when the last of them was acquired', async () => {
            store.put('b', 'other', TTL / 2);
            const waiting = locker.acquire(['a', 'b'], { timeout: TTL });
            await clock.advance(TTL / 2 + 200);
            assert.isAbove((await waiting).remaining(), 0.97 * TTL);
        });

        test('are all given back when one is lost while another is waited for', async () => {
            store.put('b', 'other', TTL);
            const waiting = locker.acquire(['a', 'b'], { timeout: 3 * TTL });
            await clock.advance(1000);
            store.put('a', 'thief', 2 * TTL);
            const [error] = await Promise.all([rejection(waiting), clock.advance(1.5 * TTL)]);
            assert.include(error, { code: 'LOCK_LOST' });
            await settled();
            assert.strictEqual(store.holderOf('a'), 'thief');
            assert.isUndefined(store.holderOf('b'));
            assert.deepEqual(store.lineOf('b'), []);
            assert.strictEqual(clock.timers, 0);
        });

        for (const signal of [undefined, new AbortController().signal]) {
            test(`are waited for no longer when one is lost, ${signal ? 'with' : 'without'} a signal`, async () => {
                store.put('b', 'other', 10 * TTL);
                let settledAt = Infinity;
                const start = clock.now();
                const waiting = rejection(locker.acquire(['a', 'b'], { timeout: 5 * TTL, signal }), 'LOCK_LOST');
                const noted = waiting.then(() => {
                    settledAt = clock.now();
                });
                await clock.advance(1000);
                store.delete('a');
                await clock.advance(TTL);
                assert.isAtMost(settledAt, start + 1000 + TTL / 3);
                await noted;
                assert.deepEqual(store.lineOf('b'), []);
            });
        }

        test('leave nothing on a signal that lives on', async () => {
            const { signal } = new AbortController();
            const listeners = (): number => getEventListeners(signal, 'abort').length;
            const held: Lease[] = [];
            for (let count = 0; count < 20; count++) {
                held.push(await locker.acquire([`a${count}`, `b${count}`, `c${count}`], { signal }));
            }
            store.put('busy', 'other', TTL);
            assert.isNull(await locker.tryAcquire(['a', 'busy'], { signal }));
            assert.strictEqual(listeners(), 0);
            store.put('x', 'other', TTL);
            const waiting = held.map((_, at) =>
                rejection(locker.acquire([`w${at}`, 'x', `z${at}`], { signal, timeout: 5000 }), 'LOCK_TIMEOUT'),
            );
            await settled();
            assert.isAtMost(listeners(), 2);
            await Promise.all([...waiting, clock.advance(5000)]);
            assert.strictEqual(listeners(), 0);
            for (const lease of held) await lease.release();
        });

        test('obey a signal of another class, as that of jsdom', async () => {
            store.put('b', 'other', TTL);
            const signal = new ForeignSignal();
            const waiting = rejection(locker.acquire(['a', 'b'], { timeout: TTL, signal }), 'LOCK_ABORTED');
            await clock.advance(1000);
            signal.abort();
            await waiting;
            await settled();
            assert.isUndefined(store.holderOf('a'));
            assert.strictEqual(signal.listeners.size, 0);
        });

        test('are all given back when the signal cannot be listened to', async () => {
            const signal = new ForeignSignal();
            signal.addEventListener = () => {
                // Only once the first key is there.
                if (store.holderOf('a') !== undefined) throw new TypeError('It is none of ours.');
            };
            store.put('b', 'other', TTL);
            const waiting = rejection(locker.acquire(['a', 'b'], { signal }));
            assert.match((await waiting).message, /none of ours/);
            await clock.advance(TTL);
            assert.isUndefined(store.holderOf('a'));
            assert.deepEqual(locker.load, { held: 0, waiting: 0 });
            assert.strictEqual(clock.timers, 0);
        });

        test('are waited for until the signal of the caller, and all given back', async () => {
            store.put('b', 'other', TTL);
            const controller = new AbortController();
            const { signal } = controller;
            const waiting = rejection(locker.acquire(['a', 'b'], { timeout: TTL, signal }), 'LOCK_ABORTED');
            await clock.advance(1000);
            controller.abort();
            await waiting;
            await settled();
            assert.isUndefined(store.holderOf('a'));
            assert.deepEqual(store.lineOf('b'), []);
            assert.strictEqual(clock.timers, 0);
        });

        test('are all given back when one ran out just as another was granted', async () => {
            const start = clock.now();
            const other = store.another();
            await acquireFrom(other, { key: 'b', id: newId('other'), ttl: TTL / 2, ticket: undefined });
            const waiting = rejection(locker.acquire(['a', 'b'], { timeout: 3 * TTL }), 'LOCK_LOST');
            await settled();
            store.holding = true;
            const sent = (): number => store.acquires.filter(({ answered }) => !answered).length;
            while (clock.now() < start + 0.6 * TTL || sent() === 0) await clock.advance(10);
            // The event loop is blocked past the deadline of the first key.
            clock.skip(0.45 * TTL);
            store.proceed();
            await waiting;
            await settled();
            assert.isUndefined(store.holderOf('b'));
        });

        test('cannot deadlock two callers', async () => {
            const done: string[] = [];
            const use = (name: string, keys: string[]): Promise<void> =>
                locker.withLock(keys, { timeout: Infinity }, () => {
                    done.push(name);
                    return Promise.resolve();
                });
            const both = Promise.all([use('one', ['a', 'b']), use('two', ['b', 'a'])]);
            await clock.advance(1000);
            await both;
            assert.sameMembers(done, ['one', 'two']);
        });

        test('that are none are refused', async () => {
            await rejection(locker.tryAcquire([]), 'BAD_KEY');
        });
    });

    suite('a holder that the caller chose', () => {
        test('is what the key holds', async () => {
            const lease = await locker.acquire('key', { holder: 'job 7' });
            assert.strictEqual(lease.holder, 'job 7');
            assert.strictEqual(store.holderOf('key'), 'job 7');
        });

        test('gets a key again that it has, with a greater fence', async () => {
            const first = await locker.acquire('key', { holder: 'job 7' });
            const again = await locker.tryAcquire('key', { holder: 'job 7' });
            assert.isAbove(again?.fence ?? 0, first.fence);
        });

        test('waits like any other for a key that somebody else has', async () => {
            store.put('key', 'other', TTL);
            assert.isNull(await locker.tryAcquire('key', { holder: 'job 7' }));
        });

        test('that gives up waiting keeps what another acquisition of it has', async () => {
            store.put('key', 'other', TTL);
            const controller = new AbortController();
            const stays = locker.acquire('key', { holder: 'job 7', timeout: 2 * TTL });
            await settled();
            const leaves = locker.acquire('key', { holder: 'job 7', timeout: 2 * TTL, signal: controller.signal });
            await settled();
            await releaseTo(store, 'key', 'other');
            await stays;
            controller.abort();
            await leaves.catch(() => null);
            await settled();
            assert.strictEqual(store.holderOf('key'), 'job 7');
        });

        test('renews and releases without its lease, also from elsewhere', async () => {
            const holder = (await locker.acquire('key', { keepAlive: false })).handOver();
            const elsewhere = await opened({});
            assert.isTrue(await elsewhere.renew('key', holder, 50_000));
            assert.approximately((await elsewhere.inspect('key')).remaining, 50_000, 1);
            assert.isFalse(await elsewhere.release('key', 'somebody else'));
            assert.isTrue(await elsewhere.release('key', holder));
            assert.isFalse(await elsewhere.release('key', holder), 'it has not got it any more');
            assert.isFalse(await elsewhere.renew('key', holder, 50_000));
        });
    });

    suite('what a store that hangs does later', () => {
        /** Everything fails that the store is asked for, for so long; what it was sent stays with it. */
        async function hang(time: number): Promise<void> {
            for (let gone = 0; gone < time; gone += 500) {
                const { acquires, renewals, releases, givenUp } = store;
                for (const call of [...acquires, ...renewals, ...releases, ...givenUp]) {
                    if (!call.answered && clock.now() - call.at >= 3000) call.fail();
                }
                await clock.advance(500);
            }
        }

        for (const time of [10_000, 36_000, 200_000]) {
            test(`is undone: an acquisition that was sent ${time} ms before`, async () => {
                store.holding = true;
                const failed = rejection(locker.acquire('key', { timeout: 1000 }), 'CONNECTION_FAILED');
                await hang(time);
                await failed;
                store.acquires[0]?.goSilently();
                assert.isDefined(store.holderOf('key'));
                store.proceed();
                await clock.advance(4000);
                assert.isUndefined(store.holderOf('key'));
                assert.deepEqual(store.lineOf('key'), []);
                assert.strictEqual(clock.timers, 0);
            });
        }

        test('is undone: a renewal of a lease that was lost meanwhile', async () => {
            const lease = await locker.acquire('key', { ttl: 40_000 });
            store.holding = true;
            await hang(39_000);
            for (const call of store.renewals) call.goSilently();
            await hang(39_000);
            assert.isFalse(lease.isHeld());
            store.proceed();
            await clock.advance(4000);
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(clock.timers, 0);
        });
    });

    test('gives a key back that it cannot make a lease of', async () => {
        const acquire = store.acquire.bind(store);
        store.acquire = (request, callback) =>
            acquire(request, (answer) =>
                callback(answer instanceof Error || answer.kind === 'busy' ? answer : { ...answer, deadline: NaN }),
            );
        for (const keys of ['a', ['a', 'b']]) {
            await rejection(locker.acquire(keys));
            await clock.advance(1000);
            assert.isUndefined(store.holderOf('a'));
            assert.deepEqual(locker.load, { held: 0, waiting: 0 });
        }
    });

    suite('withLock', () => {
        test('gives the lease to the work and its result to the caller', async () => {
            const result = await locker.withLock('key', {}, (lease) => {
                assert.strictEqual(store.holderOf('key'), lease.holder);
                return Promise.resolve(42);
            });
            assert.strictEqual(result, 42);
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(clock.timers, 0);
        });

        test('rejects with what the work throws, and releases', async () => {
            const failing = locker.withLock('key', {}, () => Promise.reject(new Error('the work failed')));
            assert.strictEqual((await rejection(failing)).message, 'the work failed');
            assert.isUndefined(store.holderOf('key'));
        });

        test('releases when the work throws before it returns a promise', async () => {
            const failing = locker.withLock('key', {}, () => {
                throw new Error('the work failed');
            });
            assert.strictEqual((await rejection(failing)).message, 'the work failed');
            assert.isUndefined(store.holderOf('key'));
        });

        test('rejects with what the work throws also when the release fails', async () => {
            const failing = locker.withLock('key', {}, () => {
                store.holding = true;
                return Promise.reject(new Error('the work failed'));
            });
            await settled();
            store.releases[0]?.fail();
            assert.strictEqual((await rejection(failing)).message, 'the work failed');
            assert.include(told(), 'failed');
            store.proceed();
        });

        test('rejects with what the work throws also when the lease was lost', async () => {
            const failing = locker.withLock('key', { keepAlive: false }, () => {
                clock.skip(TTL);
                return Promise.reject(new Error('the work failed'));
            });
            assert.strictEqual((await rejection(failing)).message, 'the work failed');
        });

        test('says LOCK_LOST when the lease ran out and the work did not notice', async () => {
            const working = locker.withLock('key', { keepAlive: false }, () => {
                clock.skip(TTL);
                return Promise.resolve('done');
            });
            const error = await rejection(working, 'LOCK_LOST');
            assert.match(error.message, /ran out/);
        });

        test('says LOCK_LOST when the key was taken by somebody else, and leaves it to him', async () => {
            const working = locker.withLock('key', {}, () => {
                store.put('key', 'thief', TTL);
                return Promise.resolve('done');
            });
            await rejection(working, 'LOCK_LOST');
            assert.strictEqual(store.holderOf('key'), 'thief');
        });

        test('says CLOSED when the locker was closed and the work did not notice', async () => {
            let finish: () => void = () => undefined;
            const working = rejection(
                locker.withLock('key', {}, () => new Promise<void>((resolve) => (finish = resolve))),
                'CLOSED',
            );
            await settled();
            await locker.close();
            finish();
            await working;
        });

        test('tells the work of the loss by the signal of the lease', async () => {
            const working = locker.withLock('key', {}, async (lease) => {
                await new Promise((resolve) => lease.signal.addEventListener('abort', resolve));
                throw lease.signal.reason;
            });
            const lost = rejection(working, 'LOCK_LOST');
            await settled();
            store.delete('key');
            await clock.advance(TTL);
            await lost;
        });

        test('gives the result although the release has no answer', async () => {
            const working = locker.withLock('key', {}, () => {
                store.holding = true;
                return Promise.resolve('done');
            });
            await settled();
            store.releases[0]?.fail();
            assert.strictEqual(await working, 'done');
            assert.include(told(), 'failed');
            store.proceed();
        });

        test('does nothing when the key is busy', async () => {
            store.put('key', 'other', TTL);
            let worked = false;
            const work = (): Promise<void> => {
                worked = true;
                return Promise.resolve();
            };
            await rejection(locker.withLock('key', { timeout: 0 }, work), 'LOCK_TIMEOUT');
            assert.isFalse(worked);
        });
    });

    suite('refuses', () => {
        for (const key of ['', '\ud800', 'a\udfffb', 'redis-lock:{a}:q']) {
            test(`the key ${JSON.stringify(key)}`, async () => {
                await rejection(locker.tryAcquire(key), 'BAD_KEY');
                await rejection(locker.acquire(['good', key]), 'BAD_KEY');
                await rejection(locker.renew(key, 'me'), 'BAD_KEY');
                await rejection(locker.release(key, 'me'), 'BAD_KEY');
                await rejection(locker.inspect(key), 'BAD_KEY');
                assert.strictEqual(asked(), 0);
            });
        }

        for (const ttl of [0, -1, 1.5, NaN, Infinity, 2 ** 31]) {
            test(`the ttl ${ttl}`, async () => {
                await rejection(locker.tryAcquire('key', { ttl }), 'BAD_TTL');
                await rejection(locker.renew('key', 'me', ttl), 'BAD_TTL');
                assert.strictEqual(asked(), 0);
            });
        }

        for (const ttl of [0, -1, 1.5, NaN, Infinity, 2 ** 31]) {
            test(`to renew a lease with the ttl ${ttl}, and leaves the lease as it is`, async () => {
                const lease = await locker.acquire('key');
                await rejection(lease.renew(ttl), 'BAD_TTL');
                assert.isEmpty(store.renewals);
                assert.isTrue(lease.isHeld());
            });
        }

        for (const timeout of [-1, NaN, -Infinity]) {
            test(`the timeout ${timeout}`, async () => {
                await rejection(locker.acquire('key', { timeout }), 'BAD_TIMEOUT');
                assert.strictEqual(asked(), 0);
            });
        }

        for (const text of ['1000', ' 500 ', '5e2', [500], new Date(), 5n, null, true, () => 5]) {
            test(`a ttl and a timeout that are no number but ${typeof text}: ${String(text)}`, async () => {
                const number = text as unknown as number;
                const lease = await locker.acquire('other');
                for (const [refused, code] of [
                    [locker.tryAcquire('key', { ttl: number }), 'BAD_TTL'],
                    [locker.acquire('key', { ttl: number }), 'BAD_TTL'],
                    [locker.renew('key', 'me', number), 'BAD_TTL'],
                    [lease.renew(number), 'BAD_TTL'],
                    ...(text === null ? [] : ([[locker.acquire('key', { timeout: number }), 'BAD_TIMEOUT']] as const)),
                ] as const) {
                    const { message } = await rejection(refused, code);
                    if (typeof text === 'string') assert.include(message, JSON.stringify(text));
                }
                assert.strictEqual(asked(), 1);
            });
        }

        for (const [name, options] of Object.entries({
            keepAlive: { keepAlive: 'no' },
            signal: { signal: {} },
            options: null,
        })) {
            test(`a wrong ${name}, and names it`, async () => {
                const refused = locker.acquire('key', options as unknown as LeaseOptions);
                assert.include((await rejection(refused, 'BAD_PARAMETER')).message, name);
                assert.strictEqual(asked(), 0);
            });
        }

        test('a signal that is none', async () => {
            for (const signal of [null, 'abort', 5, {}, { aborted: false }, new AbortController(), new EventTarget()]) {
                const options = { signal: signal as unknown as AbortSignal };
                for (const keys of ['key', ['a', 'b']]) {
                    const { message } = await rejection(locker.acquire(keys, options), 'BAD_PARAMETER');
                    assert.include(message, 'signal');
                }
            }
            assert.strictEqual(asked(), 0);
        });

        test('work that is no function, before it takes the key', async () => {
            const work = 'work' as unknown as () => Promise<void>;
            assert.include((await rejection(locker.withLock('key', {}, work), 'BAD_PARAMETER')).message, 'work');
            assert.strictEqual(asked(), 0);
        });

        for (const [name, value] of Object.entries({
            ttl: '1000',
            timeout: NaN,
            retryTimeout: 0,
            maxHeld: '5',
            maxWaiting: 1.5,
        })) {
            test(`the option ${name} when it is ${JSON.stringify(value)}`, () => {
                const options = { [name]: value } as unknown as Partial<LockerOptions>;
                assert.throws(() => lockerWith(options), LockError, `The option ${name} must be a whole number`);
            });
        }

        for (const holder of ['', 'two\nlines', 'two\rlines', '\ud800']) {
            test(`the holder ${JSON.stringify(holder)}`, async () => {
                await rejection(locker.tryAcquire('key', { holder }), 'BAD_HOLDER');
                await rejection(locker.renew('key', holder), 'BAD_HOLDER');
                await rejection(locker.release('key', holder), 'BAD_HOLDER');
                assert.strictEqual(asked(), 0);
            });
        }

        test('more leases than may be held', async () => {
            const small = await opened({ maxHeld: 2 });
            const leases = [await small.acquire('a'), await small.acquire('b')];
            await Promise.all([rejection(small.acquire('c'), 'TOO_MANY'), clock.advance(1)]);
            assert.lengthOf(store.acquires, 2);
            await leases[0]?.release();
            assert.isNotNull(await small.tryAcquire('c'));
        });

        test('more leases than may be held, also of callers that come at once', async () => {
            const small = await opened({ maxHeld: 2 });
            const outcomes = await Promise.allSettled(['a', 'b', 'c', 'd'].map((key) => small.tryAcquire(key)));
            assert.isAtMost(small.load.held, 2);
            assert.lengthOf(
                outcomes.filter(({ status }) => status === 'fulfilled'),
                2,
            );
            await settled();
            const taken = ['a', 'b', 'c', 'd'].filter((key) => store.holderOf(key) !== undefined);
            assert.lengthOf(taken, 2, 'what was granted beyond is given back');
        });

        test('more leases than may be held, but not in the same turn: the answers that make room must be read', async () => {
            const small = await opened({ maxHeld: 1 });
            await small.acquire('a');
            let isRefused = false;
            const refused = rejection(small.acquire('b'), 'TOO_MANY').then(() => (isRefused = true));
            await settled();
            assert.isFalse(isRefused);
            await clock.advance(1);
            await refused;
        });

        test('more callers than may wait', async () => {
            const small = await opened({ maxWaiting: 1 });
            store.put('key', 'other', TTL);
            const waiting = small.acquire('key', { timeout: 500 });
            await settled();
            const another = rejection(small.acquire('key', { timeout: 500 }), 'TOO_MANY');
            await Promise.all([another, clock.advance(1)]);
            await Promise.all([rejection(waiting, 'LOCK_TIMEOUT'), clock.advance(500)]);
        });
    });

    test('takes every key and holder that is well-formed text', async () => {
        const text = fc.string({ unit: 'binary', minLength: 1 }).filter((one) => !/\p{Surrogate}/u.test(one));
        const holder = text.filter((one) => !/[\r\n]/.test(one));
        await fc.assert(
            fc.asyncProperty(text, holder, async (key, id) => {
                const lease = await locker.acquire(key, { holder: id });
                assert.strictEqual(store.holderOf(key), id);
                await lease.release();
            }),
        );
    });

    suite('an observer that throws', () => {
        test('changes nothing', async () => {
            const observer = {
                observe: (): void => {
                    throw new Error('The observer failed.');
                },
            };
            const watched = new Locker(store, { ttl: TTL }, observer, clock);
            await watched.open();
            const first = await watched.acquire('key');
            const waiting = rejection(watched.acquire('key', { timeout: 5000 }), 'LOCK_TIMEOUT');
            await clock.advance(TTL);
            await waiting;
            const second = watched.acquire('key', { timeout: 5000 });
            await settled();
            assert.isTrue(await first.release());
            assert.isTrue((await second).isHeld());
            const lost = await watched.acquire('gone');
            store.delete('gone');
            await clock.advance(TTL);
            assert.isFalse(lost.isHeld());
            await watched.close();
        });
    });

    suite('an observer that rejects later', () => {
        test('changes nothing, and leaves no rejection to nobody', async () => {
            const rejects = (): Promise<never> => Promise.reject(new Error('The observer failed.'));
            const observe: () => unknown = rejects;
            const watched = new Locker(store, { ttl: TTL }, { observe }, clock);
            await watched.open();
            const lease = await watched.acquire('key');
            assert.isTrue(await lease.release());
            await watched.close();
        });
    });

    suite('list and forceRelease', () => {
        test('tell which keys are held, and take one from its holder, who is told to the observer', async () => {
            const lease = await locker.acquire('key:1');
            await (await locker.acquire('key:2')).release();
            assert.deepEqual(await keysOf(locker), ['key:1']);
            assert.isEmpty(await keysOf(locker, 'other*'));
            await rejection(keysOf(locker, ''), 'BAD_KEY');
            events.length = 0;
            const context = { who: 'the caller' };
            const why = { by: 'anna', reason: 'it hangs', context };
            assert.strictEqual(await locker.forceRelease('key:1', why), lease.holder);
            assert.deepEqual(events, [{ kind: 'forced', key: 'key:1', holder: lease.holder, ...why }]);
            assert.isFalse(await lease.release());
        });

        test('take it from nobody but whom was meant', async () => {
            const lease = await locker.acquire('key');
            const why = { by: 'anna', reason: 'it hangs' };
            assert.isUndefined(await locker.forceRelease('key', { ...why, holder: 'somebody else' }));
            assert.isUndefined(await locker.forceRelease('free', why));
            assert.notInclude(told(), 'forced');
            assert.isTrue(await lease.release());
            assert.isUndefined(await locker.forceRelease('key', { ...why, holder: lease.holder }), 'given back before');
        });
    });

    suite('before open and after close', () => {
        test('everything is refused', async () => {
            const closed = await opened({});
            await closed.close();
            for (const [one, code] of [
                [lockerWith(), 'NOT_OPENED'],
                [closed, 'CLOSED'],
            ] as const) {
                await rejection(one.tryAcquire('key'), code);
                await rejection(one.acquire('key'), code);
                await rejection(
                    one.withLock('key', {}, () => Promise.resolve()),
                    code,
                );
                await rejection(one.renew('key', 'me'), code);
                await rejection(one.release('key', 'me'), code);
                await rejection(one.inspect('key'), code);
                await rejection(one.forceRelease('key', { by: 'me', reason: '' }), code);
                await rejection(one.forceRelease('key', { by: 'me', reason: '', holder: 'me' }), code);
                await rejection(keysOf(one), code);
            }
        });

        test('open is refused a second time, and after close', async () => {
            await rejection(locker.open(), 'ALREADY_OPENED');
            await locker.close();
            await rejection(locker.open(), 'CLOSED');
        });

        test('close before open does nothing, and a second close neither', async () => {
            await lockerWith().close();
            await locker.close();
            await locker.close();
            assert.strictEqual(store.state, 'closed');
        });

        test('a locker whose open failed stays closed', async () => {
            store.openError = new LockError('WRONG_PASSWORD', 'Wrong.');
            const failed = lockerWith();
            await rejection(failed.open(), 'WRONG_PASSWORD');
            await rejection(failed.tryAcquire('key'), 'CLOSED');
        });
    });

    suite('close', () => {
        test('sends waiters away, gives back what is held, and closes the store', async () => {
            await locker.acquire('held');
            store.put('key', 'other', TTL);
            const waiting = rejection(locker.acquire('key', { timeout: 5000 }), 'CLOSED');
            await settled();
            await locker.close();
            await waiting;
            assert.isUndefined(store.holderOf('held'));
            assert.deepEqual(store.lineOf('key'), []);
            assert.strictEqual(store.state, 'closed');
            assert.deepEqual(locker.load, { held: 0, waiting: 0 });
            assert.strictEqual(clock.timers, 0);
        });

        test('undoes an attempt that is under way', async () => {
            store.holding = true;
            const waiting = rejection(locker.tryAcquire('key'), 'CLOSED');
            await settled();
            const closing = locker.close();
            store.proceed();
            await closing;
            await waiting;
            assert.isUndefined(store.holderOf('key'));
        });

        test('gives back what is granted in the same turn', async () => {
            const { telling, listener } = tellingStore();
            const one = new Locker(telling, { ttl: TTL }, undefined, clock);
            await one.open();
            const first = await one.acquire('key');
            const second = one.acquire('key', { timeout: 5000 }).catch(() => null);
            await settled();
            const [id = ''] = telling.lineOf('key');
            telling.mute = true;
            await first.release();
            const granted = readHolder(telling.holderOf('key') ?? '');
            assert.strictEqual(telling.holderOf('key'), id + String(granted?.fence));
            listener().granted('key', id, granted?.fence ?? 0, 2000);
            await one.close();
            await second;
            assert.isUndefined(telling.holderOf('key'));
            assert.strictEqual(one.load.held, 0);
            assert.strictEqual(clock.timers, 0);
        });

        test('leaves nothing of several keys that are being acquired', async () => {
            store.put('b', 'other', TTL);
            const waiting = rejection(locker.acquire(['a', 'b'], { timeout: 5000 }), 'CLOSED');
            await settled();
            await locker.close();
            await waiting;
            assert.isUndefined(store.holderOf('a'));
            assert.strictEqual(clock.timers, 0);
        });

        test('does not start on the next of several keys', async () => {
            store.holding = true;
            const waiting = locker.tryAcquire(['a', 'b']).catch(() => null);
            await settled();
            store.acquires[0]?.go();
            const closing = locker.close();
            store.proceed();
            await closing;
            await waiting;
            await settled();
            assert.isUndefined(store.holderOf('a'));
            assert.isUndefined(store.holderOf('b'));
            assert.deepEqual(locker.load, { held: 0, waiting: 0 });
            assert.strictEqual(clock.timers, 0);
        });

        test('waits for a release that is under way, also of a lease whose renewal is', async () => {
            const [first, second] = [await locker.acquire('first'), await locker.acquire('second')];
            store.holding = true;
            const done: string[] = [];
            const renewed = second.renew().catch(() => undefined);
            const released = [first.release(), second.release()].map((one) => one.then(() => done.push('released')));
            const closed = locker.close().then(() => done.push('closed'));
            await settled();
            assert.deepEqual(done, []);
            assert.strictEqual(store.state, 'open');
            store.proceed();
            await Promise.all([...released, closed, renewed]);
            assert.deepEqual(done, ['released', 'released', 'closed']);
            assert.isUndefined(store.holderOf('first'));
            assert.isUndefined(store.holderOf('second'));
        });

        test('releases every lease at once: a caller that releases its own then gets the same answer', async () => {
            const lease = await locker.acquire('key');
            const closing = locker.close();
            assert.isFalse(lease.isHeld());
            assert.isTrue(await lease.release());
            await closing;
            assert.lengthOf(store.releases, 1);
        });

        test('is told by the signal of a lease, whenever that is read', async () => {
            const [early, late] = [await locker.acquire('a'), await locker.acquire('b')];
            const { signal } = early;
            await locker.close();
            for (const one of [signal, late.signal]) assert.include(one.reason, { code: 'CLOSED' });
            assert.throws(() => late.assertHeld(), LockError, /was closed/);
            await rejection(late.renew(), 'CLOSED');
        });

        test('ends leases without an error of their own', async () => {
            const lease = await locker.acquire('key');
            await locker.close();
            assert.isFalse(lease.isHeld());
            assert.isTrue(await lease.release());
        });
    });

    test('passes on what the store tells of its connection', async () => {
        const { telling, listener } = tellingStore();
        const one = new Locker(telling, {}, { observe: (event) => events.push(event) }, clock);
        await one.open();
        telling.put('key', 'other', TTL);
        const waiting = one.acquire('key', { timeout: 5000 });
        await settled();
        const sent = telling.acquires.length;
        listener().disconnected(new Error('It is gone.'));
        listener().warned('It may evict.');
        listener().reconnected();
        listener().recovered('It is back.');
        assert.includeMembers(told(), ['unreachable', 'warning', 'reachable']);
        assert.lengthOf(telling.acquires, sent + 1, 'waiters look again after a reconnect');
        listener().changed('key');
        await settled();
        await Promise.all([one.close(), rejection(waiting, 'CLOSED')]);
    });

    test('undoes at once what is left when the store can be reached again', async () => {
        const { telling, listener } = tellingStore();
        const one = new Locker(telling, { ttl: TTL }, undefined, clock);
        await one.open();
        const lease = await one.acquire('key');
        telling.holding = true;
        const failed = rejection(lease.release(), 'CONNECTION_FAILED');
        for (let gone = 0; gone < 5000; gone += 100) {
            for (const call of telling.releases) if (!call.answered) call.fail();
            await clock.advance(100);
        }
        await failed;
        telling.holding = false;
        listener().reconnected();
        await settled();
        assert.isUndefined(telling.holderOf('key'));
        await one.close();
    });

    /** A store, and the listener that it is opened with. */
    function tellingStore(): { telling: FakeStore; listener: () => StoreListener } {
        const telling = new FakeStore(clock);
        const open = telling.open.bind(telling);
        let heard = listenerOf();
        telling.open = (listener) => {
            heard = listener;
            return open(listener);
        };
        return { telling, listener: () => heard };
    }
});

async function keysOf(locker: Locker, pattern?: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of locker.list(pattern)) keys.push(key);
    return keys;
}

/** Can be listened to as to an AbortSignal, and is none. */
class ForeignSignal extends EventTarget implements AbortSignal {
    aborted = false;
    reason: unknown;
    onabort = null;
    readonly listeners = new Set<unknown>();

    override addEventListener(type: string, listener: Parameters<EventTarget['addEventListener']>[1]): void {
        this.listeners.add(listener);
        super.addEventListener(type, listener);
    }

    override removeEventListener(type: string, listener: Parameters<EventTarget['addEventListener']>[1]): void {
        this.listeners.delete(listener);
        super.removeEventListener(type, listener);
    }

    throwIfAborted(): void {
        if (this.aborted) throw this.reason;
    }

    abort(): void {
        this.aborted = true;
        this.reason = new Error('It was aborted.');
        this.dispatchEvent(new Event('abort'));
    }
}
