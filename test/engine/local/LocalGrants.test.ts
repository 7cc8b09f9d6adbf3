import { assert } from 'chai';
import fc from 'fast-check';
import type { Lease } from '../../../src/engine/lease/Lease';
import { Locker } from '../../../src/engine/locker/Locker';
import type { LeaseOptions } from '../../../src/engine/locker/LeaseOptions';
import type { LockerOptions } from '../../../src/engine/locker/LockerOptions';
import type { AcquireAnswer, LockStore, ReleaseAnswer } from '../../../src/engine/port/LockStore';
import { LocalGrants } from '../../../src/engine/local/LocalGrants';
import { acquireFrom, releaseTo } from '../../fixtures/asks';
import { FakeStore } from '../../fixtures/FakeStore';
import { idOf } from '../../fixtures/ids';
import { listenerOf } from '../../fixtures/listenerOf';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

const TTL = 30_000;
const HEARTBEAT = 10_000;
/** How often in a row a key is passed on. */
const PASSES = 2;

function lockerOf(store: LockStore, clock: VirtualClock, passes: number, options: Partial<LockerOptions> = {}): Locker {
    const of = passes > 0 ? new LocalGrants(store, clock, passes) : store;
    return new Locker(of, { ttl: TTL, timeout: Infinity, ...options }, undefined, clock);
}

