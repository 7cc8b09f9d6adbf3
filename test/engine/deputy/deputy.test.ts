import { assert } from 'chai';
import { Pulse } from '../../../src/engine/deputy/Pulse';
import { Rounds } from '../../../src/engine/deputy/Rounds';
import { ThreadDeputy } from '../../../src/engine/deputy/ThreadDeputy';
import { GiveUps } from '../../../src/engine/followups/GiveUps';
import type { HeldLease } from '../../../src/engine/lease/HeldLease';
import { KeepAlive } from '../../../src/engine/lease/KeepAlive';
import { newId } from '../../../src/engine/port/holder';
import { READER } from '../../../src/engine/port/LockStore';
import type { Share } from '../../../src/engine/port/LockStore';
import type { LockEvent } from '../../../src/engine/port/LockObserver';
import type { Clock, Timer } from '../../../src/engine/time/Clock';
import { acquireFrom } from '../../fixtures/asks';
import { FakeStore } from '../../fixtures/FakeStore';
import { listenerOf } from '../../fixtures/listenerOf';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

const TTL = 3000;
const MAX_BLOCK = 60_000;

/** The clock of a thread that may be blocked: what is due then runs when it is blocked no more. */
class ThreadTime implements Clock {
    private _late: (() => void)[] | undefined;

    constructor(private readonly _clock: VirtualClock) {}

    now(): number {
        return this._clock.now();
    }

    timer(delay: number, action: () => void): Timer {
        let isCancelled = false;
        const fire = (): void => {
            if (!isCancelled) action();
        };
        const timer = this._clock.timer(delay, () => (this._late === undefined ? fire() : this._late.push(fire)));
        return {
            cancel: () => {
                isCancelled = true;
                timer.cancel();
            },
            keepsAlive: (whether) => timer.keepsAlive(whether),
        };
    }

    block(): void {
        this._late = [];
    }

    async goOn(): Promise<void> {
        const late = this._late ?? [];
        this._late = undefined;
        for (const action of late) action();
        await settled();
    }
}

