import { assert } from 'chai';
import { Changes } from '../../../../src/engine/redis/connection/Changes';
import { VirtualClock } from '../../../fixtures/VirtualClock';

suite('One that waits for a change', () => {
    let clock: VirtualClock;
    let changes: Changes;

    setup(() => {
        clock = new VirtualClock();
        changes = new Changes(clock);
    });

    test('is told of the next one, and so are all others', async () => {
        const waits = [changes.next(100), changes.next(200)];
        changes.tell();
        assert.deepEqual(await Promise.all(waits), [true, true]);
        assert.strictEqual(clock.timers, 0);
    });

    test('is told when its time is over', async () => {
        const [short, long] = [changes.next(100), changes.next(200)];
        await clock.advance(100);
        assert.isFalse(await short);
        changes.tell();
        assert.isTrue(await long);
    });

    test('is not told of what changed before', async () => {
        changes.tell();
        const wait = changes.next(100);
        await clock.advance(100);
        assert.isFalse(await wait);
    });
});