suite('LocalGrants', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let locker: Locker;
    let seen: readonly number[];

    setup(async () => {
        seen = [];
        clock = new VirtualClock();
        store = new FakeStore(clock);
        locker = await opened(store);
    });

    async function opened(of: LockStore, passes = PASSES): Promise<Locker> {
        const one = lockerOf(of, clock, passes);
        await one.open();
        return one;
    }

    /** The first lease of a grant that may be passed on as often as a grant may be, whatever was reserved before. */
    async function contended(options: LeaseOptions = {}, of = locker, key = 'key'): Promise<Lease> {
        const before = await of.acquire(key, options);
        let lease = before;
        while (lease.holder === before.holder) {
            const next = of.acquire(key, options);
            await settled();
            await lease.release();
            lease = await next;
        }
        asked();
        return lease;
    }

    /** Callers of one process who wait for the lease of another. */
    async function behind(count: number): Promise<{ theirs: Lease; waits: Promise<Lease>[] }> {
        const other = await opened(store.another(), 0);
        const theirs = await other.acquire('key');
        const waits = waiting(count, { keepAlive: false });
        await settled();
        asked();
        return { theirs, waits };
    }

    /** Callers of one process who begin to wait one after the other. */
    function waiting(count: number, options: LeaseOptions = {}, of = locker): Promise<Lease>[] {
        return Array.from({ length: count }, () => of.acquire('key', options));
    }

    /** What the store was asked since the last time, but for renewals. */
    function asked(): readonly string[] {
        const calls = { acquire: store.acquires, release: store.releases, giveUp: store.givenUp };
        const names = Object.entries(calls).flatMap(([name, made], at) =>
            Array.from({ length: made.length - (seen[at] ?? 0) }, () => name),
        );
        seen = Object.values(calls).map(({ length }) => length);
        return names;
    }

    suite('passes a key on', () => {
        test('among the callers of the process, in the order in which they came, without asking', async () => {
            const first = await contended();
            const waits = waiting(2);
            await settled();
            assert.isTrue(await first.release());
            const second = await waits[0];
            assert.isTrue(await second?.release());
            const third = await waits[1];
            assert.deepEqual(asked(), []);
            assert.deepEqual([second?.fence, third?.fence], [first.fence + 1, first.fence + 2]);
            assert.isFalse(first.isHeld() || second?.isHeld());
            assert.isTrue(third?.isHeld());
            assert.strictEqual(store.holderOf('key'), third?.holder);
            assert.strictEqual(third?.holder, first.holder);
        });

        test('a limited number of times in a row, then it goes to the next process', async () => {
            const other = await opened(store.another());
            const first = await contended();
            const theirs = other.acquire('key');
            await settled();
            const ours = waiting(3);
            await settled();
            const order: string[] = [];
            const done = [
                ...ours.map(async (wait, at) => {
                    const lease = await wait;
                    order.push(`ours ${at}`);
                    await lease.release();
                    return lease;
                }),
                theirs.then(async (lease) => {
                    order.push('theirs');
                    await lease.release();
                    return lease;
                }),
            ];
            await first.release();
            const leases = await Promise.all(done);
            assert.deepEqual(order, ['ours 0', 'ours 1', 'theirs', 'ours 2']);
            const fences = [first, leases[0], leases[1], leases[3], leases[2]].map((lease) => lease?.fence ?? 0);
            assert.deepEqual(
                fences,
                [...fences].sort((one, next) => one - next),
            );
            assert.strictEqual(new Set(fences).size, fences.length);
            assert.deepEqual(asked(), ['acquire', 'release', 'release']);
        });

        test('and then asks for it again, with a new place in line', async () => {
            const first = await contended();
            const waits = waiting(PASSES + 1);
            await settled();
            await first.release();
            await (await waits[0])?.release();
            const last = await waits[PASSES - 1];
            assert.deepEqual(asked(), []);
            assert.isTrue(await last?.release());
            const next = await waits[PASSES];
            assert.deepEqual(asked(), ['acquire', 'release']);
            assert.notStrictEqual(next?.holder, first.holder);
            assert.isAbove(next?.fence ?? 0, last?.fence ?? 0);
        });

        test('for all of the ttl of the next: it is renewed before the next is told', async () => {
            const first = await contended({ keepAlive: false });
            const waits = waiting(1, { keepAlive: false });
            await clock.advance(TTL / 4);
            await first.release();
            const next = await waits[0];
            clock.skip(TTL * 0.9);
            assert.isTrue(next?.isHeld());
            assert.strictEqual(store.holderOf('key'), next?.holder);
            assert.isAbove(next?.remaining() ?? 0, TTL * 0.05);
        });

        test('for all of a short ttl of the next, too', async () => {
            const first = await contended({ keepAlive: false, ttl: 1000 });
            const wait = locker.acquire('key', { keepAlive: false, ttl: 1000 });
            await clock.advance(300);
            await first.release();
            const next = await wait;
            assert.strictEqual(next.holder, first.holder);
            await settled();
            assert.isAbove(next.remaining(), 980);
        });

        test('without a renewal while nearly all of the ttl is left', async () => {
            const first = await contended({ keepAlive: false });
            const waits = waiting(2, { keepAlive: false });
            await clock.advance(TTL * 0.05);
            await first.release();
            const second = await waits[0];
            assert.isAbove(second?.remaining() ?? 0, TTL * 0.9);
            assert.isEmpty(store.renewals);
            await clock.advance(TTL * 0.05);
            await second?.release();
            assert.isAbove((await waits[1])?.remaining() ?? 0, TTL * 0.98);
            assert.lengthOf(store.renewals, 1);
        });

        test('with one renewal for those who follow each other while it is under way', async () => {
            const { theirs, waits } = await behind(3);
            store.holding = true;
            void theirs.release();
            const first = await waits[0];
            await first?.release();
            const second = await waits[1];
            assert.lengthOf(store.renewals, 1);
            assert.isBelow(second?.remaining() ?? 0, 2000);
            store.holding = false;
            store.proceed();
            await settled();
            assert.isAbove(second?.remaining() ?? 0, TTL * 0.98);
            await second?.release();
            assert.isAbove((await waits[2])?.remaining() ?? 0, TTL * 0.9);
            assert.lengthOf(store.renewals, 1);
        });

        test('with a renewal of its own when the one before has failed', async () => {
            const { theirs, waits } = await behind(2);
            store.holding = true;
            void theirs.release();
            const first = await waits[0];
            store.renewals[0]?.fail();
            store.holding = false;
            await settled();
            await first?.release();
            const second = await waits[1];
            await settled();
            assert.lengthOf(store.renewals, 2);
            assert.isAbove(second?.remaining() ?? 0, TTL * 0.98);
        });

        test('that was granted for a claim window, when it was renewed since', async () => {
            const other = await opened(store.another());
            const first = await contended({}, other);
            const waits = waiting(3);
            await settled();
            await first.release();
            await (await waits[0])?.release();
            const second = await waits[1];
            await clock.advance(1500);
            asked();
            await second?.release();
            assert.strictEqual((await waits[2])?.holder, second?.holder);
            assert.deepEqual(asked(), []);
        });

        test('that an earlier lease has renewed for longer: its release is retried for as long as the key may last', async () => {
            const first = await contended({ keepAlive: false });
            const waits = waiting(1, { keepAlive: false });
            await settled();
            await first.renew(10 * TTL);
            await first.release();
            const next = await waits[0];
            store.holding = true;
            const failed = rejection(next?.release() ?? Promise.resolve(), 'CONNECTION_FAILED');
            for (let gone = 0; gone < 3 * TTL; gone += 100) {
                for (const call of store.releases) if (!call.answered) call.fail();
                await clock.advance(100);
            }
            await failed;
            assert.isDefined(store.holderOf('key'));
            store.proceed();
            await clock.advance(3000);
            assert.isUndefined(store.holderOf('key'));
        });

        test('of several, each by its own holder', async () => {
            const first = await contended({}, locker, 'b');
            const several = locker.acquire(['a', 'b']);
            await settled();
            asked();
            await first.release();
            const lease = await several;
            assert.deepEqual(asked(), []);
            assert.strictEqual(lease.holderOf('b'), first.holder);
            assert.strictEqual(lease.fenceOf('b'), first.fence + 1);
            assert.notStrictEqual(lease.holder, first.holder);
            assert.deepEqual([store.holderOf('a'), store.holderOf('b')], [lease.holder, first.holder]);
            await lease.release();
            assert.deepEqual([store.holderOf('a'), store.holderOf('b')], [undefined, undefined]);
        });

        test('before any plain try: that does not overtake who waits here', async () => {
            const first = await contended();
            const waits = waiting(1);
            const tries = [locker.tryAcquire('key')];
            store.delete('key');
            tries.push(locker.tryAcquire('key'));
            await clock.advance(0);
            assert.deepEqual(await Promise.all(tries), [null, null]);
            await first.release();
            assert.strictEqual((await waits[0])?.fence, first.fence + 1);
            assert.deepEqual(asked(), []);
        });

        test('at the store to one that stands in line there', async () => {
            const trying = locker.tryAcquire('key');
            const wait = locker.acquire('key');
            const first = await trying;
            await settled();
            assert.strictEqual(store.lineOf('key').length, 1);
            asked();
            await first?.release();
            assert.isTrue((await wait).isHeld());
            assert.deepEqual(asked(), ['release']);
            assert.deepEqual(store.lineOf('key'), []);
        });

        test('only of the same ttl', async () => {
            const first = await locker.acquire('key');
            const wait = locker.acquire('key', { ttl: TTL / 2 });
            await settled();
            assert.strictEqual(store.lineOf('key').length, 1);
            await first.release();
            assert.notStrictEqual((await wait).holder, first.holder);
        });

        test('only to those who leave the choice of the holder to the library', async () => {
            const first = await contended();
            const chosen = locker.acquire('key', { holder: 'mine' });
            await settled();
            assert.strictEqual(store.lineOf('key').length, 1);
            await first.release();
            assert.strictEqual((await chosen).holder, 'mine');
        });
    });

    suite('does not pass a key on', () => {
        test('when it had it for a third of the ttl', async () => {
            const other = await opened(store.another());
            const first = await contended();
            const theirs = other.acquire('key');
            await settled();
            const waits = waiting(1);
            await clock.advance(TTL / 3);
            await first.release();
            assert.isTrue((await theirs).isHeld());
            await (await theirs).release();
            assert.isTrue((await waits[0])?.isHeld());
        });

        test('when little is left of the lease, as of one that began by a message and is not renewed', async () => {
            const { theirs, waits } = await behind(2);
            store.holding = true;
            void theirs.release();
            const first = await waits[0];
            await clock.advance(1100);
            store.holding = false;
            asked();
            await first?.release();
            await settled();
            assert.deepEqual(asked(), ['acquire', 'release']);
        });

        test('that was lost: the next asks the store', async () => {
            const first = await contended({ keepAlive: false });
            const waits = waiting(1);
            await clock.advance(TTL - 400);
            assert.isTrue(first.isHeld());
            store.put('key', 'thief', 1000);
            await clock.advance(400);
            assert.isFalse(first.isHeld());
            await clock.advance(2000);
            assert.isTrue((await waits[0])?.isHeld());
        });

        test('that a renewal has found gone', async () => {
            const first = await contended();
            const waits = waiting(1);
            store.delete('key');
            await clock.advance(TTL / 3);
            assert.isFalse(first.isHeld());
            const next = await waits[0];
            assert.isTrue(next?.isHeld());
            assert.notStrictEqual(next?.holder, first.holder);
        });

        test('that a renewal of its own has found gone', async () => {
            const first = await contended({ keepAlive: false });
            const waits = waiting(1);
            store.delete('key');
            await rejection(first.renew(), 'LOCK_LOST');
            await settled();
            assert.strictEqual(store.holderOf('key'), (await waits[0])?.holder);
        });

        test('that is taken from its holder by force', async () => {
            const other = await opened(store.another());
            const first = await contended();
            const theirs = other.acquire('key');
            await settled();
            const waits = waiting(1);
            await settled();
            assert.strictEqual(await locker.forceRelease('key', { by: 'me', reason: 'test' }), first.holder);
            assert.isTrue((await theirs).isHeld());
            assert.isFalse(await first.release());
            await settled();
            assert.strictEqual(locker.load.waiting, 1);
            await (await theirs).release();
            assert.isTrue((await waits[0])?.isHeld());
        });

        test('that was handed over to another process', async () => {
            const first = await contended();
            const waits = waiting(1);
            await settled();
            const holder = first.handOver();
            await settled();
            assert.strictEqual(store.lineOf('key').length, 1);
            await releaseTo(store.another(), 'key', holder);
            await settled();
            assert.isTrue((await waits[0])?.isHeld());
        });

        test('of which an attempt was lost: that has to be buried', async () => {
            const { theirs, waits } = await behind(2);
            store.holding = true;
            await clock.advance(HEARTBEAT);
            const lost = store.acquires.at(-1);
            lost?.fail();
            store.holding = false;
            await theirs.release();
            const first = await waits[0];
            await first?.release();
            assert.notStrictEqual((await waits[1])?.holder, first?.holder);
            assert.throws(() => lost?.goSilently(), 'given up');
        });
    });

    suite('keeps the place in line', () => {
        test('when the first who waits leaves: the next goes on with its ticket', async () => {
            const other = await opened(store.another(), 0);
            const first = await other.acquire('key');
            const leaver = new AbortController();
            const left = locker.acquire('key', { signal: leaver.signal });
            await clock.advance(1);
            const theirs = other.acquire('key');
            await clock.advance(1);
            const ours = waiting(1);
            await settled();
            assert.strictEqual(store.lineOf('key').length, 2);
            leaver.abort();
            await rejection(left);
            await settled();
            assert.strictEqual(store.lineOf('key').length, 2);
            await first.release();
            await (await ours[0])?.release();
            assert.isTrue((await theirs).isHeld());
        });

        test('before processes that came later', async () => {
            const holding = await opened(store.another(), 0);
            const later = await opened(store.another(), 0);
            const first = await holding.acquire('key');
            const left = rejection(locker.acquire('key', { timeout: 500 }));
            await clock.advance(1);
            const ours = waiting(1);
            await clock.advance(1);
            const theirs = later.acquire('key');
            await clock.advance(1000);
            await left;
            await first.release();
            assert.isTrue((await ours[0])?.isHeld());
            await (await ours[0])?.release();
            assert.isTrue((await theirs).isHeld());
        });

        test('and leaves it when nobody waits any more', async () => {
            const first = await (await opened(store.another())).acquire('key');
            const wait = rejection(locker.acquire('key', { timeout: 500 }));
            await clock.advance(1000);
            await wait;
            assert.deepEqual(store.lineOf('key'), []);
            await first.release();
            assert.isUndefined(store.holderOf('key'));
        });
    });

    suite('a caller that leaves', () => {
        test('in the turn in which it would have had the key makes room for the next', async () => {
            const first = await contended();
            const leaver = new AbortController();
            // Its first attempt is under way yet.
            const left = rejection(locker.acquire('key', { signal: leaver.signal }));
            const waits = waiting(1);
            const released = first.release();
            leaver.abort();
            await left;
            assert.isTrue(await released);
            assert.isTrue((await waits[0])?.isHeld());
        });

        test('as the only one gives the key back', async () => {
            const first = await contended();
            const leaver = new AbortController();
            const left = rejection(locker.acquire('key', { signal: leaver.signal }));
            const released = first.release();
            leaver.abort();
            await left;
            assert.isTrue(await released);
            await settled();
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(locker.load.waiting, 0);
        });

        test('as the only one gives the key back, although the store fails at first', async () => {
            const first = await contended();
            const leaver = new AbortController();
            const left = rejection(locker.acquire('key', { signal: leaver.signal }));
            store.holding = true;
            const released = first.release();
            leaver.abort();
            await left;
            assert.isTrue(await released);
            store.releases.at(-1)?.fail();
            store.holding = false;
            await clock.advance(1000);
            assert.isUndefined(store.holderOf('key'));
        });

        test('as the only one because the lock is closed gives the key back', async () => {
            const first = await contended();
            const left = rejection(locker.acquire('key'), 'CLOSED');
            await settled();
            store.holding = true;
            const released = first.release();
            let closed = false;
            const closing = locker.close().then(() => (closed = true));
            await left;
            assert.isTrue(await released);
            await settled();
            assert.isFalse(closed, 'a release is under way');
            store.holding = false;
            store.proceed();
            await closing;
            assert.isUndefined(store.holderOf('key'));
        });

        test('while its attempt is under way leaves nothing that others wait for', async () => {
            store.holding = true;
            const left = rejection(locker.acquire('key', { timeout: 50 }));
            await clock.advance(100);
            await left;
            store.holding = false;
            store.proceed();
            await settled();
            const wait = locker.acquire('key');
            await settled();
            assert.strictEqual(store.holderOf('key'), (await wait).holder);
        });

        test('behind others is not heard of at the store', async () => {
            const first = await contended();
            const waits = [
                rejection(locker.acquire('key', { timeout: 50 })),
                rejection(locker.acquire('key', { timeout: 60 })),
            ];
            await clock.advance(100);
            await Promise.all(waits);
            assert.deepEqual(asked(), []);
            assert.isTrue(first.isHeld());
        });

        test('is told who has the key, and for how long yet', async () => {
            const first = await locker.acquire('key', { keepAlive: false });
            const wait = rejection(locker.acquire('key', { timeout: 1000 }));
            await clock.advance(1000);
            assert.include(await wait, { holder: first.holder, code: 'LOCK_TIMEOUT' });
        });
    });

    suite('a message about a grant', () => {
        test('is relied on without asking when it is newer than the last answer', async () => {
            const { theirs, waits } = await behind(1);
            await theirs.release();
            assert.isTrue((await waits[0])?.isHeld());
            assert.deepEqual(asked(), []);
        });

        test('tells how often the key may be passed on', async () => {
            const { theirs, waits } = await behind(3);
            await theirs.release();
            const first = await waits[0];
            await first?.release();
            const second = await waits[1];
            assert.strictEqual(second?.fence, (first?.fence ?? 0) + 1);
            assert.strictEqual(second?.holder, first?.holder);
            assert.deepEqual(asked(), []);
        });

        test('is asked about when the last attempt has failed', async () => {
            const other = await opened(store.another());
            const first = await other.acquire('key', { ttl: HEARTBEAT * 2 });
            const waits = waiting(1);
            await settled();
            store.holding = true;
            await clock.advance(HEARTBEAT);
            store.acquires.at(-1)?.fail();
            store.holding = false;
            await settled();
            asked();
            await first.release();
            assert.isTrue((await waits[0])?.isHeld());
            assert.deepEqual(asked(), ['acquire']);
        });

        test('is asked about when the last answer is old', async () => {
            const other = await opened(store.another());
            const first = await other.acquire('key');
            const waits = waiting(1);
            await clock.advance(HEARTBEAT / 2);
            asked();
            await first.release();
            assert.isTrue((await waits[0])?.isHeld());
            assert.deepEqual(asked(), ['acquire']);
        });

        test('that comes while an attempt is under way is looked at after it', async () => {
            const other = await opened(store.another());
            const first = await other.acquire('key');
            store.holding = true;
            const waits = waiting(1);
            store.acquires.at(-1)?.goSilently();
            await first.release();
            await settled();
            store.acquires.at(-1)?.reply({
                ...{ kind: 'busy', sentAt: clock.now(), remaining: TTL, fence: 1, ticket: 1, rank: 0 },
                ...{ foreign: false, holder: first.holder },
            });
            assert.isTrue((await waits[0])?.isHeld());
        });

        test('to a caller with a holder of its own goes to that', async () => {
            const other = await opened(store.another());
            const first = await other.acquire('key');
            const mine = locker.acquire('key', { holder: 'mine' });
            await settled();
            asked();
            await first.release();
            assert.strictEqual((await mine).holder, 'mine');
            assert.deepEqual(asked(), []);
        });
    });

    test('a process takes a new place behind all others after its turn', async () => {
        const first = await contended();
        const others = await Promise.all([1, 2].map(() => opened(store.another(), 0)));
        const theirs = others.map((other) => other.acquire('key'));
        await settled();
        const waits = waiting(PASSES + 1);
        await first.release();
        for (const wait of waits.slice(0, PASSES)) await (await wait).release();
        const served: string[] = [];
        void theirs[1]?.then(() => served.push('other'));
        void waits[PASSES]?.then(() => served.push('own'));
        const between = await theirs[0];
        await settled();
        await between?.release();
        await settled();
        assert.deepEqual(served, ['other']);
    });

    test('a waiter that is sent away when the lock is closed is not asked for any more', async () => {
        store.put('key', 'other', TTL);
        const sent = waiting(3).map((wait) => rejection(wait, 'CLOSED'));
        await settled();
        asked();
        await locker.close();
        await Promise.all(sent);
        assert.notInclude(asked(), 'acquire');
        assert.deepEqual(store.lineOf('key'), []);
    });

    suite('a store that fails', () => {
        test('and had granted the key: the one that asked gets it in the end, and nobody has it twice', async () => {
            store.holding = true;
            const waits = waiting(2);
            store.acquires.at(-1)?.goUnheard();
            store.holding = false;
            await clock.advance(5000);
            const first = await waits[0];
            assert.isTrue(first?.isHeld());
            assert.strictEqual(store.holderOf('key'), first?.holder);
            await first?.release();
            const second = await waits[1];
            assert.isTrue(second?.isHeld());
            assert.isAbove(second?.fence ?? 0, first?.fence ?? 0);
        });

        test('to the end of their time is what all callers are told, not that somebody has the key', async () => {
            store.holding = true;
            const waits = waiting(3, { timeout: 1000 }).map((wait) => rejection(wait, 'CONNECTION_FAILED'));
            for (let time = 0; time <= 1000; time += 10) {
                for (const call of store.acquires) if (!call.answered) call.fail();
                await clock.advance(10);
            }
            for (const error of await Promise.all(waits)) assert.include(error.message, 'timeout of 1000 ms');
        });
    });

    suite('step by step', () => {
        let succession: LocalGrants;
        let woken: string[];
        /** Of the lease of a, and of those after it. */
        let holder: string;

        setup(async () => {
            woken = [];
            store = new FakeStore(clock);
            succession = new LocalGrants(store, clock, 1);
            await succession.open(listenerOf({ woken: (_key, id) => woken.push(id) }));
            const other = store.another();
            await other.open(listenerOf());
            const before = await acquireFrom(other, { key: 'key', id: idOf('before'), ttl: TTL, ticket: undefined });
            await wants('a');
            await releaseTo(other, 'key', holderIn(before));
            await settled();
            holder = holderIn(await wants('a'));
            await wants('b');
            await wants('c');
            woken = [];
            asked();
        });

        function wants(name: string, key = 'key'): Promise<AcquireAnswer> {
            return acquireFrom(succession, { key, id: idOf(name), ttl: TTL, ticket: 0 });
        }

        function releases(): Promise<ReleaseAnswer> {
            return releaseTo(succession, 'key', holder);
        }

        function leaves(name: string, underWay = false): Promise<ReleaseAnswer> {
            return succession.giveUp({ key: 'key', id: idOf(name), underWay });
        }

        test('a key that was passed on to one that leaves goes to the next', async () => {
            assert.strictEqual(await releases(), 'released');
            assert.strictEqual(await leaves('b'), 'gone');
            assert.deepEqual(woken, [idOf('b'), idOf('c')]);
            assert.deepInclude(await wants('c'), { kind: 'granted', holder });
            assert.deepEqual(asked(), []);
        });

        test('those who were told to wait keep their order while the store fails', async () => {
            await wants('d');
            store.delete('key');
            await succession.renew('key', holder, TTL);
            store.holding = true;
            const failed = rejection(wants('b'), 'CONNECTION_FAILED');
            store.acquires.at(-1)?.fail();
            await failed;
            for (const name of ['d', 'c']) await rejection(wants(name), 'CONNECTION_FAILED');
            store.holding = false;
            holder = holderIn(await wants('b'));
            woken = [];
            await releases();
            assert.deepEqual(woken, [idOf('c')]);
        });

        test('a key that was passed on and that nobody wants any more is given back', async () => {
            await releases();
            await leaves('b');
            assert.strictEqual(await leaves('c'), 'released');
            assert.deepEqual(asked(), ['release']);
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(succession.size, 0);
        });

        test('a key that nobody wants any more is given back again when that fails, but not for ever', async () => {
            await releases();
            await leaves('b');
            store.holding = true;
            const failed = rejection(leaves('c', true));
            store.releases.at(-1)?.fail();
            await failed;
            store.holding = false;
            assert.strictEqual(await leaves('c', true), 'released');
            assert.deepInclude(store.releases.at(-1)?.request, { holder, buried: idOf('c') });
            assert.isUndefined(store.holderOf('key'));
            asked();
            await leaves('c');
            assert.deepEqual(asked(), ['giveUp'], 'it is forgotten');
        });

        test('a key that could not be given back, and that nobody tries to give back again, is forgotten when it has run out', async () => {
            await releases();
            await leaves('b');
            store.holding = true;
            const failed = rejection(leaves('c'));
            store.releases.at(-1)?.fail();
            await failed;
            assert.strictEqual(succession.size, 1);
            await clock.advance(TTL);
            assert.strictEqual(succession.size, 0);
            assert.strictEqual(clock.timers, 0);
        });

        test('a key that was passed on is not taken once it has run out', async () => {
            await releases();
            clock.skip(TTL);
            const answer = await wants('b');
            assert.deepEqual(asked(), ['acquire']);
            assert.strictEqual(store.holderOf('key'), holderIn(answer));
            assert.notStrictEqual(holderIn(answer), holder);
        });

        test('a key that was given back is not passed on once more', async () => {
            await releases();
            assert.strictEqual((await wants('b')).kind, 'granted');
            assert.strictEqual(await releases(), 'released');
            assert.strictEqual(await releases(), 'gone');
            assert.deepEqual(asked(), ['release', 'release']);
            assert.isUndefined(store.holderOf('key'));
        });

        test('a turn that somebody else uses the holder of is not passed on', async () => {
            succession.shared('key', holder);
            assert.deepEqual(woken, [idOf('b')]);
            assert.strictEqual((await wants('b')).kind, 'busy');
            assert.deepEqual(store.lineOf('key'), [idOf('b')]);
        });

        test('an attempt of one that leaves is buried, and the key goes to the next', async () => {
            const other = store.another();
            await other.open(listenerOf());
            await releases();
            await wants('b');
            await releases();
            await acquireFrom(other, { key: 'key', id: idOf('other'), ttl: TTL, ticket: 0 });
            await wants('c');
            await wants('d');
            await leaves('c', true);
            assert.deepInclude(store.givenUp.at(-1)?.request, { id: idOf('c'), underWay: true });
            const theirs = await other.inspect('key');
            await releaseTo(other, 'key', theirs.holder ?? '');
            await rejection(acquireFrom(store, { key: 'key', id: idOf('c'), ttl: TTL, ticket: 0 }), 'LOCK_ABORTED');
            assert.strictEqual((await wants('d')).kind, 'granted');
        });

        test('a plain try that is given up while it is under way begins no turn', async () => {
            store.holding = true;
            const request = { key: 'another', id: idOf('try'), ttl: TTL, ticket: undefined };
            const trying = acquireFrom(succession, request);
            const given = succession.giveUp({ key: 'another', id: idOf('try'), underWay: true });
            for (const call of [store.acquires.at(-1), store.givenUp.at(-1)]) call?.go();
            await trying;
            await given;
            store.holding = false;
            assert.strictEqual((await wants('x', 'another')).kind, 'granted');
        });

        test('a message is not relied on when an attempt has failed since the last answer', async () => {
            const other = store.another();
            await other.open(listenerOf());
            const theirs = await acquireFrom(other, { key: 'another', id: idOf('x'), ttl: TTL, ticket: 0 });
            assert.strictEqual((await wants('y', 'another')).kind, 'busy');
            store.holding = true;
            const failed = rejection(wants('y', 'another'));
            store.acquires.at(-1)?.fail();
            await failed;
            store.holding = false;
            await releaseTo(other, 'another', holderIn(theirs));
            await settled();
            assert.deepEqual(woken, [idOf('y')]);
            asked();
            assert.include(await wants('y', 'another'), { confirmed: true });
            assert.deepEqual(asked(), ['acquire']);
        });

        test('callers that leave a key that is held wake nobody', async () => {
            await leaves('b');
            assert.deepEqual(woken, []);
            await leaves('c');
            assert.strictEqual(succession.size, 1);
            assert.strictEqual(await releases(), 'released');
            assert.strictEqual(succession.size, 0);
        });
    });

    test('close sends those who wait away and gives the key back', async () => {
        const first = await contended();
        const waits = waiting(3).map((wait) => rejection(wait));
        await settled();
        await locker.close();
        for (const error of await Promise.all(waits)) assert.include(error.message, 'closed');
        assert.isFalse(first.isHeld());
        assert.isUndefined(store.holderOf('key'));
        assert.strictEqual(clock.timers, 0);
    });

    test('keeps nothing of keys that nobody has or wants', async () => {
        const succession = new LocalGrants(store, clock, PASSES);
        locker = await opened(succession, 0);
        for (let i = 0; i < 3; i++) {
            const first = await contended({}, locker, `key ${i}`);
            const wait = locker.acquire(`key ${i}`);
            await first.release();
            await (await wait).release();
            await locker.acquire(`left ${i}`, { keepAlive: false, ttl: 100 });
        }
        await clock.advance(1000);
        assert.strictEqual(succession.size, 0);
    });

    test('in any course of events: one lease at a time, fences that rise, and everybody is served', async function () {
        this.timeout(60_000);
        const sequence = fc.array(step, { maxLength: 60, size: 'max' });
        await fc.assert(
            fc.asyncProperty(sequence, async (steps) => {
                const course = await Course.begin();
                for (const one of steps) await course.take(one);
                await course.end();
            }),
            { numRuns: 3000, includeErrorInReport: true },
        );
    });
});

