import { assert } from 'chai';
import fc from 'fast-check';
import type { Lease } from '../../../src/engine/lease/Lease';
import { Locker } from '../../../src/engine/locker/Locker';
import type { LeaseOptions } from '../../../src/engine/locker/Locker';
import type { AcquireAnswer, LockStore, ReleaseAnswer } from '../../../src/engine/port/LockStore';
import { LocalGrants } from '../../../src/engine/local/LocalGrants';
import { acquireFrom, releaseTo } from '../../fixtures/asks';
import { FakeStore } from '../../fixtures/FakeStore';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

const TTL = 30_000;
const HEARTBEAT = 10_000;
/** How often in a row a key is passed on. */
const PASSES = 2;

suite('LocalGrants', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let locker: Locker;
    let seen: number;

    setup(async () => {
        seen = 0;
        clock = new VirtualClock();
        store = new FakeStore(clock);
        locker = await opened(store);
    });

    async function opened(of: LockStore, localGrants = PASSES): Promise<Locker> {
        const one = new Locker(of, { ttl: TTL, localGrants, timeout: Infinity }, undefined, clock);
        await one.open();
        return one;
    }

    /** Callers of one process who begin to wait one after the other. */
    function waiting(count: number, options: LeaseOptions = {}, of = locker): Promise<Lease>[] {
        return Array.from({ length: count }, () => of.acquire('key', options));
    }

    /** What the store was asked since the last time. */
    function asked(): readonly string[] {
        const log = store.log.slice(seen);
        seen = store.log.length;
        return log;
    }

    suite('passes a key on', () => {
        test('among the callers of the process, in the order in which they came, without asking', async () => {
            const first = await locker.acquire('key');
            const waits = waiting(2);
            await settled();
            assert.deepEqual(asked(), ['acquire']);
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

        test('so many times in a row, then it goes to the next process', async () => {
            const other = await opened(store.another());
            const first = await locker.acquire('key');
            const theirs = other.acquire('key');
            await settled();
            const ours = waiting(3);
            await settled();
            asked();
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
            // One step to give it back and to ask for it again, and one in the end.
            assert.deepEqual(asked(), ['acquire', 'release']);
        });

        test('and asks for it again in the step with which it gives it back, as it wants it on', async () => {
            const first = await locker.acquire('key');
            const waits = waiting(PASSES + 1);
            await settled();
            asked();
            await first.release();
            await (await waits[0])?.release();
            const last = await waits[PASSES - 1];
            assert.deepEqual(asked(), []);
            assert.isTrue(await last?.release());
            const next = await waits[PASSES];
            assert.deepEqual(asked(), ['acquire']);
            assert.strictEqual(store.acquires.at(-1)?.request.before, first.holder);
            assert.notStrictEqual(next?.holder, first.holder);
            assert.isAbove(next?.fence ?? 0, last?.fence ?? 0);
        });

        test('in two steps where the store cannot do it in one', async () => {
            store.exchanges = false;
            locker = await opened(store, 1);
            const first = await locker.acquire('key');
            const waits = waiting(2);
            await settled();
            await first.release();
            asked();
            assert.isTrue(await (await waits[0])?.release());
            assert.isTrue((await waits[1])?.isHeld());
            assert.deepEqual(asked(), ['release', 'acquire']);
        });

        test('for all of the ttl of the next, which is renewed soon', async () => {
            const first = await locker.acquire('key', { keepAlive: false });
            const waits = waiting(1, { keepAlive: false });
            await clock.advance(TTL / 4);
            await first.release();
            const next = await waits[0];
            assert.isBelow(next?.remaining() ?? 0, (TTL * 3) / 4);
            await clock.advance(100);
            assert.isAbove(next?.remaining() ?? 0, TTL * 0.98);
        });

        test('that was granted for a claim window, when it was renewed since', async () => {
            const other = await opened(store.another());
            const first = await other.acquire('key');
            const waits = waiting(2);
            await settled();
            await first.release();
            const second = await waits[0];
            await clock.advance(1500);
            asked();
            await second?.release();
            assert.strictEqual((await waits[1])?.holder, second?.holder);
            assert.deepEqual(asked(), []);
        });

        test('of a plain try too; and no plain try overtakes who waits here', async () => {
            const first = await locker.tryAcquire('key');
            const waits = waiting(1);
            asked();
            assert.isNull(await locker.tryAcquire('key'));
            store.delete('key');
            assert.isNull(await locker.tryAcquire('key'));
            await first?.release();
            assert.strictEqual((await waits[0])?.fence, (first?.fence ?? 0) + 1);
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

        test('only to whom the holder is all one, and who wants no other key', async () => {
            const first = await locker.acquire('key');
            const chosen = locker.acquire('key', { holder: 'mine' });
            const several = locker.acquire(['key', 'other']);
            await settled();
            assert.strictEqual(store.lineOf('key').length, 2);
            await first.release();
            assert.strictEqual((await chosen).holder, 'mine');
            await (await chosen).release();
            assert.deepEqual((await several).keys, ['key', 'other']);
            assert.notStrictEqual((await several).holder, first.holder);
        });
    });

    suite('does not pass a key on', () => {
        test('when it had it for a third of the ttl', async () => {
            const other = await opened(store.another());
            const first = await locker.acquire('key');
            const theirs = other.acquire('key');
            await settled();
            const waits = waiting(1);
            await clock.advance(TTL / 3);
            await first.release();
            assert.isTrue((await theirs).isHeld());
            await (await theirs).release();
            assert.isTrue((await waits[0])?.isHeld());
        });

        test('when little is left of the lease, as of one that began by a message', async () => {
            const other = await opened(store.another());
            const first = await other.acquire('key');
            const waits = waiting(2);
            await clock.advance(900);
            await first.release();
            const second = await waits[0];
            assert.isAbove(second?.remaining() ?? 0, 1000);
            clock.skip(200);
            asked();
            await second?.release();
            assert.isTrue((await waits[1])?.isHeld());
            assert.deepEqual(asked(), ['acquire']);
        });

        test('that was lost: the next asks the store', async () => {
            const first = await locker.acquire('key', { keepAlive: false });
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
            const first = await locker.acquire('key');
            const waits = waiting(1);
            store.delete('key');
            await clock.advance(TTL / 3);
            assert.isFalse(first.isHeld());
            const next = await waits[0];
            assert.isTrue(next?.isHeld());
            assert.notStrictEqual(next?.holder, first.holder);
        });

        test('that a renewal of its own has found gone', async () => {
            const first = await locker.acquire('key', { keepAlive: false });
            const waits = waiting(1);
            store.delete('key');
            await rejection(first.renew(), 'LOCK_LOST');
            await settled();
            assert.strictEqual(store.holderOf('key'), (await waits[0])?.holder);
        });

        test('that is taken from its holder by force', async () => {
            const other = await opened(store.another());
            const first = await locker.acquire('key');
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
            const first = await locker.acquire('key');
            const waits = waiting(1);
            await settled();
            const holder = first.handOver();
            await settled();
            assert.strictEqual(store.lineOf('key').length, 1);
            await releaseTo(store.another(), 'key', holder);
            await settled();
            assert.isTrue((await waits[0])?.isHeld());
        });

        test('when it is given up', async () => {
            const limited = new Locker(store, { ttl: TTL, localGrants: PASSES, maxHeld: 1 }, undefined, clock);
            await limited.open();
            const waits = [limited.acquire('key'), limited.acquire('other')];
            const refused = await rejection(Promise.all(waits));
            assert.include(refused.message, 'max_held');
            await settled();
            assert.isUndefined(store.holderOf('other'));
        });
    });

    suite('keeps the place in line', () => {
        test('when the first who waits leaves: the next goes on with its ticket', async () => {
            const other = await opened(store.another());
            const first = await other.acquire('key');
            const leaver = new AbortController();
            const left = locker.acquire('key', { signal: leaver.signal });
            await clock.advance(1);
            const theirs = other.acquire('key');
            await clock.advance(1);
            const ours = waiting(1);
            await settled();
            assert.strictEqual(store.lineOf('key').length, 1, 'of this process; the other passes on in its own');
            leaver.abort();
            await rejection(left);
            await settled();
            assert.strictEqual(store.lineOf('key').length, 1);
            await first.release();
            await (await theirs).release();
            assert.isTrue((await ours[0])?.isHeld());
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
            const first = await locker.acquire('key');
            const leaver = new AbortController();
            await settled();
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
            const first = await locker.acquire('key');
            const leaver = new AbortController();
            const left = rejection(locker.acquire('key', { signal: leaver.signal }));
            const released = first.release();
            leaver.abort();
            await left;
            assert.isTrue(await released);
            await settled();
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(clock.timers, 0);
        });

        test('as the only one before an exchange gives the key back', async () => {
            const first = await locker.acquire('key');
            const [wait] = waiting(1);
            await settled();
            await first.release();
            const second = await wait;
            await clock.advance(TTL / 3);
            const leaver = new AbortController();
            const left = rejection(locker.acquire('key', { signal: leaver.signal }));
            const released = second?.release();
            leaver.abort();
            await left;
            assert.isTrue(await released);
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
            const first = await locker.acquire('key');
            const waits = [
                rejection(locker.acquire('key', { timeout: 50 })),
                rejection(locker.acquire('key', { timeout: 60 })),
            ];
            await clock.advance(100);
            await Promise.all(waits);
            assert.deepEqual(asked(), ['acquire']);
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
            const other = await opened(store.another());
            const first = await other.acquire('key');
            const waits = waiting(2);
            await settled();
            asked();
            await first.release();
            const second = await waits[0];
            assert.deepEqual(asked(), []);
            await second?.release();
            assert.strictEqual((await waits[1])?.fence, (second?.fence ?? 0) + 1);
            assert.deepEqual(asked(), []);
            await clock.advance(100);
            assert.isAbove((await waits[1])?.remaining() ?? 0, TTL * 0.98);
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
            const [sent] = store.acquires.slice(-1);
            sent?.reply({
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

    test('whoever is sent away when the lock is closed is not asked for any more', async () => {
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
        /** The second lease is given back in exchange for the third, of which nothing is heard at first. */
        async function exchange(
            fails: (asking: FakeStore['acquires'][number]) => void,
        ): Promise<{ second: Lease | undefined; third: Lease | undefined }> {
            locker = await opened(store, 1);
            const first = await locker.acquire('key');
            const waits = waiting(2);
            await settled();
            await first.release();
            const second = await waits[0];
            store.holding = true;
            const released = rejection(second?.release() ?? Promise.resolve());
            await settled();
            const asking = store.acquires.at(-1);
            if (asking !== undefined) fails(asking);
            await released;
            store.holding = false;
            store.proceed();
            await clock.advance(5000);
            return { second, third: await waits[1] };
        }

        test('in an exchange: nobody has the key twice, and the next has it in the end', async () => {
            const { third } = await exchange((asking) => asking.fail());
            assert.isTrue(third?.isHeld());
            assert.strictEqual(store.holderOf('key'), third?.holder);
        });

        test('and had done the exchange: the one that asked gets what it was granted', async () => {
            const { second, third } = await exchange((asking) => asking.goUnheard());
            assert.strictEqual(store.holderOf('key'), third?.holder);
            assert.isAbove(third?.fence ?? 0, second?.fence ?? 0);
        });
    });

    suite('step by step', () => {
        const listener = {
            first: (): void => undefined,
            handedOn: (): void => undefined,
            changed: (): void => undefined,
            reconnected: (): void => undefined,
            disconnected: (): void => undefined,
            recovered: (): void => undefined,
            warned: (): void => undefined,
        };
        let succession: LocalGrants;
        let woken: string[];

        setup(async () => {
            woken = [];
            store = new FakeStore(clock);
            seen = 0;
            succession = new LocalGrants(store, clock, 1);
            await succession.open({ ...listener, granted: (_key, id) => woken.push(id) });
            await wants('a');
            await wants('b');
            await wants('c');
            assert.deepEqual(asked(), ['acquire']);
        });

        function wants(id: string): Promise<AcquireAnswer> {
            return acquireFrom(succession, { key: 'key', holder: id, id, ttl: TTL, ticket: 0, passable: true });
        }

        /** Of the lease of a, or of one after it. */
        function releases(): Promise<ReleaseAnswer> {
            return releaseTo(succession, 'key', 'a', 'a');
        }

        function leaves(id: string): Promise<ReleaseAnswer> {
            return succession.giveUp('key', id, id, true);
        }

        test('a key that was passed on to one that leaves goes to the next', async () => {
            assert.strictEqual(await releases(), 'released');
            assert.strictEqual(await leaves('b'), 'gone');
            assert.deepEqual(woken, ['b', 'c']);
            const answer = await wants('c');
            assert.deepInclude(answer, { kind: 'granted', passed: { holder: 'a', id: 'a' } });
            assert.deepEqual(asked(), []);
        });

        test('a key that was passed on and that nobody wants any more is given back', async () => {
            await releases();
            await leaves('b');
            await leaves('c');
            assert.deepEqual(asked(), ['release']);
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(succession.size, 0);
        });

        test('a key that was passed on is not taken once it has run out', async () => {
            await releases();
            clock.skip(TTL);
            assert.strictEqual((await wants('b')).kind, 'granted');
            assert.deepEqual(asked(), ['acquire']);
            assert.strictEqual(store.holderOf('key'), 'b');
        });

        test('an exchange with one that leaves is done by the next', async () => {
            await releases();
            await wants('b');
            await wants('d');
            woken = [];
            const released = releases();
            await leaves('c');
            assert.deepEqual(woken, ['c', 'd']);
            assert.deepInclude(await wants('d'), { kind: 'granted' });
            assert.strictEqual(await released, 'released');
            assert.deepEqual(asked(), ['acquire']);
            assert.strictEqual(store.holderOf('key'), 'd');
        });

        test('an exchange in which the one that asks is refused is a release', async () => {
            await releases();
            await wants('b');
            const released = releases();
            // It was given up by its process, of which this store knows nothing.
            await store.giveUp('key', 'c', 'c', true);
            asked();
            await rejection(wants('c'), 'LOCK_ABORTED');
            assert.strictEqual(await released, 'released');
            assert.deepEqual(asked(), ['acquire', 'release']);
            assert.isUndefined(store.holderOf('key'));
        });

        test('an exchange that nobody wants any more is a release', async () => {
            await releases();
            await wants('b');
            const released = releases();
            await leaves('c');
            assert.strictEqual(await released, 'released');
            assert.deepEqual(asked(), ['release']);
            assert.isUndefined(store.holderOf('key'));
            assert.strictEqual(succession.size, 0);
        });

        test('an exchange in which the key is found gone says so', async () => {
            await releases();
            await wants('b');
            store.delete('key');
            const released = releases();
            await wants('c');
            assert.strictEqual(await released, 'gone');
        });

        test('a lease that is given up ends the row: the next asks', async () => {
            assert.strictEqual(await succession.giveUp('key', 'a', 'a', false), 'released');
            assert.deepEqual(woken, ['b']);
            await wants('b');
            assert.deepEqual(asked(), ['giveUp', 'acquire']);
            assert.strictEqual(store.holderOf('key'), 'b');
        });

        test('a message is not relied on when an attempt has failed since the last answer', async () => {
            const other = store.another();
            const request = { key: 'another', holder: 'x', id: 'x', ttl: TTL, ticket: 0 };
            await other.open({ ...listener, granted: () => undefined });
            await acquireFrom(other, request);
            const asks = (): Promise<AcquireAnswer> =>
                acquireFrom(succession, { ...request, holder: 'y', id: 'y', passable: true });
            assert.strictEqual((await asks()).kind, 'busy');
            store.holding = true;
            const failed = rejection(asks());
            store.acquires.at(-1)?.fail();
            await failed;
            store.holding = false;
            await releaseTo(other, 'another', 'x');
            await settled();
            assert.deepEqual(woken, ['y']);
            asked();
            assert.notProperty(await asks(), 'passed');
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
        const first = await locker.acquire('key');
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
            const first = await locker.acquire(`key ${i}`);
            const wait = locker.acquire(`key ${i}`);
            await first.release();
            await (await wait).release();
            await locker.acquire(`left ${i}`, { keepAlive: false, ttl: 100 });
        }
        await clock.advance(1000);
        assert.strictEqual(clock.timers, 0);
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
        const lockers = stores.map((store, at) => new Locker(store, { ttl: 1000, localGrants: at }, undefined, clock));
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
        locker = new Locker(store, { ttl: TTL, localGrants: PASSES, timeout: Infinity }, undefined, clock);
        await locker.open();
    });

    for (const [what, code] of [
        ['of which nothing can be left', 'CONNECTION_FAILED'],
        ['for good', 'WRONG_TYPE'],
    ] as const) {
        test(`a caller whose first attempt fails, ${what}, is not waited for by those behind it`, async () => {
            store.holding = true;
            const failed = rejection(locker.acquire('key'));
            const behind = locker.acquire('key');
            await settled();
            store.acquires[0]?.fail(code, false);
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
        let last = await locker.acquire('key');
        const waits = [0, 1, 2, 3].map(() => locker.acquire('key'));
        await settled();
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
