import { assert } from 'chai';
import fc from 'fast-check';
import { TimerHeap } from '../../../src/engine/time/TimerHeap';
import type { Due } from '../../../src/engine/time/TimerHeap';
import { VirtualClock } from '../../fixtures/VirtualClock';

interface Item extends Due {
    readonly name: string;
    /** When it was last set to run. */
    due: number;
}

suite('TimerHeap', () => {
    let clock: VirtualClock;
    let queue: TimerHeap<Item>;
    let ran: string[];
    let start: number;
    let run: (item: Item) => void;

    setup(() => {
        clock = new VirtualClock();
        start = clock.now();
        ran = [];
        run = ({ name }) => ran.push(name);
        queue = new TimerHeap(clock, (one) => run(one));
    });

    function item(name: string): Item {
        return { name, due: 0, place: -1 };
    }

    /** A new item, due after some ms. */
    function queued(name: string, delay: number): Item {
        const one = item(name);
        queue.set(one, start + delay);
        return one;
    }

    test('runs each item when it is due, in order', async () => {
        for (const [name, delay] of Object.entries({ c: 300, a: 100, d: 400, b: 200 })) queued(name, delay);
        await clock.advance(99);
        assert.deepEqual(ran, []);
        await clock.advance(1);
        assert.deepEqual(ran, ['a']);
        await clock.advance(200);
        assert.deepEqual(ran, ['a', 'b', 'c']);
        await clock.advance(100);
        assert.deepEqual(ran, ['a', 'b', 'c', 'd']);
    });

    test('runs nothing before its time, also when that is no whole ms', async () => {
        run = () => ran.push(String(clock.now() >= start + 100.4));
        queued('a', 100.4);
        await clock.advance(200);
        assert.deepEqual(ran, ['true']);
    });

    test('moves an item that is queued already', async () => {
        const later = queued('later', 100);
        const sooner = queued('sooner', 300);
        queue.set(later, start + 400);
        queue.set(sooner, start + 50);
        assert.strictEqual(queue.size, 2);
        await clock.advance(60);
        assert.deepEqual(ran, ['sooner']);
        await clock.advance(300);
        assert.deepEqual(ran, ['sooner']);
        await clock.advance(40);
        assert.deepEqual(ran, ['sooner', 'later']);
    });

    test('refuses NaN, and runs the others', async () => {
        const one = queued('a', 100);
        assert.throws(() => queue.set(one, NaN), RangeError);
        assert.throws(() => queue.set(item('b'), NaN), RangeError);
        assert.strictEqual(queue.size, 1);
        queued('c', 50);
        await clock.advance(200);
        assert.deepEqual(ran, ['c', 'a']);
    });

    test('moves the first item behind the others', async () => {
        const first = queued('first', 100);
        for (const [name, delay] of Object.entries({ b: 200, c: 300, d: 400 })) queued(name, delay);
        queue.set(first, start + 350);
        await clock.advance(250);
        assert.deepEqual(ran, ['b']);
        await clock.advance(150);
        assert.deepEqual(ran, ['b', 'c', 'first', 'd']);
    });

    test('forgets an item that was deleted', async () => {
        const one = queued('a', 100);
        queued('b', 200);
        queue.delete(one);
        queue.delete(one);
        assert.strictEqual(queue.size, 1);
        await clock.advance(1000);
        assert.deepEqual(ran, ['b']);
    });

    test('takes back an item that ran or was deleted', async () => {
        const one = queued('a', 100);
        await clock.advance(100);
        queue.set(one, clock.now() + 100);
        queue.delete(one);
        queue.set(one, clock.now() + 50);
        await clock.advance(100);
        assert.deepEqual(ran, ['a', 'a']);
    });

    test('sets one timer for all, and none for nothing', async () => {
        assert.strictEqual(clock.timers, 0);
        const items = Array.from({ length: 50 }, (_, at) => queued(String(at), 1000 - at));
        assert.strictEqual(clock.timers, 1);
        for (const one of items.slice(1)) queue.delete(one);
        assert.strictEqual(clock.timers, 1);
        queue.delete(items[0] ?? item(''));
        assert.strictEqual(clock.timers, 0);
        queued('last', 2000);
        await clock.advance(2000);
        assert.strictEqual(clock.timers, 0);
    });

    test('sets no new timer for what is due later than the rest', () => {
        let timers = 0;
        const timer = clock.timer.bind(clock);
        clock.timer = (...args) => {
            timers += 1;
            return timer(...args);
        };
        for (let at = 0; at < 50; at++) queued(String(at), 100 + at);
        assert.strictEqual(timers, 1);
    });

    test('sets no timer for what is never due', () => {
        queued('never', Infinity);
        assert.strictEqual(queue.size, 1);
        assert.strictEqual(clock.timers, 0);
    });

    test('holds on when nothing is due at its timer', async () => {
        const one = queued('a', 100);
        queue.set(one, start + 500);
        await clock.advance(400);
        assert.deepEqual(ran, []);
        await clock.advance(100);
        assert.deepEqual(ran, ['a']);
    });

    test('runs everything that is overdue after the event loop was blocked', async () => {
        for (let at = 0; at < 10; at++) queued(String(at), 100 * at);
        clock.skip(5000);
        await clock.advance(0);
        assert.deepEqual(ran, ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    });

    test('gives up the event loop where very many are due, and goes on in its next turn', async () => {
        run = ({ name }) => {
            ran.push(name);
            clock.skip(0.5);
        };
        const names = Array.from({ length: 200 }, (_, at) => String(at));
        for (const name of names) queued(name, 100);
        clock.skip(100);
        let turns = 0;
        for (let before = -1; before < ran.length; turns++) {
            before = ran.length;
            await clock.advance(0);
            assert.isAtMost(ran.length - before, 20);
        }
        assert.sameMembers(ran, names);
        assert.isAbove(turns, 10);
        assert.strictEqual(clock.timers, 0);
    });

    test('lets an item queue itself and others, and delete others, while it runs', async () => {
        const doomed = queued('doomed', 100);
        run = (one) => {
            ran.push(one.name);
            if (one.name !== 'first' || ran.length > 1) return;
            queue.delete(doomed);
            queue.set(one, start + 200);
            queued('other', 150);
        };
        queued('first', 90);
        await clock.advance(1000);
        assert.deepEqual(ran, ['first', 'other', 'first']);
    });

    test('knows what it has', async () => {
        const one = queued('a', 100);
        const other = queued('b', 200);
        assert.sameMembers(queue.items(), [one, other]);
        await clock.advance(100);
        assert.deepEqual(queue.items(), [other]);
        assert.isFalse(queue.has(one));
        assert.isTrue(queue.has(other));
        queue.clear();
        assert.isFalse(queue.has(other));
    });

    test('forgets all on clear', async () => {
        queued('a', 100);
        const one = queued('b', 200);
        queue.clear();
        assert.strictEqual(queue.size, 0);
        assert.strictEqual(clock.timers, 0);
        queue.set(one, start + 300);
        await clock.advance(1000);
        assert.deepEqual(ran, ['b']);
    });

    test('does what a sorted list does', async () => {
        const step = fc.oneof(
            fc.record({ kind: fc.constant('set' as const), at: fc.nat(20), delay: fc.nat(1000) }),
            fc.record({ kind: fc.constant('delete' as const), at: fc.nat(20) }),
            fc.record({ kind: fc.constant('advance' as const), time: fc.nat(200) }),
        );
        await fc.assert(
            fc.asyncProperty(fc.array(step, { maxLength: 100 }), async (steps) => {
                queue.clear();
                ran = [];
                const items = Array.from({ length: 21 }, (_, at) => item(String(at)));
                const model = new Map<string, number>();
                const expected: number[] = [];
                const actual: number[] = [];
                run = (one) => actual.push(one.due);
                for (const one of steps) {
                    const which = 'at' in one ? items[one.at] : undefined;
                    if (one.kind === 'set' && which !== undefined) {
                        // Distinct, so that the order is determined.
                        const due = clock.now() + one.delay + 1 + one.at / 100;
                        which.due = due;
                        queue.set(which, due);
                        model.set(which.name, due);
                    } else if (one.kind === 'delete' && which !== undefined) {
                        queue.delete(which);
                        model.delete(which.name);
                    } else if (one.kind === 'advance') {
                        await clock.advance(one.time);
                        const now = clock.now();
                        const due = [...model].filter(([, at]) => Math.ceil(at) <= now).sort(([, a], [, b]) => a - b);
                        for (const [name, at] of due) {
                            model.delete(name);
                            expected.push(at);
                        }
                    }
                    assert.strictEqual(queue.size, model.size);
                    assert.isAtMost(clock.timers, 1);
                    assert.strictEqual(clock.timers, model.size === 0 ? 0 : 1);
                }
                assert.deepEqual(actual, expected);
            }),
        );
    });
});