suite('A deputy', () => {
    let clock: VirtualClock;
    let main: ThreadTime;
    let store: FakeStore;
    let another: FakeStore;
    let thief: FakeStore;
    let deputy: ThreadDeputy;
    /** Undefined: there is no thread. */
    let rounds: Rounds | undefined;
    let startRounds: () => void;
    let keepAlive: KeepAlive;
    let events: LockEvent[];
    /** Where the deputy renews; undefined: it is not connected. */
    let connected: FakeStore | undefined;

    setup(async () => {
        clock = new VirtualClock();
        main = new ThreadTime(clock);
        store = new FakeStore(clock);
        another = store.another();
        thief = store.another();
        connected = another;
        events = [];
        const pulse = new Pulse(undefined, () => clock.now());
        const beat = (): void => {
            pulse.beat(main);
            main.timer(100, beat);
        };
        beat();
        deputy = new ThreadDeputy(main, (message) => rounds?.heard(message));
        startRounds = () => {
            rounds = new Rounds({
                pulse,
                clock: { now: () => pulse.now(), timer: (delay, action) => clock.timer(delay, action) },
                maxBlock: MAX_BLOCK,
                store: () => connected,
                lost: (row) => void main.timer(0, () => deputy.lost(row)),
            });
        };
        startRounds();
        const tell = (event: LockEvent): void => void events.push(event);
        keepAlive = new KeepAlive(store, main, new GiveUps(store, main), tell, (error) => error, deputy);
        await Promise.all([store.open(listenerOf()), another.open(listenerOf()), thief.open(listenerOf())]);
    });

    teardown(() => rounds?.close());

    function die(): void {
        rounds?.close();
        rounds = undefined;
        deputy.gone();
    }

    interface Wanted {
        readonly holder?: string | undefined;
        readonly ttl?: number;
        readonly keepAlive?: boolean;
        readonly share?: Share | undefined;
    }

    async function acquire(keys: string | readonly string[] = 'key', wanted: Wanted = {}): Promise<HeldLease> {
        const { holder, share, ttl = TTL, keepAlive: isKept = true } = wanted;
        let lease: HeldLease | undefined;
        for (const key of [keys].flat()) {
            const id = newId(holder);
            const answer = await acquireFrom(store, { key, id, ttl, ticket: undefined, share });
            assert(answer.kind === 'granted');
            const { deadline, fence, holder: own } = answer;
            const state = { permits: 1, shared: share !== undefined, keptUntil: undefined };
            const one = { key, holder: own, fence, deadline, ...state, id: holder === undefined ? undefined : id };
            if (lease !== undefined) lease.add([one], true);
            else lease = keepAlive.begin(one, { ttl, keepAlive: isKept, context: undefined }, true);
        }
        assert(lease !== undefined);
        return lease;
    }

    /** The event loop is blocked for so long, while another process tries to get the key. @returns how long it took; undefined: in vain. */
    async function blocked(time: number, key = 'key'): Promise<number | undefined> {
        main.block();
        const began = clock.now();
        while (clock.now() < began + time) {
            await clock.advance(20);
            if (await taker(key)) return clock.now() - began;
        }
        return undefined;
    }

    async function taker(key: string): Promise<boolean> {
        return (await acquireFrom(thief, { key, id: newId(), ttl: 60_000, ticket: undefined })).kind === 'granted';
    }

    function sent(): number {
        return another.renewals.length;
    }

    test('keeps a lease while the event loop is blocked, and its owner knows right after', async () => {
        const lease = await acquire();
        assert.isUndefined(await blocked(10 * TTL));
        assert.isTrue(lease.isHeld());
        assert.isAbove(lease.remaining(), TTL / 3);
        assert.isFalse(lease.signal.aborted);
        await main.goOn();
        await clock.advance(10 * TTL);
        assert.isTrue(lease.isHeld());
        assert.isTrue(await lease.release());
        assert.isTrue(await taker('key'));
    });

    test('lets it run out when the event loop is blocked for longer than it may be', async () => {
        const lease = await acquire();
        const taken = (await blocked(2 * MAX_BLOCK)) ?? 0;
        assert.isAbove(taken, MAX_BLOCK);
        assert.isBelow(taken, MAX_BLOCK + TTL + 200);
        assert.isFalse(lease.isHeld());
        assert.isTrue(lease.signal.aborted);
        assert.strictEqual(lease.remaining(), 0);
        await main.goOn();
        assert.deepEqual(
            events.filter(({ kind }) => kind === 'lost').map((event) => 'error' in event && event.error.message),
            ['The lease ran out: key.'],
        );
    });

    test('is not heard of as long as the event loop is not blocked', async () => {
        const lease = await acquire();
        await clock.advance(20 * TTL);
        assert.isTrue(lease.isHeld());
        assert.strictEqual(sent(), 0);
    });

    test('keeps every key of a lease, also one that came later', async () => {
        const lease = await acquire(['a', 'b', 'c']);
        assert.isUndefined(await blocked(5 * TTL, 'b'));
        assert.isTrue(lease.isHeld());
        assert.isFalse(await taker('a'));
        assert.isFalse(await taker('c'));
    });

    for (const kind of ['a share', 'a lease that was downgraded'] as const) {
        test(`keeps ${kind} while the event loop is blocked`, async () => {
            const lease = await acquire('key', { share: kind === 'a share' ? READER : undefined });
            if (kind !== 'a share') await lease.downgrade();
            assert.isUndefined(await blocked(10 * TTL));
            assert.isTrue(lease.isHeld());
            await main.goOn();
            await clock.advance(10 * TTL);
            assert.isTrue(lease.isHeld());
            assert.isTrue(await lease.release());
            assert.isTrue(await taker('key'));
        });
    }

    test('renews by the ttl that was asked for last', async () => {
        const lease = await acquire();
        await lease.renew(2 * TTL);
        await blocked(3 * TTL);
        assert.deepEqual([...new Set(another.renewals.map(({ request }) => request.ttl))], [2 * TTL]);
        assert.isTrue(lease.isHeld());
    });

    const ends: [how: string, end: (lease: HeldLease) => unknown][] = [
        ['released', (lease) => lease.release()],
        ['handed over', (lease) => lease.handOver()],
        ['released because the lock is closed', (lease) => lease.close()],
        ['not kept alive any more', (lease) => lease.keeper.keep(false)],
    ];
    for (const [how, end] of ends) {
        test(`renews nothing that is ${how}`, async () => {
            const lease = await acquire();
            void end(lease);
            main.block();
            await clock.advance(2 * TTL);
            assert.strictEqual(sent(), 0);
        });
    }

    test('renews nothing that was never to be kept, and what is to be kept again', async () => {
        const lease = await acquire('key', { keepAlive: false });
        lease.keeper.keep(true);
        assert.isUndefined(await blocked(3 * TTL));
        lease.keeper.keep(false);
        const before = sent();
        await blocked(2 * TTL);
        assert.strictEqual(sent(), before);
        assert.isFalse(lease.isHeld());
    });

    test('is told that a key was taken, and its owner knows right after', async () => {
        const lease = await acquire();
        main.block();
        store.put('key', 'thief', 60_000);
        await clock.advance(TTL - 100);
        assert.isFalse(lease.isHeld());
        assert.instanceOf(lease.signal.reason, Error);
        assert.include(String(lease.signal.reason), 'was taken or deleted');
    });

    test('tells its owner, who did not ask, as soon as the event loop runs', async () => {
        const lease = await acquire();
        const { signal } = lease;
        main.block();
        store.put('key', 'thief', 60_000);
        await clock.advance(TTL - 100);
        assert.isFalse(signal.aborted);
        await main.goOn();
        assert.isTrue(signal.aborted);
    });

    test('renews where the answer to a renewal of the main thread is not read', async () => {
        const lease = await acquire();
        store.holding = true;
        await clock.advance(TTL / 3 + 20);
        assert.lengthOf(store.renewals, 1);
        assert.isUndefined(await blocked(3 * TTL));
        assert.isTrue(lease.isHeld());
        store.proceed();
        await main.goOn();
        assert.isTrue(lease.isHeld());
    });

    test('tries again when a renewal fails', async () => {
        const lease = await acquire();
        another.holding = true;
        main.block();
        await clock.advance(TTL / 2 + 50);
        another.renewals[0]?.fail();
        another.holding = false;
        await clock.advance(TTL / 2 - 100);
        assert.isAbove(sent(), 1);
        assert.isTrue(lease.isHeld());
        assert.isUndefined(await blocked(2 * TTL));
    });

    test('is waited for by a renewal of the main thread, but not for long', async () => {
        const lease = await acquire();
        another.holding = true;
        main.block();
        await clock.advance(TTL / 2 + 50);
        assert.strictEqual(sent(), 1);
        await main.goOn();
        const before = store.renewals.length;
        const renewed = lease.renew();
        await clock.advance(50);
        assert.lengthOf(store.renewals, before, 'two renewals at a time');
        await clock.advance(TTL / 10);
        await renewed;
        assert.isAbove(store.renewals.length, before);
    });

    test('goes first where it is at it, and the main thread renews after it', async () => {
        const lease = await acquire();
        another.holding = true;
        main.block();
        await clock.advance(TTL / 2 + 50);
        await main.goOn();
        await clock.advance(10);
        assert.lengthOf(store.renewals, 0);
        another.proceed();
        await clock.advance(10);
        assert.lengthOf(store.renewals, 1);
        assert.isTrue(lease.isHeld());
    });

    const waitedFor: [what: string, holder: string | undefined, atLeast: number | undefined][] = [
        ['a holder that was chosen, as the next lease may have it, too', 'host-7', undefined],
        ['a key that stays taken, as it has its holder still', undefined, 3 * TTL],
    ];
    for (const [what, holder, atLeast] of waitedFor) {
        test(`is waited for by the release of ${what}`, async () => {
            const lease = await acquire('key', { holder });
            if (atLeast !== undefined) lease.hold(atLeast);
            another.holding = true;
            main.block();
            await clock.advance(TTL / 2 + 50);
            await main.goOn();
            const released = lease.release();
            await clock.advance(100);
            assert.lengthOf(store.releases, 0);
            another.proceed();
            await clock.advance(10);
            assert.isTrue(await released);
        });
    }

    test('is not waited for by the release of another holder', async () => {
        const lease = await acquire();
        another.holding = true;
        main.block();
        await clock.advance(TTL / 2 + 50);
        await main.goOn();
        assert.isTrue(await lease.release());
        assert.isTrue(await taker('key'));
        another.proceed();
        await settled();
        assert.isTrue(lease.leased.every(({ holder }) => holder !== store.holderOf('key')));
    });

    test('never lengthens a lease that has the row of another', async () => {
        const before = await acquire('before');
        another.holding = true;
        main.block();
        await clock.advance(TTL / 2 + 50);
        await main.goOn();
        await before.release();
        const after = await acquire('after', { keepAlive: false });
        const { deadline } = after;
        another.proceed();
        await settled();
        assert.strictEqual(after.deadline, deadline);
        assert.isTrue(after.isHeld());
        await after.release();
        // The row is free now.
        const last = await acquire('last', { keepAlive: false });
        assert.isTrue(last.isHeld());
        assert.strictEqual(deputy.size, 1);
    });

    test('that cannot connect costs nothing: the main thread renews', async () => {
        connected = undefined;
        const lease = await acquire();
        await clock.advance(10 * TTL);
        assert.isTrue(lease.isHeld());
        assert.isAbove(store.renewals.length, 20);
    });

    test('that dies in the middle of a renewal costs nothing', async () => {
        const lease = await acquire();
        another.holding = true;
        main.block();
        await clock.advance(TTL / 2 + 50);
        die();
        await main.goOn();
        await clock.advance(10 * TTL);
        assert.isTrue(lease.isHeld());
        assert.isTrue(await lease.release());
        assert.strictEqual(deputy.size, 0);
    });

    test('that comes after one that died renews what is held, and what will be', async () => {
        const [lease, released] = [await acquire(), await acquire('released')];
        another.holding = true;
        main.block();
        await clock.advance(TTL / 2 + 50);
        await main.goOn();
        die();
        await released.release();
        const unheard = await acquire('unheard');
        another.holding = false;
        startRounds();
        deputy.arrived();
        const later = await acquire('later');
        main.block();
        store.renewals.splice(0);
        await clock.advance(3 * TTL);
        assert.isTrue([lease, unheard, later].every((one) => one.isHeld()));
        assert.isUndefined(store.holderOf('released'));
        await main.goOn();
        await Promise.all([lease, unheard, later].map((one) => one.release()));
        assert.strictEqual(deputy.size, 0);
    });

    test('has room for any number of leases', async () => {
        const many = Array.from({ length: 2500 }, (_, at) => `key${at}`);
        const leases = await Promise.all(many.map((key) => acquire(key)));
        main.block();
        await clock.advance(2 * TTL);
        assert.isTrue(leases.every((lease) => lease.isHeld()));
        await main.goOn();
        await Promise.all(leases.map((lease) => lease.release()));
        assert.strictEqual(deputy.size, 0);
    });
});
