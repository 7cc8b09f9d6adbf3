import { assert } from 'chai';
import { Backoff } from '../../../../src/engine/redis/connection/Backoff';
import { ServerHealth } from '../../../../src/engine/redis/connection/ServerHealth';
import { VirtualClock } from '../../../fixtures/VirtualClock';

suite('An outage of a server', () => {
    let clock: VirtualClock;
    let health: ServerHealth;
    let told: string[];

    setup(() => {
        clock = new VirtualClock();
        told = [];
        health = new ServerHealth(clock, {
            began: (error) => told.push(error.message),
            ended: (lasted) => told.push(`over after ${lasted}`),
        });
    });

    test('is none when the connection is back within a second', async () => {
        health.lost(new Error('lost'));
        await clock.advance(999);
        health.well();
        await clock.advance(60_000);
        assert.isEmpty(told);
        assert.strictEqual(clock.timers, 0);
    });

    test('is told when the connection is not back within a second', async () => {
        health.lost(new Error('lost'));
        await clock.advance(1000);
        assert.deepEqual(told, ['lost']);
    });

    test('is told with the first cause, once, and its end once', async () => {
        health.lost(new Error('lost'));
        await clock.advance(30);
        for (let time = 0; time < 5; time++) {
            health.failed(new Error(`refused ${time}`));
            await clock.advance(100);
        }
        health.well();
        health.well();
        await clock.advance(60_000);
        assert.deepEqual(told, ['refused 0', 'over after 530']);
    });

    test('of a server that refuses to work lasts until it has refused nothing for five seconds', async () => {
        for (let time = 0; time < 3; time++) {
            health.refused(new Error('OOM'));
            // It does other work meanwhile.
            health.well();
            await clock.advance(4000);
            health.well();
        }
        assert.deepEqual(told, ['OOM']);
        await clock.advance(1000);
        health.well();
        assert.deepEqual(told, ['OOM', 'over after 13000']);
    });

    test('is not told after the close', async () => {
        health.lost(new Error('lost'));
        health.close();
        await clock.advance(60_000);
        assert.isEmpty(told);
    });
});

suite('The pauses between attempts', () => {
    test('go from 50 ms to 2 s, shortened by at most a half, and begin anew when an attempt was of use', () => {
        const backoff = new Backoff();
        const expected = [50, 100, 200, 400, 800, 1600, 2000, 2000, 2000];
        for (let round = 0; round < 3; round++) {
            for (const pause of expected) {
                const next = backoff.next();
                assert.isAtMost(next, pause);
                assert.isAtLeast(next, pause / 2);
            }
            backoff.reset();
        }
    });
});
