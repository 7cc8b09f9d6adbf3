import { assert } from 'chai';
import { GiveUps } from '../../../src/engine/followups/GiveUps';
import type { LockErrorCode } from '../../../src/engine/port/errors';
import { newId } from '../../../src/engine/port/holder';
import { acquireFrom } from '../../fixtures/asks';
import { FakeStore } from '../../fixtures/FakeStore';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

const TTL = 30_000;

suite('GiveUps', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let giveUps: GiveUps;
    let id: string;

    setup(() => {
        clock = new VirtualClock();
        store = new FakeStore(clock);
        giveUps = new GiveUps(store, clock);
        id = newId();
    });

    function acquire(key = 'key', ttl = TTL): Promise<unknown> {
        return acquireFrom(store, { key, id, ttl, ticket: 0 });
    }

    /** Nothing that the store is asked for takes effect, for so long. */
    async function outage(time: number, code: LockErrorCode = 'CONNECTION_FAILED'): Promise<void> {
        store.holding = true;
        const end = clock.now() + time;
        while (clock.now() < end) {
            for (const call of [...store.givenUp, ...store.releases]) if (!call.answered) call.fail(code);
            await clock.advance(250);
        }
        for (const call of [...store.givenUp, ...store.releases]) if (!call.answered) call.fail(code);
        await settled();
        store.holding = false;
    }

    test('give back a key that an acquisition was granted', async () => {
        await acquire();
        giveUps.giveUp({ key: 'key', id, underWay: false }, clock.now() + TTL);
        await settled();
        assert.isUndefined(store.holderOf('key'));
        assert.strictEqual(clock.timers, 0);
    });

    test('give back a place in line', async () => {
        store.put('key', 'other', TTL);
        await acquire();
        assert.deepEqual(store.lineOf('key'), [id]);
        giveUps.giveUp({ key: 'key', id, underWay: false }, clock.now() + TTL);
        await settled();
        assert.deepEqual(store.lineOf('key'), []);
    });

    test('see to it that an attempt which arrives later takes nothing', async () => {
        giveUps.giveUp({ key: 'key', id, underWay: true }, clock.now() + TTL);
        await settled();
        await acquire().catch(() => null);
        assert.isUndefined(store.holderOf('key'));
    });

    test('release the key of a holder, and no other', async () => {
        store.put('mine', 'me', TTL);
        store.put('theirs', 'other', TTL);
        for (const key of ['mine', 'theirs']) giveUps.release({ key, holder: 'me' }, clock.now() + TTL);
        await settled();
        assert.isUndefined(store.holderOf('mine'));
        assert.strictEqual(store.holderOf('theirs'), 'other');
    });

    for (const code of ['CONNECTION_FAILED', 'NO_QUORUM', 'WRONG_PASSWORD', 'NO_PERMISSION'] as const) {
        test(`retry what failed with ${code}, until it succeeds`, async () => {
            await acquire();
            store.put('other', 'me', TTL);
            store.holding = true;
            giveUps.giveUp({ key: 'key', id, underWay: false }, clock.now() + TTL);
            giveUps.release({ key: 'other', holder: 'me' }, clock.now() + TTL);
            await outage(TTL / 3, code);
            await clock.advance(2000);
            assert.isUndefined(store.holderOf('key'));
            assert.isUndefined(store.holderOf('other'));
            assert.strictEqual(giveUps.size, 0);
            assert.strictEqual(clock.timers, 0);
        });

        test(`retry what failed with ${code} no longer when it has run out by itself`, async () => {
            store.holding = true;
            giveUps.giveUp({ key: 'key', id, underWay: false }, clock.now() + 1000);
            giveUps.release({ key: 'key', holder: 'me' }, clock.now() + 1000);
            await outage(5000, code);
            assert.strictEqual(giveUps.size, 0);
            assert.strictEqual(clock.timers, 0);
            assert.isAtLeast(store.givenUp.length, 3);
        });
    }

    test('retry for as long as the server hangs, when an attempt may still arrive', async () => {
        store.holding = true;
        const asked = acquire().catch(() => null);
        giveUps.giveUp({ key: 'key', id, underWay: true }, clock.now() + TTL);
        await outage(10 * TTL);
        // What was sent before is performed, after all.
        for (const call of store.acquires) call.goSilently();
        await clock.advance(2000);
        assert.isUndefined(store.holderOf('key'));
        assert.strictEqual(clock.timers, 0);
        store.acquires[0]?.fail();
        await asked;
    });

    test('retry for as long as the server hangs, when a renewal may still arrive', async () => {
        store.put('key', 'me', 20 * TTL);
        store.holding = true;
        giveUps.release({ key: 'key', holder: 'me' }, clock.now() + TTL, true);
        await outage(10 * TTL);
        await clock.advance(2000);
        assert.isUndefined(store.holderOf('key'));
    });

    test('end when the server answers that it may not be, also when an attempt may still arrive', async () => {
        store.holding = true;
        giveUps.giveUp({ key: 'key', id, underWay: true }, clock.now() + TTL);
        await outage(5000);
        await outage(TTL, 'NO_PERMISSION');
        const asked = store.givenUp.length;
        await outage(TTL, 'NO_PERMISSION');
        assert.lengthOf(store.givenUp, asked);
        assert.strictEqual(giveUps.size, 0);
        assert.strictEqual(clock.timers, 0);
    });

    test('do not ask a server all the time that is away for long', async () => {
        store.holding = true;
        giveUps.giveUp({ key: 'key', id, underWay: true }, clock.now() + TTL);
        await outage(60_000);
        assert.isBelow(store.givenUp.length, 40);
    });

    test('are retried at once when the store can be reached again', async () => {
        store.holding = true;
        await acquireFrom(store.another(), { key: 'key', id, ttl: TTL, ticket: 0 });
        giveUps.giveUp({ key: 'key', id, underWay: true }, clock.now() + TTL);
        await outage(10_000);
        assert.isDefined(store.holderOf('key'));
        giveUps.retry();
        await settled();
        assert.isUndefined(store.holderOf('key'));
        assert.strictEqual(clock.timers, 0);
    });

    test('set one timer for all that is to be retried', async () => {
        store.holding = true;
        for (const key of ['a', 'b', 'c']) giveUps.giveUp({ key, id, underWay: false }, clock.now() + 5000);
        for (const call of store.givenUp) call.fail();
        await settled();
        assert.strictEqual(clock.timers, 1);
        assert.strictEqual(giveUps.size, 3);
    });

    test('keep no more than their limit', async () => {
        const few = new GiveUps(store, clock, 2);
        store.holding = true;
        for (const key of ['a', 'b', 'c']) few.giveUp({ key, id, underWay: true }, clock.now() + 5000);
        for (const call of store.givenUp) call.fail();
        await settled();
        assert.strictEqual(few.size, 2);
        await clock.advance(300);
        assert.deepEqual(
            store.givenUp.slice(3).map(({ request }) => request.key),
            ['b', 'c'],
        );
    });

    suite('on close', () => {
        test('wait for the answers that are under way', async () => {
            store.holding = true;
            let closed = false;
            giveUps.giveUp({ key: 'key', id, underWay: false }, clock.now() + 5000);
            const closing = giveUps.close().then(() => {
                closed = true;
            });
            await settled();
            assert.isFalse(closed);
            store.givenUp[0]?.go();
            await closing;
        });

        test('retry nothing, neither what failed before nor what fails from then on', async () => {
            store.holding = true;
            giveUps.giveUp({ key: 'a', id, underWay: true }, clock.now() + 5000);
            store.givenUp[0]?.fail();
            await settled();
            giveUps.giveUp({ key: 'b', id, underWay: true }, clock.now() + 5000);
            const closing = giveUps.close();
            store.givenUp[1]?.fail();
            await closing;
            giveUps.giveUp({ key: 'c', id, underWay: true }, clock.now() + 5000);
            await clock.advance(5000);
            assert.lengthOf(store.givenUp, 2);
            assert.strictEqual(clock.timers, 0);
        });
    });
});