function holderIn(answer: AcquireAnswer): string {
    return answer.kind === 'granted' ? answer.holder : assert.fail('It is busy.');
}

const by = fc.nat(2);
const step = fc.oneof(
    { arbitrary: fc.record({ kind: fc.constant('wait'), by, timeout: fc.constantFrom(5, 50, Infinity) }), weight: 5 },
    { arbitrary: fc.record({ kind: fc.constant('release') }), weight: 5 },
    { arbitrary: fc.record({ kind: fc.constant('pass time'), time: fc.constantFrom(0, 1, 30, 400, 1200) }), weight: 3 },
    { arbitrary: fc.record({ kind: fc.constantFrom('try', 'abandon'), by }), weight: 1 },
    { arbitrary: fc.record({ kind: fc.constant('abort'), which: fc.nat(5) }), weight: 1 },
    { arbitrary: fc.record({ kind: fc.constantFrom('lose messages', 'lose answers'), by }), weight: 1 },
);

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** Three processes, which pass a key on not at all, once, and twice in a row, and what happens to them. */
class Course {
    private readonly _held: Lease[] = [];
    private readonly _signals: AbortController[] = [];
    private _underWay = 0;
    private _fence = 0;

    private constructor(
        private readonly _clock: VirtualClock,
        private readonly _stores: readonly FakeStore[],
        private readonly _lockers: readonly Locker[],
    ) {}

