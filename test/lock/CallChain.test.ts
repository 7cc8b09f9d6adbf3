import { getEventListeners } from 'node:events';
import { assert } from 'chai';
import type { Lease } from '../../src';
import { Locker } from '../../src/engine/locker/Locker';
import { holding } from '../../src/engine/locker/holding';
import { CallChains } from '../../src/lock/CallChains';
import type { ChainRequest } from '../../src/lock/CallChain';
import type { SharedLease } from '../../src/lock/SharedLease';
import { FakeStore } from '../fixtures/FakeStore';
import { rejection } from '../fixtures/rejection';
import { VirtualClock, settled } from '../fixtures/VirtualClock';

const TTL = 30_000;
const TRACE = 'chain';

/** When it is told to, each look at it takes a ms. */
class TickingClock extends VirtualClock {
    isTicking = false;

    override now(): number {
        const now = super.now();
        if (this.isTicking) this.skip(1);
        return now;
    }
}

suite('A call chain', () => {
    let clock: TickingClock;
    let store: FakeStore;
    let locker: Locker;
    let chains: CallChains;
    /** What the engine gave. */
    let engine: Lease[];

    setup(async () => {
        clock = new TickingClock();
        store = new FakeStore(clock);
        locker = new Locker(store, { ttl: TTL }, undefined, clock);
        engine = [];
        const original = locker.acquire.bind(locker);
        locker.acquire = async (...args) => {
            const lease = await original(...args);
            engine.push(lease);
            return lease;
        };
        await locker.open();
        chains = new CallChains(locker, clock);
    });

    async function acquire(changes: Partial<ChainRequest> = {}): Promise<SharedLease> {
        const request = { keys: ['key'], ttl: TTL, timeout: 5000, how: 'wait', ...changes } as const;
        return (await chains.acquire(TRACE, request)) ?? assert.fail('It is busy.');
    }

    suite('whose lease may have run out, and whose renewal was done but not read', () => {
        let outer: SharedLease;

        setup(async () => {
            outer = await acquire();
            store.holding = true;
            await clock.advance(TTL / 3 + 10);
            store.renewals[0]?.goSilently();
            clock.skip((TTL * 2) / 3);
            assert.isFalse(outer.isHeld(), 'it is not known');
        });

        /** The answer to the renewal is read, and the store works as usual. */
        function read(): void {
            const [renewal] = store.renewals;
            renewal?.reply({ kind: 'renewed', deadline: renewal.at + 0.98 * TTL });
            store.holding = false;
        }

        /** No answer comes in time. */
        async function lose(): Promise<void> {
            await clock.advance(1);
            await clock.advance(100);
            assert.isTrue(outer.signal.aborted);
            store.proceed();
            await clock.advance(1000);
        }

        for (const how of ['wait', 'try'] as const) {
            test(`acquires it again as soon as that is known: ${how}`, async () => {
                const inner = acquire({ how, timeout: 0 });
                await settled();
                read();
                assert.strictEqual((await inner).holder, outer.holder);
                assert.isTrue((await inner).isHeld() && outer.isHeld());
                assert.lengthOf(store.acquires, 1);
            });
        }

        test('acquires it anew when it was lost', async () => {
            const inner = acquire();
            await settled();
            await lose();
            assert.notStrictEqual((await inner).holder, outer.holder);
            assert.isTrue((await inner).isHeld());
            assert.isFalse(await outer.release());
        });

        test('does not wait for the store when the time of the lease is over', async () => {
            const renewed = rejection(outer.renew(), 'LOCK_LOST');
            await clock.advance(1);
            await clock.advance(100);
            await renewed;
            assert.isFalse(store.renewals[0]?.answered);
        });

        test('is told whether it was held by the release of one of them, when that is known', async () => {
            read();
            await settled();
            const inner = await acquire();
            store.holding = true;
            await clock.advance(TTL / 3 + 10);
            const renewal = store.renewals.at(-1);
            clock.skip(TTL);
            assert.isFalse(inner.isHeld());
            const released = inner.release();
            await settled();
            renewal?.reply({ kind: 'renewed', deadline: clock.now() + TTL / 2 });
            assert.isTrue(await released);
            assert.isTrue(outer.isHeld());
            assert.isEmpty(store.releases);
        });

        test('is told that it was lost by the release of one of them', async () => {
            read();
            await settled();
            const inner = await acquire();
            store.holding = true;
            await clock.advance(TTL / 3 + 10);
            clock.skip(TTL);
            const released = inner.release();
            await lose();
            assert.isFalse(await released);
            assert.isFalse(await outer.release());
        });

        test('releases it by the last of them, and its signal does not abort', async () => {
            const { signal } = outer;
            const released = outer.release();
            store.holding = false;
            store.proceed();
            assert.isTrue(await released);
            assert.isFalse(signal.aborted);
            assert.isUndefined(store.holderOf('key'));
        });

        test('may renew it when it turns out to be held', async () => {
            const renewed = outer.renew(2 * TTL);
            read();
            await renewed;
            assert.isAbove(outer.remaining(), 1.9 * TTL);
        });
    });

    suite('that has a share, which may have run out, and asks to have the key alone', () => {
        let inner: Promise<SharedLease>;

        setup(async () => {
            const outer = await acquire({ mode: 'shared' });
            store.holding = true;
            await clock.advance(TTL / 3 + 10);
            clock.skip((TTL * 2) / 3);
            assert.isFalse(outer.isHeld(), 'it is not known');
            inner = acquire();
            inner.catch(() => undefined);
            await settled();
        });

        test('is told that it would wait for itself when the share turns out to be held', async () => {
            store.renewals[0]?.reply({ kind: 'renewed', deadline: clock.now() + TTL / 2 });
            assert.match((await rejection(inner, 'BAD_PARAMETER')).message, /would wait for itself/);
        });

        test('gets the key when the share turns out to be lost', async () => {
            await clock.advance(100);
            store.holding = false;
            store.proceed();
            await clock.advance(1000);
            assert.strictEqual((await inner).mode, 'exclusive');
        });
    });

    test('whose work ended when its renewal was done but not read has done it, if the store released it', async () => {
        const outer = await acquire();
        const work = holding(outer, async () => {
            store.holding = true;
            await clock.advance(TTL / 3 + 10);
            store.renewals[0]?.goSilently();
            clock.skip((TTL * 2) / 3);
            return 'done';
        });
        await settled();
        store.proceed();
        assert.strictEqual(await work, 'done');
        assert.isUndefined(store.holderOf('key'));
    });

    test('hands over all that a lease has, though the deadline of one passes just now', async () => {
        await acquire({ keys: ['a'], ttl: 2 * TTL, keepAlive: false });
        await acquire({ keys: ['b'], keepAlive: false });
        const both = await acquire({ keys: ['a', 'b'], ttl: 10, keepAlive: false });
        clock.skip(both.remaining() - 2.5);
        clock.isTicking = true;
        both.handOver();
        clock.isTicking = false;
        for (const { signal } of engine) assert.isFalse(signal.aborted);
        await clock.advance(100);
        assert.deepEqual([store.holderOf('a'), store.holderOf('b')], [both.holderOf('a'), both.holderOf('b')]);
        assert.isEmpty(store.releases);
    });

    test('hands over nothing when one has been lost', async () => {
        const first = await acquire({ keys: ['a'], ttl: 4 * TTL, keepAlive: false });
        await acquire({ keys: ['b'], keepAlive: false });
        const both = await acquire({ keys: ['a', 'b'], ttl: 10, keepAlive: false });
        clock.skip(2 * TTL);
        assert.throws(() => both.handOver(), /ran out/);
        assert.isTrue(first.isHeld());
    });

    suite('leaves no more than one listener', () => {
        const count = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

        test('on the signal of its callers, and none when they are served', async () => {
            const { signal } = new AbortController();
            store.put('key', 'other', TTL);
            const waiting = Array.from({ length: 20 }, () => rejection(acquire({ signal }), 'LOCK_TIMEOUT'));
            await settled();
            assert.strictEqual(count(signal), 1);
            await clock.advance(6000);
            await Promise.all(waiting);
            assert.strictEqual(count(signal), 0);
        });

        test('on a lease that very many of its calls share', async () => {
            const leases = await Promise.all(Array.from({ length: 20 }, () => acquire()));
            const signals = leases.map((lease) => lease.signal);
            const [shared] = engine;
            assert.isDefined(shared);
            assert.strictEqual(count(shared.signal), 1);
            await leases[0]?.release();
            store.delete('key');
            await clock.advance(TTL / 3 + 10);
            assert.deepEqual(
                signals.map(({ aborted }) => aborted),
                signals.map((_, at) => at > 0),
            );
            assert.strictEqual(count(shared.signal), 0);
        });
    });
});
