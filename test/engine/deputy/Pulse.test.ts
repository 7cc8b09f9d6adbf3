import { assert } from 'chai';
import { Pulse, PulseClock } from '../../../src/engine/deputy/Pulse';
import { VirtualClock } from '../../fixtures/VirtualClock';

suite('Pulse', () => {
    let process: number;
    let clock: VirtualClock;
    let main: Pulse;
    let deputy: Pulse;

    setup(() => {
        process = 5000.5;
        clock = new VirtualClock();
        main = new Pulse(undefined, () => process);
        deputy = new Pulse(main.memory, () => process);
        main.beat(clock);
    });

    /** Time passes for both. */
    function pass(time: number): void {
        process += time;
        clock.skip(time);
    }

    test('tells the deputy how long ago the main thread was seen', () => {
        assert.isAtMost(deputy.age, 1);
        pass(1234);
        assert.approximately(deputy.age, 1234, 1);
        main.beat(clock);
        assert.isAtMost(deputy.age, 1);
    });

    test('tells it where the low bits of the time begin anew', () => {
        process = 2 ** 32 - 100;
        main.beat(clock);
        pass(300);
        assert.approximately(deputy.age, 300, 1);
    });

    test('tells the clock of the main thread, and never a later instant', () => {
        for (const time of [0, 0.3, 17, 100_000.7]) {
            pass(time);
            const behind = clock.now() - new PulseClock(deputy).now();
            assert.isAtLeast(behind, 0);
            assert.isAtMost(behind, 2);
        }
    });

    test('tells an earlier instant when the machine has slept, until the main thread has noticed', () => {
        // The process does not count that.
        clock.skip(60_000);
        assert.isAtLeast(clock.now() - deputy.now(), 60_000);
        main.beat(clock);
        assert.isAtMost(clock.now() - deputy.now(), 2);
    });

    test('takes a pause between two readings for no sleep', () => {
        const before = deputy.now();
        const slow = {
            now: (): number => {
                const now = clock.now();
                pass(500);
                return now;
            },
            timer: clock.timer.bind(clock),
        };
        main.beat(slow);
        assert.approximately(deputy.now(), before + 500, 2);
        assert.isAtMost(deputy.age, 1);
    });

    test('tells the main thread that the deputy lives', () => {
        const before = main.beatsOfDeputy;
        deputy.beatOfDeputy();
        assert.strictEqual(main.beatsOfDeputy, before + 1);
    });
});
