import { assert } from 'chai';
import { VotingTime } from '../../../../src/engine/redis/servers/VotingTime';
import { rejection } from '../../../fixtures/rejection';
import { VirtualClock } from '../../../fixtures/VirtualClock';

const TTL = 10_000;

suite('When a node of a quorum votes', () => {
    let clock: VirtualClock;
    let voting: VotingTime;

    setup(() => {
        clock = new VirtualClock();
        voting = new VotingTime(TTL, clock);
    });

    teardown(() => voting.close());

    test('is told by its uptime, of whole seconds, when we see it for the first time', () => {
        assert.strictEqual(voting.left({ runId: 'a', uptime: 4000 }), 7000);
        assert.strictEqual(voting.left({ runId: 'a', uptime: 10_000 }), 1000);
        assert.strictEqual(voting.left({ runId: 'a', uptime: 11_000 }), 0);
    });

    test('is one longest ttl after a restart that we see, whatever its uptime says', async () => {
        voting.left({ runId: 'a', uptime: 100_000 });
        // The wall clock of the server was set forward.
        assert.strictEqual(voting.left({ runId: 'b', uptime: 3_600_000 }), TTL);
        await clock.advance(TTL - 1);
        assert.isAbove(voting.left({ runId: 'b', uptime: 3_600_000 }), 0);
        await clock.advance(1);
        assert.strictEqual(voting.left({ runId: 'b', uptime: 0 }), 0);
    });

    test('is not sooner when our own wall clock is set forward', async () => {
        voting.left({ runId: 'a', uptime: 100_000 });
        voting.left({ runId: 'b', uptime: 0 });
        clock.skip(TTL * 2);
        assert.isAbove(voting.left({ runId: 'b', uptime: 3_600_000 }), 0);
    });

    test('counts from the last restart', async () => {
        voting.left({ runId: 'a', uptime: 100_000 });
        voting.left({ runId: 'b', uptime: 0 });
        await clock.advance(TTL / 2);
        assert.strictEqual(voting.left({ runId: 'c', uptime: 0 }), TTL);
        await clock.advance(TTL / 2);
        assert.isAbove(voting.left({ runId: 'c', uptime: 100_000 }), 0);
    });

    test('is unknown when the server does not tell its uptime', async () => {
        const left = async (): Promise<number> => voting.left({ runId: 'a', uptime: undefined });
        await rejection(left(), 'NO_PERMISSION');
    });

    test('keeps no process alive', () => {
        voting.left({ runId: 'a', uptime: 100_000 });
        voting.left({ runId: 'b', uptime: 0 });
        assert.strictEqual(clock.timers, 0);
    });
});
