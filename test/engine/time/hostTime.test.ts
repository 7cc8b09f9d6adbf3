import { assert } from 'chai';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { install } from '@sinonjs/fake-timers';
import { SystemClock } from '../../../src/engine/time/Clock';
import * as hostTime from '../../../src/engine/time/hostTime';
import { TimerHeap } from '../../../src/engine/time/TimerHeap';

type HostTime = typeof hostTime;
type Installed = ReturnType<typeof install>;

// As they are now: whatever is done to them later.
const { setTimeout: setRealTimeout } = globalThis;

suite('hostTime', () => {
    let fakes: Installed | undefined;

    teardown(() => fakes?.uninstall());

    function fake(): Installed {
        fakes = install();
        return fakes;
    }

    function restore(): void {
        fakes?.uninstall();
        fakes = undefined;
    }

    function sleep(time: number): Promise<void> {
        return new Promise((resolve) => setRealTimeout(resolve, time));
    }

    /** Fails when it does not come soon. */
    function soon(run: (done: () => void) => void): Promise<void> {
        return new Promise((resolve, reject) => {
            setRealTimeout(() => reject(new Error('It did not come.')), 1000);
            run(resolve);
        });
    }

    /** Another copy of the file, loaded now. */
    function loaded(): HostTime {
        const path = require.resolve('../../../src/engine/time/hostTime');
        const before = require.cache[path];
        delete require.cache[path];
        try {
            return require(path) as HostTime;
        } finally {
            require.cache[path] = before;
        }
    }

    suite('a timer that is late because the event loop was blocked', () => {
        const server = createServer();
        let near: Socket;
        let far: Socket;

        setup(async () => {
            server.listen(0, '127.0.0.1');
            await once(server, 'listening');
            near = connect((server.address() as AddressInfo).port, '127.0.0.1');
            [far] = (await once(server, 'connection')) as [Socket];
            if (near.connecting) await once(near, 'connect');
        });
        teardown(() => {
            near.destroy();
            far.destroy();
            server.close();
        });

        /** Sends something to `near`, and is busy until it has arrived and every timer of a millisecond is late. */
        function block(): void {
            far.write('answer');
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
        }

        test('fires after what arrived meanwhile was read', async () => {
            const order: string[] = [];
            near.on('data', () => order.push('read'));
            await soon((done) => {
                const clock = new SystemClock();
                clock.timer(1, () => {
                    order.push('fired');
                    done();
                });
                block();
            });
            assert.deepEqual(order, ['read', 'fired']);
        });

        test('does not fire if what is read then cancels it', async () => {
            let fired = false;
            const timer = new hostTime.HostTimer(1, () => (fired = true));
            near.on('data', () => timer.cancel());
            block();
            await once(near, 'data');
            await sleep(5);
            assert.isFalse(fired);
        });
    });

    suite('while timers are faked', () => {
        test('a clock goes on, and its timers fire', async () => {
            const clock = new SystemClock();
            const before = clock.now();
            fake();
            await soon((done) => clock.timer(5, done));
            assert.isAtLeast(clock.now() - before, 4);
            assert.isBelow(clock.now() - before, 900);
        });

        test('a clock does not follow the faked time', () => {
            const clock = new SystemClock();
            const before = clock.now();
            fake().tick(3_600_000);
            assert.isBelow(clock.now() - before, 1000);
            restore();
            assert.isBelow(clock.now() - before, 1000);
        });

        test('a timer that is cancelled does not fire', async () => {
            fake();
            let fired = false;
            const timer = new SystemClock().timer(5, () => (fired = true));
            timer.cancel();
            await sleep(30);
            assert.isFalse(fired);
        });

        test('what is put off to the end of the turn runs, also when the fakes are gone by then', async () => {
            fake();
            await soon((done) => hostTime.inMicrotask(done));
            await soon((done) => hostTime.atEndOfTurn(done));
            await soon((done) => {
                hostTime.atEndOfTurn(done);
                restore();
            });
        });

        test('a heap of timers runs what was due before, meanwhile and after', async () => {
            const ran: number[] = [];
            const heap = new TimerHeap<{ place: number; at: number }>(new SystemClock(), ({ at }) => ran.push(at));
            const now = new SystemClock().now();
            const put = (at: number): void => heap.set({ place: -1, at }, now + at);
            put(20);
            fake();
            put(40);
            put(10);
            await sleep(15);
            restore();
            put(60);
            await sleep(100);
            assert.deepEqual(ran, [10, 20, 40, 60]);
        });
    });

    suite('loaded while timers are faked', () => {
        test('has a time that goes on', async () => {
            fake();
            const { monotonicNow, wallNow } = loaded();
            const [before, wall] = [monotonicNow(), wallNow()];
            await sleep(20);
            assert.isAtLeast(monotonicNow() - before, 15);
            assert.isAtLeast(wallNow() - wall, 15);
        });

        test('moves timers to the real functions when these are back', async () => {
            fake();
            const { HostTimer, monotonicNow } = loaded();
            let cancelled = false;
            await soon((done) => {
                const kept = new HostTimer(20, done);
                kept.keepsAlive(true);
                const timer = new HostTimer(10, () => (cancelled = true));
                timer.cancel();
                restore();
                monotonicNow();
            });
            await sleep(20);
            assert.isFalse(cancelled);
        });

        test('fires with the fakes as long as they are there, and once', async () => {
            const fakeClock = fake();
            const { HostTimer, monotonicNow } = loaded();
            let fired = 0;
            const timer = new HostTimer(20, () => (fired += 1));
            fakeClock.tick(20);
            assert.strictEqual(fired, 1);
            restore();
            monotonicNow();
            await sleep(40);
            assert.strictEqual(fired, 1);
            timer.cancel();
        });

        test('runs what is put off to the end of the turn', async () => {
            fake();
            const { atEndOfTurn, inMicrotask } = loaded();
            await soon(atEndOfTurn);
            await soon(inMicrotask);
        });
    });
});
