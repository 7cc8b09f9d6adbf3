import { getEventListeners } from 'node:events';
import { assert } from 'chai';
import { ClaimTimeouts } from '../../../src/engine/followups/ClaimTimeouts';
import { GiveUps } from '../../../src/engine/followups/GiveUps';
import type { LockEvent } from '../../../src/engine/port/LockObserver';
import { promised } from '../../../src/engine/port/LockStore';
import type { AcquireRequest, Busy, Granted } from '../../../src/engine/port/LockStore';
import { Waiters } from '../../../src/engine/waiting/Waiters';
import type { Acquired, WaitRequest } from '../../../src/engine/waiting/WaitRequest';
import { holderOf, nameOf } from '../../../src/engine/port/holder';
import { acquireFrom, releaseTo } from '../../fixtures/asks';
import { FakeStore } from '../../fixtures/FakeStore';
import type { Call } from '../../fixtures/FakeStore';
import { idOf } from '../../fixtures/ids';
import { listenerOf } from '../../fixtures/listenerOf';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

type Attempt = Call<AcquireRequest, Granted | Busy>;

const TTL = 30_000;
const HEARTBEAT = 10_000;
const RETRY_TIMEOUT = 100;

function acquire(waiters: Waiters, request: WaitRequest): Promise<Acquired | Busy> {
    return promised((callback) => waiters.acquire(request, callback));
}

