import { EventEmitter } from 'node:events';
import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { end } from '../../../../src/engine/redis/connection/ending';
import { VirtualClock } from '../../../fixtures/VirtualClock';

suite('The end of a client', () => {
    /** A client that is connected, and says nothing when it is disconnected. */
    class Mute extends EventEmitter {
        status = 'ready';
        disconnected = 0;

        disconnect(): void {
            this.disconnected += 1;
        }
    }

    test('is waited for no longer than it may take', async () => {
        const clock = new VirtualClock();
        const client = new Mute();
        let ended = false;
        const ending = end(client as unknown as Redis, 3000, clock).then(() => (ended = true));
        await clock.advance(2999);
        assert.isFalse(ended);
        await clock.advance(1);
        await ending;
        assert.strictEqual(client.disconnected, 1);
        assert.strictEqual(client.listenerCount('end'), 0);
    });

    test('is told by the client itself, and leaves no timer', async () => {
        const clock = new VirtualClock();
        const client = new Mute();
        const ending = end(client as unknown as Redis, 3000, clock);
        client.emit('end');
        await ending;
        assert.strictEqual(clock.timers, 0);
    });
});