    static async begin(): Promise<Course> {
        const clock = new VirtualClock();
        const first = new FakeStore(clock);
        const stores = [first, first.another(), first.another()];
        const lockers = stores.map((store, at) => lockerOf(store, clock, at, { ttl: 1000, timeout: 300 }));
        for (const one of lockers) await one.open();
        return new Course(clock, stores, lockers);
    }

    async take(one: Step): Promise<void> {
        switch (one.kind) {
            case 'wait':
                this._want(one.by, { timeout: one.timeout });
                break;
            case 'try':
                this._want(one.by, { timeout: 0 });
                break;
            case 'abandon':
                this._want(one.by, { timeout: 50, keepAlive: false });
                break;
            case 'abort':
                this._signals[this._signals.length - 1 - one.which]?.abort();
                break;
            case 'release':
                this._held
                    .pop()
                    ?.release()
                    .catch(() => false);
                break;
            case 'pass time':
                await this._clock.advance(one.time);
                break;
            case 'lose messages':
                for (const store of this._stores) store.mute = !store.mute;
                break;
            case 'lose answers':
                await this._loseAnswers(one.by);
        }
        await settled();
    }

    /** Everybody is served, and nothing is left. */
    async end(): Promise<void> {
        for (const store of this._stores) store.mute = false;
        for (let turns = 0; this._underWay + this._held.length > 0; turns++) {
            assert.isBelow(turns, 1000, 'there are callers whose turn does not come');
            for (const lease of this._held.splice(0)) await lease.release().catch(() => false);
            await this._clock.advance(1000);
        }
        for (const locker of this._lockers) await locker.close();
        assert.isUndefined(this._stores[0]?.holderOf('key'));
        assert.strictEqual(this._clock.timers, 0);
    }

