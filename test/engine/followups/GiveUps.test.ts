import { assert } from 'chai';
import { GiveUps } from '../../../src/engine/followups/GiveUps';
import { FakeStore } from '../../fixtures/FakeStore';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

suite('GiveUps', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let giveUps: GiveUps;

    setup(() => {
        clock = new VirtualClock();
        store = new FakeStore(clock);
        store.holding = true;
        giveUps = new GiveUps(store, clock);
    });

    test('gives back a key at once, and leaves it at that', async () => {
        store.put('key', 'me', 5000);
        giveUps.giveUp('key', 'me', 'me', false, clock.now() + 5000);
        store.proceed();
        await clock.advance(10_000);
        assert.isUndefined(store.holderOf('key'));
        assert.lengthOf(store.givenUp, 1);
        assert.strictEqual(clock.timers, 0);
    });

    test('passes on what is to be given up', () => {
        giveUps.giveUp('key', 'me', 'id', true, clock.now() + 5000);
        assert.deepEqual(store.givenUp[0]?.request, { key: 'key', holder: 'me', id: 'id', underWay: true });
    });

    test('tries again until it is answered', async () => {
        store.put('key', 'me', 5000);
        giveUps.giveUp('key', 'me', 'me', false, clock.now() + 5000);
        store.givenUp[0]?.fail();
        await clock.advance(300);
        store.givenUp[1]?.fail();
        await clock.advance(300);
        store.givenUp[2]?.go();
        await clock.advance(10_000);
        assert.lengthOf(store.givenUp, 3);
        assert.isUndefined(store.holderOf('key'));
        assert.strictEqual(clock.timers, 0);
    });

    test('tries again until it has run out by itself', async () => {
        giveUps.giveUp('key', 'me', 'me', false, clock.now() + 1000);
        for (let gone = 0; gone < 5000; gone += 50) {
            for (const call of store.givenUp) if (!call.answered) call.fail();
            await clock.advance(50);
        }
        assert.isAtLeast(store.givenUp.length, 3);
        assert.isAtMost(store.givenUp.length, 5);
        assert.strictEqual(clock.timers, 0);
    });

    test('does not try again what no trying will change', async () => {
        giveUps.giveUp('key', 'me', 'me', false, clock.now() + 5000);
        store.givenUp[0]?.fail('NO_PERMISSION');
        await clock.advance(5000);
        assert.lengthOf(store.givenUp, 1);
        assert.strictEqual(clock.timers, 0);
    });

    test('sets one timer for all that is to be tried again', async () => {
        for (const key of ['a', 'b', 'c']) giveUps.giveUp(key, 'me', 'me', false, clock.now() + 5000);
        for (const call of store.givenUp) call.fail();
        await settled();
        assert.strictEqual(clock.timers, 1);
        await clock.advance(250);
        assert.lengthOf(store.givenUp, 6);
    });

    suite('on close', () => {
        test('waits for the answers that are under way', async () => {
            let closed = false;
            giveUps.giveUp('key', 'me', 'me', false, clock.now() + 5000);
            const closing = giveUps.close().then(() => {
                closed = true;
            });
            await settled();
            assert.isFalse(closed);
            store.givenUp[0]?.go();
            await closing;
        });

        test('sets no timer for what fails from then on', async () => {
            giveUps.giveUp('key', 'me', 'me', false, clock.now() + 5000);
            const closing = giveUps.close();
            store.givenUp[0]?.fail();
            await closing;
            await settled();
            assert.strictEqual(clock.timers, 0);
        });

        test('tries nothing again', async () => {
            giveUps.giveUp('a', 'me', 'me', false, clock.now() + 5000);
            store.givenUp[0]?.fail();
            await settled();
            giveUps.giveUp('b', 'me', 'me', false, clock.now() + 5000);
            const closing = giveUps.close();
            store.givenUp[1]?.fail();
            await closing;
            await clock.advance(5000);
            assert.lengthOf(store.givenUp, 2);
            assert.strictEqual(clock.timers, 0);
        });
    });
});