suite('Waiters', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let waiters: Waiters;
    let events: LockEvent[];

    setup(async () => {
        clock = new VirtualClock();
        store = new FakeStore(clock);
        store.holding = true;
        events = [];
        const giveUps = new GiveUps(store, clock);
        const claims = new ClaimTimeouts(store, clock);
        const options = { retryTimeout: RETRY_TIMEOUT, maxWaiting: 3 };
        waiters = new Waiters(store, clock, giveUps, options, (event) => events.push(event));
        await store.open(
            listenerOf({
                granted: (key, id, fence, ttl) => waiters.granted(key, id, fence, ttl),
                woken: (key, id) => waiters.woken(key, id),
                first: (key, id, remaining) => waiters.first(key, id, remaining),
                handedOn: (key, window) => claims.follow(key, window),
                changed: (key) => waiters.changed(key),
                reconnected: () => waiters.recheck(),
                disconnected: () => waiters.disconnected(),
            }),
        );
    });

    /** Wants the key; tells how it ended, and when. */
    function want({ id = 'me', ...options }: Partial<WaitRequest> = {}): Wait {
        const request = { key: 'key', ttl: TTL, timeout: 60_000, signal: undefined, context: undefined };
        const answer = acquire(waiters, { ...request, ...options, id: idOf(id) });
        const wait: Wait = { answer, settledAt: undefined };
        const note = (): void => {
            wait.settledAt = clock.now();
        };
        wait.answer.then(note, note);
        return wait;
    }

    /** The attempt that was sent last. */
    function last(): Attempt {
        const attempt = store.acquires.at(-1);
        assert.isDefined(attempt);
        return attempt;
    }

    /** Answers the last attempt with busy. */
    async function busy(details: Partial<Busy> = {}): Promise<void> {
        last().reply({ ...BUSY, sentAt: last().at, ...details });
        await settled();
    }

    async function granted(fence: number, ttl = TTL): Promise<void> {
        const { at, request } = last();
        const holder = holderOf(request.id, fence);
        last().reply({ kind: 'granted', holder, fence, deadline: at + ttl, confirmed: true });
        await settled();
    }

    function attempts(): number {
        return store.acquires.length;
    }

    /** What remains of everybody who waited. */
    function assertNothingLeft(): void {
        assert.strictEqual(waiters.size, 0);
        assert.strictEqual(clock.timers, 0);
    }

    suite('the first attempt', () => {
        test('gives the key when it is granted', async () => {
            const wait = want();
            await granted(7);
            const answer = await acquired(wait);
            assert.deepEqual(answer, {
                kind: 'granted',
                holder: `${idOf('me')}7`,
                fence: 7,
                deadline: last().at + TTL,
                confirmed: true,
                buried: undefined,
            });
            assertNothingLeft();
        });

        test('is a plain try, answered by busy, when the timeout is 0', async () => {
            const wait = want({ timeout: 0 });
            assert.isUndefined(last().request.ticket);
            await busy({ remaining: 4321 });
            assert.include(await wait.answer, { kind: 'busy', remaining: 4321 });
            assert.strictEqual(attempts(), 1);
            assert.isEmpty(store.givenUp);
            assertNothingLeft();
        });

        test('asks for a ticket, and hands that in with every later one', async () => {
            want();
            assert.strictEqual(last().request.ticket, 0);
            await busy({ ticket: 4711 });
            await clock.advance(HEARTBEAT);
            assert.strictEqual(last().request.ticket, 4711);
        });

        test('that takes longer to be answered than the lease lasts gives no lease, and is given up in the end', async () => {
            const wait = want({ ttl: 500, timeout: 600 });
            clock.skip(500);
            await granted(7, 500);
            await clock.advance(100);
            const error = await rejection(wait.answer, 'CONNECTION_FAILED');
            assert.match(error.message, /longer to answer than the lease/);
            assert.include(store.givenUp[0]?.request, { key: 'key', id: idOf('me'), underWay: true });
        });

        test('tells that it waits, once, with the rank', async () => {
            want();
            await busy({ rank: 3 });
            await clock.advance(HEARTBEAT);
            await busy({ rank: 2 });
            const told = events.filter(({ kind }) => kind === 'waiting');
            assert.lengthOf(told, 1);
            assert.deepInclude(told[0], { key: 'key', holder: nameOf(idOf('me')), rank: 3 });
        });
    });

    suite('a grant by message', () => {
        test('is trusted without a further attempt when it is newer than the last answer', async () => {
            const wait = want();
            await busy({ fence: 10 });
            await clock.advance(300);
            waiters.granted('key', idOf('me'), 11, 2000);
            const answer = await acquired(wait);
            assert.include(answer, { holder: `${idOf('me')}11`, fence: 11, confirmed: false });
            assert.strictEqual(attempts(), 1);
            assert.isEmpty(store.givenUp);
            assertNothingLeft();
        });

        test('holds from the send of the attempt that was answered busy, not from its arrival', async () => {
            const wait = want();
            const sentAt = clock.now();
            await clock.advance(200);
            await busy({ fence: 10 });
            await clock.advance(300);
            waiters.granted('key', idOf('me'), 11, 2000);
            const { deadline } = await acquired(wait);
            assert.isAtMost(deadline, sentAt + 2000 - 20 - 2);
            assert.isAbove(deadline, sentAt + 1900);
        });

        test('is for the whole ttl, if that is no longer than the claim window', async () => {
            const confirmed: boolean[] = [];
            for (const ttl of [2000, 2001]) {
                const wait = want({ ttl });
                await busy({ fence: 10 });
                waiters.granted('key', idOf('me'), 11, 2000);
                confirmed.push((await acquired(wait)).confirmed);
            }
            assert.deepEqual(confirmed, [true, false]);
        });

        test('is not believed when its fence is not newer than that of the last answer', async () => {
            const wait = want();
            await busy({ fence: 10 });
            waiters.granted('key', idOf('me'), 10, 2000);
            await settled();
            assert.isUndefined(wait.settledAt);
            assert.strictEqual(attempts(), 2);
            await busy({ fence: 10 });
            assert.isUndefined(wait.settledAt);
        });

        test('is confirmed first when less than half of it can be left', async () => {
            const wait = want();
            await busy({ fence: 10 });
            await clock.advance(1500);
            waiters.granted('key', idOf('me'), 11, 2000);
            await settled();
            assert.isUndefined(wait.settledAt);
            assert.strictEqual(attempts(), 2);
            await granted(11);
            assert.include(await acquired(wait), { fence: 11, confirmed: true });
        });

        test('that comes during an attempt is heeded once that was answered busy', async () => {
            const wait = want();
            waiters.granted('key', idOf('me'), 11, 2000);
            await settled();
            assert.isUndefined(wait.settledAt);
            await busy({ fence: 10 });
            assert.include(await acquired(wait), { fence: 11, confirmed: false });
            assert.strictEqual(attempts(), 1);
        });

        test('that comes during an attempt is not believed when the answer is as new', async () => {
            const wait = want();
            waiters.granted('key', idOf('me'), 11, 2000);
            await busy({ fence: 11 });
            assert.isUndefined(wait.settledAt);
            assert.strictEqual(attempts(), 2);
        });

        test('is confirmed first when the last attempt has no answer', async () => {
            const wait = want();
            await busy({ fence: 10, remaining: 500 });
            await clock.advance(502);
            last().fail();
            await settled();
            waiters.granted('key', idOf('me'), 11, 2000);
            await settled();
            assert.isUndefined(wait.settledAt);
            assert.strictEqual(attempts(), 3);
            await granted(12);
            assert.include(await acquired(wait), { fence: 12, confirmed: true });
        });

        test('of another key or another acquisition changes nothing', async () => {
            const wait = want();
            await busy({ fence: 10 });
            waiters.granted('other', idOf('me'), 11, 2000);
            waiters.granted('key', idOf('you'), 11, 2000);
            await settled();
            assert.isUndefined(wait.settledAt);
            assert.strictEqual(attempts(), 1);
        });
    });

    suite('a waiter sleeps', () => {
        test('until 2 ms after the expiry when it is the first in line', async () => {
            want();
            await busy({ rank: 0, remaining: 5000 });
            await clock.advance(5001);
            assert.strictEqual(attempts(), 1);
            await clock.advance(1);
            assert.strictEqual(attempts(), 2);
        });

        test('until then as well when a message says that it is the first now', async () => {
            want();
            await busy({ rank: 2, remaining: 25_000 });
            await clock.advance(500);
            waiters.first('key', idOf('me'), 400);
            await clock.advance(401);
            assert.strictEqual(attempts(), 1);
            await clock.advance(1);
            assert.strictEqual(attempts(), 2);
        });

        test('not at all then, if its last answer is too old for a grant to be relied on', async () => {
            const wait = want();
            await busy({ rank: 2, remaining: 25_000 });
            await clock.advance(900);
            waiters.first('key', idOf('me'), 25_000);
            assert.strictEqual(attempts(), 2);
            await busy({ rank: 0, remaining: 24_000, fence: 7 });
            await clock.advance(200);
            waiters.granted('key', idOf('me'), 8, 2000);
            assert.isFalse((await acquired(wait)).confirmed);
            assert.strictEqual(attempts(), 2);
        });

        test('but as ever where a grant has to be asked about in any case', async () => {
            Object.assign(store, { confirmsGrants: true });
            want();
            await busy({ rank: 2, remaining: 25_000 });
            await clock.advance(900);
            waiters.first('key', idOf('me'), 400);
            assert.strictEqual(attempts(), 1);
            await clock.advance(402);
            assert.strictEqual(attempts(), 2);
        });

        test('until a reconnect, after which everybody looks once', async () => {
            want({ id: 'a' });
            await busy({ rank: 0 });
            want({ id: 'b' });
            await busy({ rank: 1 });
            waiters.recheck();
            waiters.recheck();
            assert.strictEqual(attempts(), 4);
            assert.deepEqual(
                store.acquires.slice(2).map(({ request }) => request.id),
                [idOf('a'), idOf('b')],
            );
        });

        test('and looks again when a reconnect came while it was looking', async () => {
            want();
            await busy({ rank: 0 });
            waiters.recheck();
            waiters.recheck();
            waiters.recheck();
            assert.strictEqual(attempts(), 2);
            await busy({ rank: 0 });
            assert.strictEqual(attempts(), 3);
            await busy({ rank: 0 });
            assert.strictEqual(attempts(), 3);
        });

        test('until it is told that it may get the key if it asks now', async () => {
            const wait = want();
            await busy({ rank: 1 });
            waiters.woken('key', idOf('me'));
            assert.strictEqual(attempts(), 2);
            await granted(11);
            assert.include(await acquired(wait), { fence: 11, confirmed: true });
        });

        test('and asks once more when it is told so while it asks', async () => {
            want();
            waiters.woken('key', idOf('me'));
            waiters.woken('key', idOf('me'));
            assert.strictEqual(attempts(), 1);
            await busy({ rank: 1 });
            assert.strictEqual(attempts(), 2);
        });

        test('and looks again when a message came while it was looking', async () => {
            want();
            waiters.first('key', idOf('me'), 400);
            await busy({ rank: 1 });
            assert.strictEqual(attempts(), 2);
            await busy({ rank: 0 });
            assert.strictEqual(attempts(), 2);
        });
    });

    suite('a foreign holder', () => {
        test('is polled by the first in line', async () => {
            want();
            await busy({ rank: 0, foreign: true });
            for (let count = 2; count < 10; count++) {
                await clock.advance(1.25 * RETRY_TIMEOUT + 1);
                assert.strictEqual(attempts(), count);
                await busy({ rank: 0, foreign: true });
            }
        });

        test('is left alone by the others', async () => {
            want();
            await busy({ rank: 3, foreign: true });
            await clock.advance(0.9 * HEARTBEAT - 1);
            assert.strictEqual(attempts(), 1);
        });

        test('is watched by the first in line instead, where that can be done', async () => {
            store.watchful = true;
            store.put('key', 'stranger', TTL);
            want();
            await busy({ rank: 0, foreign: true, holder: 'stranger' });
            assert.deepEqual(store.watches, [{ key: 'key', holder: 'stranger' }]);
            await clock.advance(0.9 * HEARTBEAT - 1);
            assert.strictEqual(attempts(), 1);
            waiters.changed('key');
            assert.strictEqual(attempts(), 2);
        });

        test('is not watched by the others', async () => {
            store.watchful = true;
            want();
            await busy({ rank: 1, foreign: true });
            assert.isEmpty(store.watches);
        });

        test('that is gone when it turns out that it cannot be watched does not wake anybody twice', async () => {
            want();
            await busy({ rank: 0, foreign: true, remaining: 10 });
            await clock.advance(12);
            assert.strictEqual(attempts(), 2);
            await clock.advance(200);
            assert.strictEqual(attempts(), 2);
        });

        test('is not polled because of a watch that failed when somebody else has the key already', async () => {
            let fail: (watched: false) => void = () => undefined;
            store.watch = () =>
                new Promise((resolve) => {
                    fail = resolve;
                });
            want();
            await busy({ rank: 0, foreign: true });
            waiters.changed('key');
            await busy({ rank: 0, foreign: false });
            fail(false);
            await clock.advance(0.9 * HEARTBEAT - 1);
            assert.strictEqual(attempts(), 2);
        });

        test('is looked at by the waiter that becomes the first in line', async () => {
            want();
            await busy({ rank: 1, foreign: true });
            waiters.first('key', idOf('me'), 30_000);
            await clock.advance(1.25 * RETRY_TIMEOUT + 1);
            assert.isTrue(attempts() === 2 || store.watches.length === 1);
        });

        test('whose key changed is looked at by the first in line only', async () => {
            want({ id: 'a' });
            await busy({ rank: 0, foreign: true });
            want({ id: 'b' });
            await busy({ rank: 1, foreign: true });
            waiters.changed('key');
            assert.strictEqual(attempts(), 3);
            assert.strictEqual(last().request.id, idOf('a'));
        });
    });

    suite('where nobody is woken', () => {
        setup(() => {
            store.wakes = false;
        });

        test('a waiter polls', async () => {
            want();
            for (let count = 2; count < 10; count += 1) {
                await busy({ rank: 4 });
                await clock.advance(1.25 * RETRY_TIMEOUT + 1);
                assert.strictEqual(attempts(), count);
            }
        });

        test('a waiter looks at least once a second, or it would miss its turn', async () => {
            const slow = new Waiters(
                store,
                clock,
                new GiveUps(store, clock),
                { retryTimeout: 60_000, maxWaiting: 1 },
                () => undefined,
            );
            const request = { key: 'key', id: idOf('me'), ttl: TTL, timeout: 60_000 };
            void acquire(slow, { ...request, signal: undefined, context: undefined });
            await busy({ rank: 0 });
            await clock.advance(1000);
            assert.strictEqual(attempts(), 2);
        });
    });

    suite('the timeout', () => {
        test('ends a wait exactly, after a last try, with busy', async () => {
            const wait = want({ timeout: 300 });
            const start = clock.now();
            await busy({ rank: 1, remaining: 9000 });
            await advanceUntil(() => attempts() === 2, 300);
            assert.isAtLeast(clock.now() - start, 285);
            assert.isBelow(clock.now() - start, 300);
            await busy({ rank: 1, remaining: 8700 });
            await clock.advance(300);
            assert.include(await wait.answer, { kind: 'busy', remaining: 8700, rank: 1 });
            assert.strictEqual(wait.settledAt, start + 300);
            assert.include(store.givenUp[0]?.request, { key: 'key', id: idOf('me'), underWay: false });
            assertNothingLeft();
        });

        test('is not overshot while the last try is under way', async () => {
            const wait = want({ timeout: 300 });
            const start = clock.now();
            await busy({ rank: 1 });
            await clock.advance(3000);
            assert.strictEqual(attempts(), 2);
            assert.strictEqual(wait.settledAt, start + 300);
            assert.strictEqual(store.givenUp[0]?.request.underWay, true);
        });

        test('is not overshot while a heartbeat is under way', async () => {
            const wait = want({ timeout: 20_000 });
            const start = clock.now();
            await busy({ rank: 1, remaining: Infinity });
            await clock.advance(30_000);
            assert.strictEqual(wait.settledAt, start + 20_000);
        });

        test('is not overshot while the first attempt is under way, whose outcome is unknown then', async () => {
            const wait = want({ timeout: 300 });
            const start = clock.now();
            await clock.advance(3000);
            assert.strictEqual(wait.settledAt, start + 300);
            await rejection(wait.answer, 'CONNECTION_FAILED');
            assert.strictEqual(store.givenUp[0]?.request.underWay, true);
        });

        test('takes a key that becomes free for the last try', async () => {
            const wait = want({ timeout: 300 });
            await busy({ rank: 1, foreign: false });
            await clock.advance(296);
            assert.strictEqual(attempts(), 2);
            await granted(12);
            assert.include(await acquired(wait), { fence: 12 });
        });

        test('that passed while the event loop was blocked leaves time to read the answer', async () => {
            const wait = want({ timeout: 300 });
            clock.skip(1000);
            await clock.advance(1);
            await granted(7);
            assert.strictEqual((await wait.answer).kind, 'granted');
            assertNothingLeft();
        });

        test('that passed while the event loop was blocked is over soon after', async () => {
            const wait = want({ timeout: 300 });
            clock.skip(1000);
            await clock.advance(1);
            await clock.advance(700);
            await rejection(wait.answer, 'CONNECTION_FAILED');
            assertNothingLeft();
        });

        test('of Infinity never comes', async () => {
            const wait = want({ timeout: Infinity });
            for (let day = 0; day < 10; day++) {
                await busy({ rank: 0, remaining: Infinity });
                await clock.advance(HEARTBEAT);
            }
            assert.isUndefined(wait.settledAt);
            assert.strictEqual(waiters.size, 1);
        });

        test('that ends while the store is silent says that it was unreachable, not busy', async () => {
            const wait = want({ timeout: 1000 });
            await busy({ rank: 0, remaining: 100 });
            for (let count = 0; count < 20 && wait.settledAt === undefined; count++) {
                await clock.advance(102);
                if (!last().answered) last().fail();
                await settled();
            }
            await rejection(wait.answer, 'CONNECTION_FAILED');
            assert.strictEqual(store.givenUp[0]?.request.underWay, true);
        });
    });

    suite('a failure that is temporary', () => {
        test('of the first attempt is tried again until the store serves', async () => {
            const wait = want();
            for (let count = 1; count < 6; count += 1) {
                last().fail('CONNECTION_FAILED', false);
                await advanceUntil(() => attempts() > count, 1501);
            }
            await granted(20);
            assert.include(await acquired(wait), { fence: 20, buried: undefined });
        });

        test('is tried again after a pause that grows', async () => {
            want({ timeout: Infinity });
            const pauses: number[] = [];
            for (let count = 1; count < 8; count += 1) {
                const failedAt = clock.now();
                last().fail('CONNECTION_FAILED', false);
                await advanceUntil(() => attempts() > count, 1501);
                pauses.push(clock.now() - failedAt);
            }
            assert.isAtLeast(Math.min(...pauses), 50);
            assert.isAtMost(pauses[0] ?? Infinity, 150);
            assert.isAtLeast(Math.min(...pauses.slice(4)), 500);
        });

        test('ends the wait when its time is over, and is named as the cause', async () => {
            const wait = want({ timeout: 1000 });
            const start = clock.now();
            while (wait.settledAt === undefined) {
                if (!last().answered) last().fail('NO_QUORUM', false);
                await clock.advance(1);
            }
            const error = await rejection(wait.answer, 'NO_QUORUM');
            assert.include(error.message, 'timeout of 1000 ms: The store failed: NO_QUORUM.');
            assert.strictEqual(wait.settledAt, start + 1000);
            assert.isEmpty(store.givenUp);
            assertNothingLeft();
        });

        test('after which the store says busy to the end is no cause any more', async () => {
            const wait = want({ timeout: 1000 });
            last().fail('CONNECTION_FAILED', false);
            await advanceUntil(() => attempts() === 2, 200);
            await busy();
            await advanceUntil(() => attempts() === 3, 1000);
            await busy();
            await clock.advance(1000);
            assert.include(await wait.answer, { kind: 'busy' });
        });

        test('ends a plain try, but not in the same turn of the event loop', async () => {
            const wait = want({ timeout: 0 });
            last().fail('CONNECTION_FAILED', false);
            await settled();
            assert.isUndefined(wait.settledAt);
            await clock.advance(0);
            await rejection(wait.answer, 'CONNECTION_FAILED');
            assert.strictEqual(attempts(), 1);
            assert.isEmpty(store.givenUp);
            assertNothingLeft();
        });

        test('of an attempt that may have arrived is given up when the time is over', async () => {
            const wait = want({ timeout: 300 });
            last().fail('CONNECTION_FAILED', true);
            await clock.advance(300);
            await rejection(wait.answer, 'CONNECTION_FAILED');
            assert.include(store.givenUp[0]?.request, { id: idOf('me'), underWay: true });
        });

        test('of an attempt that may have arrived is buried when the lease is released', async () => {
            const wait = want();
            last().fail('CONNECTION_FAILED', true);
            await advanceUntil(() => attempts() === 2, 200);
            await granted(20);
            assert.include(await acquired(wait), { fence: 20, buried: idOf('me') });
        });

        test('keeps the place in line', async () => {
            const wait = want();
            await busy({ rank: 0, remaining: 1000, ticket: 4711 });
            await clock.advance(1002);
            last().fail();
            await advanceUntil(() => attempts() === 3, 200);
            assert.strictEqual(last().request.ticket, 4711);
            await granted(20);
            assert.include(await acquired(wait), { fence: 20 });
        });

        test('is tried again at once when the store can be reached again', async () => {
            want();
            last().fail('CONNECTION_FAILED', false);
            await settled();
            waiters.recheck();
            assert.strictEqual(attempts(), 2);
        });

        test('is told once, however many wait and however often they fail', async () => {
            for (const id of ['a', 'b', 'c']) want({ id });
            for (let turn = 0; turn < 60; turn += 1) {
                for (const attempt of store.acquires) if (!attempt.answered) attempt.fail('CONNECTION_FAILED', false);
                await clock.advance(100);
            }
            const warnings = events.filter(({ kind }) => kind === 'warning');
            assert.lengthOf(warnings, 1);
            assert.include(warnings[0], {
                message: 'Locks cannot be had for now; waiting callers retry: The store failed: CONNECTION_FAILED.',
            });
            assert.lengthOf(
                events.filter(({ kind }) => kind === 'failed'),
                3,
            );
        });

        test('is told again when there was none for a while, but not when the store told of it', async () => {
            const warnings = (): number => events.filter(({ kind }) => kind === 'warning').length;
            want({ timeout: Infinity });
            waiters.disconnected();
            last().fail('CONNECTION_FAILED', false);
            await settled();
            assert.strictEqual(warnings(), 0);
            await advanceUntil(() => attempts() === 2, 200);
            await busy({ rank: 5, remaining: Infinity });
            await clock.advance(HEARTBEAT + 1);
            last().fail('CONNECTION_FAILED', false);
            await settled();
            assert.strictEqual(warnings(), 1);
        });
    });

    test('a failure that no waiting will change ends the wait, but not in the same turn of the event loop', async () => {
        const wait = want();
        await busy({ rank: 0, remaining: 1000 });
        await clock.advance(1002);
        last().fail('NO_PERMISSION');
        await settled();
        assert.isUndefined(wait.settledAt);
        await clock.advance(0);
        await rejection(wait.answer, 'NO_PERMISSION');
        assert.lengthOf(store.givenUp, 1);
        assertNothingLeft();
    });

    test('a plain try that is answered without asking Redis ends in the next turn of the event loop', async () => {
        store.acquire = (request, callback) => {
            callback({ ...BUSY, sentAt: clock.now(), holder: request.id });
        };
        const wait = want({ timeout: 0 });
        await settled();
        assert.isUndefined(wait.settledAt);
        await clock.advance(0);
        assert.include(await wait.answer, { kind: 'busy' });
        assertNothingLeft();
    });

    suite('an abort', () => {
        test('before the start sends nothing', async () => {
            await rejection(want({ signal: AbortSignal.abort() }).answer, 'LOCK_ABORTED');
            assert.strictEqual(attempts(), 0);
            assert.isEmpty(store.givenUp);
            assertNothingLeft();
        });

        test('settles at once and carries the reason', async () => {
            const controller = new AbortController();
            const wait = want({ signal: controller.signal });
            await busy();
            const reason = new Error('not needed any more');
            controller.abort(reason);
            const error = await rejection(wait.answer, 'LOCK_ABORTED');
            assert.strictEqual(error.cause, reason);
            assert.strictEqual(wait.settledAt, clock.now());
            assert.include(store.givenUp[0]?.request, { key: 'key', id: idOf('me'), underWay: false });
            assertNothingLeft();
        });

        test('during an attempt settles at once and buries the attempt', async () => {
            const controller = new AbortController();
            const wait = want({ signal: controller.signal });
            controller.abort();
            await rejection(wait.answer, 'LOCK_ABORTED');
            assert.strictEqual(store.givenUp[0]?.request.underWay, true);
            assertNothingLeft();
        });

        test('undoes a grant that is under way, so that no key is left', async () => {
            const controller = new AbortController();
            const wait = want({ signal: controller.signal });
            controller.abort();
            await rejection(wait.answer, 'LOCK_ABORTED');
            store.proceed();
            await settled();
            assert.isUndefined(store.holderOf('key'));
        });

        test('refuses an attempt that reaches the store after the giving up', async () => {
            const controller = new AbortController();
            const wait = want({ signal: controller.signal });
            controller.abort();
            await rejection(wait.answer, 'LOCK_ABORTED');
            store.givenUp[0]?.go();
            store.acquires[0]?.go();
            await settled();
            assert.isUndefined(store.holderOf('key'));
        });

        test('gives up a grant whose message is under way', async () => {
            store.holding = false;
            store.put('key', 'other', 5000);
            const controller = new AbortController();
            const wait = want({ signal: controller.signal });
            await settled();
            assert.deepEqual(store.lineOf('key'), [idOf('me')]);
            store.mute = true;
            await releaseTo(store, 'key', 'other');
            assert.isTrue(store.holderOf('key')?.startsWith(idOf('me')));
            controller.abort();
            waiters.granted('key', idOf('me'), Number.MAX_SAFE_INTEGER, 2000);
            await rejection(wait.answer, 'LOCK_ABORTED');
            await settled();
            assert.isUndefined(store.holderOf('key'));
        });

        test('is listened for only while it waits', async () => {
            const { signal } = new AbortController();
            const wait = want({ signal });
            assert.lengthOf(getEventListeners(signal, 'abort'), 1);
            await granted(7);
            await acquired(wait);
            assert.isEmpty(getEventListeners(signal, 'abort'));
        });

        test('is listened for once, however many wait with one signal', async () => {
            const controller = new AbortController();
            const { signal } = controller;
            const waits = ['a', 'b', 'c'].map((id) => want({ id, signal }));
            assert.lengthOf(getEventListeners(signal, 'abort'), 1);
            store.acquires[0]?.reply({ ...BUSY, sentAt: clock.now() });
            await settled();
            store.acquires[1]?.fail('NO_PERMISSION');
            await clock.advance(0);
            await rejection(waits[1]?.answer ?? Promise.resolve(), 'NO_PERMISSION');
            assert.lengthOf(getEventListeners(signal, 'abort'), 1);
            controller.abort();
            for (const at of [0, 2]) await rejection(waits[at]?.answer ?? Promise.resolve(), 'LOCK_ABORTED');
            assert.isEmpty(getEventListeners(signal, 'abort'));
            assertNothingLeft();
        });

        test('of another signal changes nothing', async () => {
            const other = new AbortController();
            const wait = want({ signal: new AbortController().signal });
            want({ id: 'other', signal: other.signal });
            other.abort();
            await settled();
            assert.isUndefined(wait.settledAt);
        });

        test('that comes after the grant changes nothing', async () => {
            const controller = new AbortController();
            const wait = want({ signal: controller.signal });
            await granted(7);
            controller.abort();
            assert.include(await acquired(wait), { fence: 7 });
            assert.isEmpty(store.givenUp);
        });

        test('of one among others leaves the others in line', async () => {
            store.holding = false;
            store.put('key', 'other', 50_000);
            const controller = new AbortController();
            const first = want({ id: 'a' });
            const second = want({ id: 'b', signal: controller.signal });
            const third = want({ id: 'c' });
            await settled();
            controller.abort();
            await rejection(second.answer, 'LOCK_ABORTED');
            await settled();
            assert.deepEqual(store.lineOf('key'), [idOf('a'), idOf('c')]);
            await releaseTo(store, 'key', 'other');
            await releaseTo(store, 'key', (await acquired(first)).holder);
            assert.include(await third.answer, { kind: 'granted' });
        });
    });

    suite('served by a store', () => {
        test('are served in the order in which they came', async () => {
            store.holding = false;
            store.put('key', 'other', 50_000);
            const order: string[] = [];
            for (const id of ['a', 'b', 'c']) {
                void acquired(want({ id })).then(async ({ holder }) => {
                    order.push(id);
                    await releaseTo(store, 'key', holder);
                });
                await settled();
            }
            await releaseTo(store, 'key', 'other');
            await settled();
            assert.deepEqual(order, ['a', 'b', 'c']);
        });

        test('take over from a holder that died within 2 ms of the expiry', async () => {
            store.holding = false;
            await want({ id: 'dead', ttl: 5000 }).answer;
            const wait = want();
            const start = clock.now();
            await clock.advance(10_000);
            assert.include(await wait.answer, { kind: 'granted' });
            assert.isAtMost(wait.settledAt ?? Infinity, start + 5002);
        });

        test('take over although the holder, which had renewed its lease, and the first in line die together', async () => {
            store.holding = false;
            for (const later of [0, 200, 400, 600, 800, 1000]) {
                const key = `died ${later}`;
                const other = store.another();
                await other.open(listenerOf());
                const held = await acquireFrom(other, { key, id: idOf('held'), ttl: 2000, ticket: undefined });
                await acquireFrom(other, { key, id: idOf('dead'), ttl: 2000, ticket: 0 });
                const wait = want({ key });
                for (const pause of [600, 600, 600, 600, later]) {
                    await clock.advance(pause);
                    if (held.kind === 'granted') await other.renew(key, held.holder, 2000);
                }
                const diedAt = clock.now();
                await other.close();
                await clock.advance(20_000);
                await acquired(wait);
                assert.isAtMost((wait.settledAt ?? Infinity) - diedAt, 2000 + 2 + 250);
            }
        });

        test('take over from two that are frozen although the one that released dies', async () => {
            store.holding = false;
            const other = store.another();
            await other.open(listenerOf());
            const held = await acquireFrom(other, { key: 'key', id: idOf('held'), ttl: TTL, ticket: undefined });
            for (const name of ['f1', 'f2']) {
                await acquireFrom(other, { key: 'key', id: idOf(name), ttl: TTL, ticket: 0 });
            }
            const wait = want();
            await clock.advance(500);
            if (held.kind === 'granted') await releaseTo(other, 'key', held.holder);
            const releasedAt = clock.now();
            await clock.advance(20_000);
            await acquired(wait);
            assert.isAtMost((wait.settledAt ?? Infinity) - releasedAt, 5100);
        });

        test('are served although every message is lost', async () => {
            store.holding = false;
            store.mute = true;
            const { holder } = await acquired(want({ id: 'first', ttl: 4000 }));
            const waits = [want({ id: 'a', ttl: 4000 }), want({ id: 'b', ttl: 4000 })];
            await settled();
            await releaseTo(store, 'key', holder);
            await clock.advance(50_000);
            const answers = await Promise.all(waits.map(({ answer }) => answer));
            assert.deepEqual(
                answers.map(({ kind }) => kind),
                ['granted', 'granted'],
            );
        });
    });

    test('more than may wait are refused', async () => {
        for (const id of ['a', 'b', 'c']) want({ id });
        const refused = want({ id: 'd' });
        await settled();
        assert.isUndefined(refused.settledAt, 'a caller that asks in a loop would let nobody leave');
        await clock.advance(0);
        await rejection(refused.answer, 'TOO_MANY');
        assert.strictEqual(attempts(), 3);
        assert.strictEqual(waiters.size, 3);
    });

    test('are sent away by close, and leave the line', async () => {
        const waits = [want({ id: 'a' })];
        await busy();
        waits.push(want({ id: 'b' }));
        waiters.close();
        for (const { answer } of waits) await rejection(answer, 'CLOSED');
        assert.deepEqual(
            store.givenUp.map(({ request }) => [request.id, request.underWay]),
            [
                [idOf('a'), false],
                [idOf('b'), true],
            ],
        );
        assertNothingLeft();
    });

    test('are sent away by close although they are to be told something else', async () => {
        const waits = [want({ timeout: 0 })];
        last().fail('CONNECTION_FAILED', false);
        for (const id of ['a', 'b', 'c']) waits.push(want({ id }));
        await settled();
        waiters.close();
        for (const { answer } of waits) await rejection(answer, 'CLOSED');
        assertNothingLeft();
    });

    test('drop the answers that come after close', async () => {
        const wait = want();
        waiters.close();
        await rejection(wait.answer, 'CLOSED');
        await granted(7);
        assertNothingLeft();
    });

    /** Goes on in small steps. */
    async function advanceUntil(condition: () => boolean, limit: number): Promise<void> {
        for (let gone = 0; !condition() && gone < limit; gone += 1) await clock.advance(1);
        assert.isTrue(condition());
    }
});

interface Wait {
    readonly answer: Promise<Acquired | Busy>;
    settledAt: number | undefined;
}

const BUSY: Busy = {
    kind: 'busy',
    sentAt: 0,
    remaining: 20_000,
    fence: 10,
    ticket: 1,
    rank: 0,
    foreign: false,
    holder: 'other',
};

async function acquired(wait: Wait): Promise<Acquired> {
    const answer = await wait.answer;
    if (answer.kind === 'busy') assert.fail('It is busy.');
    return answer;
}
