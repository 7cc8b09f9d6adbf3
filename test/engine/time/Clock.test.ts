import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import fc from 'fast-check';
import { SystemClock } from '../../../src/engine/time/Clock';

const HOUR = 3_600_000;
const SRC = join(__dirname, '..', '..', '..', '..', 'src');

suite('SystemClock', () => {
    let monotonic: number;
    let wall: number;
    let clock: SystemClock;

    setup(() => {
        monotonic = 5000;
        wall = 1_700_000_000_000;
        clock = new SystemClock(
            () => monotonic,
            () => wall,
        );
    });

    /** The machine runs for so long. */
    function run(time: number): void {
        monotonic += time;
        wall += time;
    }

    /** How far the clock went meanwhile. */
    function measured(happens: () => void): number {
        const before = clock.now();
        happens();
        return clock.now() - before;
    }

    test('goes with the monotonic clock', () => {
        assert.strictEqual(
            measured(() => run(1234.5)),
            1234.5,
        );
    });

    test('counts the time the machine was suspended', () => {
        const gone = measured(() => {
            run(1000);
            wall += HOUR;
            run(1000);
        });
        assert.strictEqual(gone, HOUR + 2000);
    });

    test('counts no time twice in which the process stood still between its readings', () => {
        let pause = 0;
        clock = new SystemClock(
            () => monotonic,
            () => {
                run(pause);
                return wall;
            },
        );
        const gone = measured(() => {
            pause = 80;
            clock.now();
            pause = 0;
            run(1000);
        });
        assert.strictEqual(gone, 1080);
    });

    test('counts each suspension once', () => {
        const gone = measured(() => {
            for (let time = 0; time < 3; time++) {
                wall += 10_000;
                for (let look = 0; look < 5; look++) {
                    run(10);
                    clock.now();
                }
            }
        });
        assert.strictEqual(gone, 30_000 + 150);
    });

    test('counts a suspension that falls between two looks a long time apart', () => {
        const gone = measured(() => {
            run(HOUR);
            wall += 500;
            run(HOUR);
        });
        assert.strictEqual(gone, 2 * HOUR + 500);
    });

    test('is not changed by a wall clock that is set back', () => {
        assert.strictEqual(
            measured(() => {
                wall -= HOUR;
                run(1000);
            }),
            1000,
        );
    });

    test('counts a suspension also after the wall clock was set back', () => {
        const gone = measured(() => {
            wall -= HOUR;
            clock.now();
            wall += 20_000;
            run(1000);
        });
        assert.strictEqual(gone, 21_000);
    });

    test('goes forward with a wall clock that is set forward: leases end early, never late', () => {
        assert.strictEqual(
            measured(() => {
                wall += HOUR;
            }),
            HOUR,
        );
    });

    test('is not changed by a wall clock that only has whole ms', () => {
        const gone = measured(() => {
            for (let time = 0; time < 1000; time++) {
                monotonic += 0.3;
                wall = 1_700_000_000_000 + Math.floor(monotonic - 5000);
                clock.now();
            }
        });
        assert.approximately(gone, 300, 0.001);
    });

    test('is not changed by small corrections to and fro', () => {
        const gone = measured(() => {
            for (let time = 0; time < 1000; time++) {
                wall += time % 2 === 0 ? 20 : -20;
                run(100);
                clock.now();
            }
        });
        assert.strictEqual(gone, 100_000);
    });

    test('does not run away from a wall clock that is a little fast', () => {
        const gone = measured(() => {
            for (let time = 0; time < 36_000; time++) {
                run(100);
                // 100 ppm, as a time daemon may slew it.
                wall += 0.01;
                clock.now();
            }
        });
        assert.isAtLeast(gone, HOUR);
        assert.isAtMost(gone, HOUR + 360 + 1);
    });

    test('never goes back, and is never behind the monotonic clock, whatever the wall clock does', () => {
        const step = fc.record({ gone: fc.nat(10_000), set: fc.integer({ min: -100_000, max: 100_000 }) });
        fc.assert(
            fc.property(fc.array(step), (steps) => {
                for (const { gone, set } of steps) {
                    const before = clock.now();
                    run(gone);
                    wall += set;
                    assert.isAtLeast(clock.now(), before + gone);
                }
            }),
        );
    });

    test('by itself reads the clocks of the process', async () => {
        const real = new SystemClock();
        const before = performance.now();
        const now = real.now();
        assert.isAtLeast(now, before);
        await new Promise<void>((resolve) => {
            real.timer(5, resolve);
        });
        assert.isAtLeast(real.now() - now, 4);
    });

    suite('a timer', () => {
        test('runs its action once', async () => {
            let runs = 0;
            clock.timer(1, () => {
                runs += 1;
            });
            await new Promise((resolve) => setTimeout(resolve, 20));
            assert.strictEqual(runs, 1);
        });

        test('that was cancelled does nothing, and may be cancelled again', async () => {
            let runs = 0;
            const timer = clock.timer(1, () => {
                runs += 1;
            });
            timer.cancel();
            timer.cancel();
            await new Promise((resolve) => setTimeout(resolve, 20));
            assert.strictEqual(runs, 0);
        });

        for (const delay of [2 ** 31, 2 ** 40, Infinity]) {
            test(`of ${delay} ms does not fire at once`, async () => {
                let runs = 0;
                const timer = clock.timer(delay, () => {
                    runs += 1;
                });
                await new Promise((resolve) => setTimeout(resolve, 20));
                timer.cancel();
                assert.strictEqual(runs, 0);
            });
        }

        test('whose time has passed fires soon', async () => {
            await new Promise<void>((resolve) => {
                clock.timer(-1000, resolve);
            });
        });
    });
});

suite('systemClock', () => {
    test('is the one of the process: no other is made, which would count the sleep of the machine by itself', () => {
        const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
        const making = files.filter((name) => readFileSync(join(SRC, name), 'utf8').includes('new SystemClock'));
        assert.deepEqual(making, [join('engine', 'time', 'Clock.ts')]);
    });
});