    private _want(at: number, options: LeaseOptions): void {
        const stop = new AbortController();
        this._signals.push(stop);
        this._underWay += 1;
        this._lockers[at]?.acquire('key', { ...options, signal: stop.signal }).then(
            (lease) => {
                this._underWay -= 1;
                assert.isFalse(
                    this._held.some((other) => other.isHeld()),
                    'two have the key',
                );
                assert.isAbove(lease.fence, this._fence);
                this._fence = lease.fence;
                this._held.push(lease);
            },
            () => (this._underWay -= 1),
        );
    }

    /** What a store is asked now takes effect, but nobody hears of it. */
    private async _loseAnswers(at: number): Promise<void> {
        const store = this._stores[at];
        if (store === undefined) return;
        store.holding = true;
        this._held
            .pop()
            ?.release()
            .catch(() => false);
        this._want(at, { timeout: 50 });
        await settled();
        store.holding = false;
        for (const call of [...store.acquires, ...store.releases]) if (!call.answered) call.goUnheard();
        store.proceed();
    }
}

suite('LocalGrants, in rare courses of events', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let locker: Locker;

    setup(async () => {
        clock = new VirtualClock();
        store = new FakeStore(clock);
        locker = lockerOf(store, clock, PASSES);
        await locker.open();
    });

    for (const [what, code] of [
        ['of which nothing can be left', 'CONNECTION_FAILED'],
        ['for good', 'WRONG_TYPE'],
    ] as const) {
        test(`a caller whose first attempt fails, ${what}, is not waited for by those behind it`, async () => {
            store.holding = true;
            const failed = rejection(locker.acquire('key', { timeout: 10 }));
            const behind = locker.acquire('key');
            await settled();
            store.acquires[0]?.fail(code, false);
            await clock.advance(10);
            await failed;
            store.holding = false;
            store.proceed();
            await clock.advance(1000);
            assert.isTrue((await behind).isHeld());
            assert.isTrue(await (await behind).release());
            assert.isTrue((await locker.acquire('key')).isHeld());
        });
    }

    test('callers that leave together make room for the next at once', async () => {
        const leaving = new AbortController();
        const other = new Locker(store.another(), { ttl: TTL }, undefined, clock);
        await other.open();
        const first = await other.acquire('key');
        const left = [1, 2].map(() => rejection(locker.acquire('key', { signal: leaving.signal })));
        const next = locker.acquire('key');
        leaving.abort();
        await Promise.all(left);
        await settled();
        await first.release();
        await settled();
        assert.strictEqual(store.holderOf('key'), (await next).holder);
    });

    test('a caller that hears of its grant when that has run out keeps its place', async () => {
        const other = lockerOf(store.another(), clock, 0);
        await other.open();
        const theirs = await other.acquire('key');
        const waits = [0, 1, 2, 3].map(() => locker.acquire('key'));
        const first = waits.shift();
        await theirs.release();
        let last = (await first) ?? theirs;
        for (let passed = 0; passed < PASSES; passed += 1) {
            await last.release();
            last = (await waits[passed]) ?? last;
        }
        store.holding = true;
        void last.release();
        await settled();
        clock.skip(2 * TTL);
        store.acquires.at(-1)?.go();
        store.holding = false;
        await clock.advance(1000);
        const next = await Promise.race(waits.slice(PASSES));
        assert.strictEqual(next, await waits[PASSES]);
        assert.isTrue(next.isHeld());
    });

    test('a try that succeeds after another that did not does not let later callers overtake', async () => {
        store.holding = true;
        const [, tried] = [locker.tryAcquire('key'), locker.tryAcquire('key')];
        await settled();
        const [one, other] = store.acquires;
        other?.goSilently();
        one?.go();
        await settled();
        const order: number[] = [];
        const waits = [1, 2].map(async (number) => {
            const lease = await locker.acquire('key');
            order.push(number);
            await lease.release();
        });
        await settled();
        other?.go();
        store.holding = false;
        store.proceed();
        await settled();
        const third = locker.acquire('key').then(async (lease) => {
            order.push(3);
            await lease.release();
        });
        await (await tried)?.release();
        await Promise.all([...waits, third]);
        assert.deepEqual(order, [1, 2, 3]);
    });
});
