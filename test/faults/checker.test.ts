import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { check } from './Checker';
import { LATE } from './Finding';
import { History, readHistory } from './History';
import type { HistoryEvent, Invariant, Occurrence } from './HistoryEvent';
import { BOUND, BUDGET, IDLE } from './invariants';

const TTL = 300;

const KEY = 'key:0';

/** A history by hand: who, when, what. */
class Written {
    readonly events: HistoryEvent[] = [];

    add(at: number, client: string, occurrence: Occurrence): this {
        this.events.push({ at, process: 1, client, ...occurrence });
        this.events.sort((one, other) => one.at - other.at);
        return this;
    }

    tries(at: number, attempt: string, patience = 30_000): this {
        return this.add(at, clientOf(attempt), { operation: 'try', key: KEY, attempt, patience, ttl: TTL });
    }

    /** Wants a share. @param limit null: as a reader. */
    reads(at: number, attempt: string, limit: number | null = null, permits = 1): this {
        const share = { permits, limit };
        return this.add(at, clientOf(attempt), {
            operation: 'try',
            key: KEY,
            attempt,
            patience: 30_000,
            ttl: TTL,
            share,
        });
    }

    waits(at: number, attempt: string): this {
        return this.add(at, clientOf(attempt), { operation: 'waiting', key: KEY, attempt });
    }

    granted(at: number, attempt: string, fence: number, deadline = at + TTL): this {
        return this._believes('grant', at, attempt, fence, deadline);
    }

    /** A turn: one after the other of these has the key, for 10 ms each. */
    turn(at: number, [first = '', ...others]: string[], fence: number): this {
        for (const [number, attempt] of [first, ...others].entries()) {
            const from = at + 10 * number;
            this._believes('grant', from, attempt, fence + number, from + TTL, first);
            this.released(from + 9, attempt, fence + number);
        }
        return this;
    }

    refused(at: number, attempt: string): this {
        return this.add(at, clientOf(attempt), { operation: 'refused', key: KEY, attempt, reason: 'LOCK_TIMEOUT' });
    }

    renewed(at: number, attempt: string, fence: number, deadline: number): this {
        return this._believes('renew', at, attempt, fence, deadline);
    }

    /** Looks at its lease. */
    looked(at: number, attempt: string, fence: number, held: boolean): this {
        const lease = { key: KEY, attempt, holder: attempt, fence };
        return this.add(at, clientOf(attempt), { operation: 'check', ...lease, held, deadline: at });
    }

    released(at: number, attempt: string, fence: number): this {
        const lease = { key: KEY, attempt, holder: attempt, fence };
        return this.add(at, clientOf(attempt), { operation: 'release-start', ...lease });
    }

    lost(at: number, attempt: string, fence: number): this {
        const lease = { key: KEY, attempt, holder: attempt, fence };
        return this.add(at, clientOf(attempt), { operation: 'lost', ...lease, reason: '' });
    }

    crashed(at: number, client: string): this {
        return this.add(at, 'lab', { operation: 'crash', of: client });
    }

    blocked(from: number, at: number, client: string): this {
        return this.add(at, client, { operation: 'blocked', from });
    }

    broken(
        from: number,
        until: number,
        exempts: Invariant[],
        { clients = null, tail = 0, unheard = 0 }: { clients?: string[] | null; tail?: number; unheard?: number } = {},
    ): this {
        this.add(from, 'lab', { operation: 'fault', name: 'a fault', clients, exempts, tail, unheard });
        return this.add(until, 'lab', { operation: 'heal', name: 'a fault' });
    }

    private _believes(
        operation: 'grant' | 'renew',
        at: number,
        attempt: string,
        fence: number,
        deadline: number,
        holder = attempt,
    ): this {
        const lease = { key: KEY, attempt, holder, fence, held: true, deadline };
        return this.add(at, clientOf(attempt), { operation, ...lease });
    }
}

function clientOf(attempt: string): string {
    return attempt.split('-')[0] ?? '';
}

function red(history: Written): Invariant[] {
    return [...new Set(check(history.events).violations.map(({ invariant }) => invariant))];
}

suite('The checker of histories', () => {
    test('finds nothing in an orderly history', () => {
        const history = new Written()
            .tries(0, 'a-1')
            .granted(5, 'a-1', 1)
            .tries(10, 'b-1')
            .waits(12, 'b-1')
            .released(50, 'a-1', 1)
            .granted(51, 'b-1', 2)
            .lost(351, 'b-1', 2)
            .tries(360, 'a-2')
            .granted(365, 'a-2', 3)
            .released(370, 'a-2', 3);
        assert.deepEqual(red(history), []);
    });

    suite('I1: one holder at a time', () => {
        test('is broken by a grant before a release', () => {
            const history = new Written().granted(0, 'a-1', 1).granted(50, 'b-1', 2);
            assert.include(red(history.released(60, 'a-1', 1).released(70, 'b-1', 2)), 'I1');
        });

        test('is broken by a grant before the deadline of the last renewal', () => {
            const history = new Written().granted(0, 'a-1', 1).renewed(100, 'a-1', 1, 400).granted(350, 'b-1', 2);
            assert.include(red(history.lost(400, 'a-1', 1).released(410, 'b-1', 2)), 'I1');
        });

        test('is broken by a lease that says that it is held after another grant', () => {
            const history = new Written().granted(0, 'a-1', 1).granted(310, 'b-1', 2).looked(320, 'a-1', 1, true);
            assert.include(red(history.released(330, 'b-1', 2)), 'I1');
        });

        test('is broken also where a shorter lease lies between', () => {
            const history = new Written().granted(0, 'a-1', 1, 1000).granted(10, 'b-1', 2).released(20, 'b-1', 2);
            history.granted(500, 'c-1', 3).released(510, 'c-1', 3).lost(1000, 'a-1', 1);
            assert.lengthOf(
                check(history.events).violations.filter(({ invariant }) => invariant === 'I1'),
                2,
            );
        });

        test('is broken by a key that is passed on after another was granted it', () => {
            const history = new Written().turn(0, ['a-1'], 1).turn(10, ['b-1'], 5);
            const lease = { key: KEY, attempt: 'a-2', holder: 'a-1', fence: 2 };
            history.add(20, 'a', { operation: 'grant', ...lease, held: true, deadline: 300 });
            assert.deepEqual(red(history.released(21, 'a-2', 2)), ['I1']);
        });

        test('is kept by another edition that takes a holder id again', () => {
            const history = new Written().turn(0, ['foreign-1'], 0).turn(10, ['b-1'], 5).turn(20, ['foreign-1'], 0);
            assert.deepEqual(red(history), []);
        });

        test('is kept by the deadline, a loss and a crash', () => {
            const history = new Written().granted(0, 'a-1', 1).lost(300, 'a-1', 1).granted(301, 'b-1', 2);
            history.crashed(320, 'b').granted(330, 'c-1', 3).lost(400, 'c-1', 3).granted(401, 'd-1', 4);
            assert.deepEqual(red(history.released(410, 'd-1', 4)), []);
        });

        test('is not looked for where Redis was made to forget, but that is counted', () => {
            const history = new Written().granted(0, 'a-1', 1).broken(10, 10, ['I1', 'I2'], { tail: 300 });
            const { violations, exempted } = check(history.granted(50, 'b-1', 2).lost(150, 'a-1', 1).events);
            assert.deepEqual(violations, []);
            assert.deepEqual(
                exempted.map(({ finding, fault }) => [finding.invariant, fault.name]),
                [
                    ['I1', 'a fault'],
                    ['I2', 'a fault'],
                ],
            );
        });

        test('is looked for again when the exempt window is over, and in a fault that exempts from another', () => {
            for (const [until, exempts] of [
                [10, ['I1', 'I2']],
                [60, ['I5']],
            ] as [number, Invariant[]][]) {
                const history = new Written().broken(5, until, exempts, { tail: 20 }).granted(40, 'a-1', 1);
                assert.include(red(history.granted(50, 'b-1', 2).lost(100, 'a-1', 1)), 'I1');
            }
        });
    });

    suite('A key that is shared', () => {
        test('may be held by several, who hear of it in any order', () => {
            const history = new Written()
                .tries(0, 'w-1')
                .granted(1, 'w-1', 1)
                .reads(2, 'a-1')
                .waits(3, 'a-1')
                .reads(4, 'b-1', 3, 2)
                .waits(5, 'b-1')
                .released(20, 'w-1', 1)
                .granted(22, 'b-1', 3)
                .granted(23, 'a-1', 2)
                .released(50, 'a-1', 2)
                .released(60, 'b-1', 3);
            assert.deepEqual(red(history), []);
        });

        test('is broken by one who has it alone beside a reader, and by a reader beside that one', () => {
            const reader = new Written().reads(0, 'a-1').granted(1, 'a-1', 1).tries(2, 'w-1').granted(5, 'w-1', 2);
            assert.include(red(reader.released(10, 'a-1', 1).released(11, 'w-1', 2)), 'I1');
            const alone = new Written().tries(0, 'w-1').granted(1, 'w-1', 1).reads(2, 'a-1').granted(5, 'a-1', 2);
            assert.include(red(alone.released(10, 'a-1', 2).released(11, 'w-1', 1)), 'I1');
        });

        test('is broken by one permit more than there are', () => {
            const history = new Written().reads(0, 'a-1', 3, 2).granted(1, 'a-1', 1).reads(2, 'b-1', 3);
            history.granted(3, 'b-1', 2).reads(4, 'c-1', 3);
            assert.deepEqual(red(history), []);
            history.granted(5, 'c-1', 4).released(9, 'a-1', 1).released(9, 'b-1', 2).released(9, 'c-1', 4);
            assert.deepEqual(red(history), ['I1']);
        });

        test('is not broken by one who came after a permit was given, and heard of it sooner', () => {
            const history = new Written().reads(0, 'a-1', 2).granted(1, 'a-1', 1).reads(2, 'b-1', 2).reads(2, 'c-1');
            history.granted(4, 'c-1', 3).granted(5, 'b-1', 2).released(9, 'a-1', 1).released(9, 'b-1', 2);
            assert.deepEqual(red(history.released(9, 'c-1', 3)), []);
        });

        test('is broken by a reader who passes one that waits to have it alone', () => {
            const history = new Written().reads(0, 'a-1').granted(1, 'a-1', 1).tries(2, 'w-1').waits(3, 'w-1');
            history.reads(10, 'b-1').granted(11, 'b-1', 2).released(20, 'a-1', 1).released(21, 'b-1', 2);
            assert.deepEqual(red(history.granted(22, 'w-1', 3).released(30, 'w-1', 3)), ['I5']);
        });

        test('is broken by a fence that does not rise from readers to the one who has it alone', () => {
            const history = new Written().reads(0, 'a-1').granted(1, 'a-1', 5).released(10, 'a-1', 5).tries(11, 'w-1');
            assert.deepEqual(red(history.granted(12, 'w-1', 4).released(20, 'w-1', 4)), ['I3']);
        });

        test('is broken by a reader who is not told of its loss', () => {
            const history = new Written().reads(0, 'a-1').granted(1, 'a-1', 1).reads(2, 'b-1').granted(3, 'b-1', 2);
            history.released(10, 'b-1', 2).tries(301, 'w-1').granted(310, 'w-1', 3).released(900, 'w-1', 3);
            assert.deepEqual(red(history.lost(800, 'a-1', 1)), ['I2']);
        });
    });

    suite('I2: a holder is told before another is granted', () => {
        test('is broken by a loss that is told too late', () => {
            const history = new Written().granted(0, 'a-1', 1).granted(310, 'b-1', 2);
            assert.deepEqual(red(history.lost(311 + LATE, 'a-1', 1).released(400, 'b-1', 2)), ['I2']);
        });

        test('is broken by a loss that is never told', () => {
            const history = new Written().granted(0, 'a-1', 1).granted(310, 'b-1', 2).released(500, 'b-1', 2);
            assert.deepEqual(red(history), ['I2']);
        });

        test('is kept by a holder that stood still and looks first', () => {
            const history = new Written().granted(0, 'a-1', 1).granted(310, 'b-1', 2).released(500, 'b-1', 2);
            history.looked(900, 'a-1', 1, false).lost(901, 'a-1', 1).blocked(100, 902, 'a');
            assert.deepEqual(red(history), []);
        });

        test('is kept by the dead', () => {
            const history = new Written().granted(0, 'a-1', 1).crashed(10, 'a').granted(310, 'b-1', 2);
            assert.deepEqual(red(history.released(900, 'b-1', 2)), []);
        });
    });

    suite('I3: fences rise', () => {
        for (const fence of [4, 5]) {
            test(`is broken by fence ${fence} after 5`, () => {
                const history = new Written().granted(0, 'a-1', 5).released(10, 'a-1', 5).granted(20, 'b-1', fence);
                assert.deepEqual(red(history.released(30, 'b-1', fence)), ['I3']);
            });
        }

        test('is broken by a fence of a turn that is that of another grant', () => {
            assert.deepEqual(red(new Written().turn(0, ['a-1', 'a-2'], 5).turn(20, ['b-1'], 6)), ['I3']);
            assert.deepEqual(red(new Written().turn(0, ['a-1'], 5).turn(20, ['b-1', 'b-2'], 5)), ['I3']);
        });

        test('does not ask other editions for a fence', () => {
            const history = new Written().granted(0, 'a-1', 5).released(10, 'a-1', 5).granted(20, 'foreign-1', 0);
            history.released(30, 'foreign-1', 0).granted(40, 'b-1', 6).released(50, 'b-1', 6);
            assert.deepEqual(red(history), []);
        });
    });

    suite('I4: the resource is guarded', () => {
        const accepted = (at: number, value: string, fence: number): [number, string, Occurrence] => [
            at,
            'resource',
            { operation: 'accept', key: KEY, value, fence },
        ];

        test('is broken by a lower fence that is accepted', () => {
            const history = new Written().add(...accepted(0, 'a', 2)).add(...accepted(1, 'b', 1));
            assert.deepEqual(red(history), ['I4']);
        });

        test('is broken by a value that is not the last accepted one', () => {
            const history = new Written().add(...accepted(0, 'a', 1)).add(...accepted(1, 'b', 2));
            history.add(2, 'resource', { operation: 'value', key: KEY, value: 'a', fence: 2 });
            assert.deepEqual(red(history), ['I4']);
        });

        test('is broken by a write that is confirmed but was not accepted', () => {
            const lease = { key: KEY, attempt: 'a-1', holder: 'a-1', fence: 1, held: true, deadline: 9 };
            const history = new Written().add(1, 'a', { operation: 'write', ...lease, value: 'a', accepted: true });
            assert.deepEqual(red(history), ['I4']);
        });

        test('is kept by refusals and by the same fence again', () => {
            const history = new Written().add(...accepted(0, 'a', 1)).add(...accepted(1, 'b', 1));
            history.add(2, 'resource', { operation: 'refuse', key: KEY, value: 'c', fence: 0 });
            history.add(3, 'resource', { operation: 'value', key: KEY, value: 'b', fence: 1 });
            assert.deepEqual(red(history), []);
        });
    });

    suite('I5: first come, first served', () => {
        const overtaken = (): Written =>
            new Written()
                .tries(0, 'a-1')
                .waits(5, 'a-1')
                .tries(6, 'b-1')
                .granted(20, 'b-1', 1)
                .released(30, 'b-1', 1)
                .granted(40, 'a-1', 2)
                .released(50, 'a-1', 2);

        test('is broken by one that came later and is served first', () => {
            assert.deepEqual(red(overtaken()), ['I5']);
        });

        test('says nothing of two that came together', () => {
            const history = new Written().tries(0, 'a-1').waits(5, 'a-1').tries(4, 'b-1').granted(20, 'b-1', 1);
            assert.deepEqual(red(history.released(30, 'b-1', 1).granted(40, 'a-1', 2).released(50, 'a-1', 2)), []);
        });

        test('says nothing of one that was cut off, or stood still, or died', () => {
            assert.deepEqual(red(overtaken().broken(7, 8, [], { clients: ['a'] })), []);
            assert.deepEqual(red(overtaken().broken(7, 8, [], { clients: ['b'] })), ['I5']);
            assert.deepEqual(red(overtaken().blocked(-200, 9, 'a')), ['I5']);
            const late = new Written().tries(0, 'a-1').waits(5, 'a-1').tries(6, 'b-1').blocked(7, 200, 'a');
            assert.deepEqual(
                red(late.granted(210, 'b-1', 1).released(220, 'b-1', 1).granted(230, 'a-1', 2).released(231, 'a-1', 2)),
                [],
            );
            const dead = new Written().tries(0, 'a-1').waits(5, 'a-1').tries(6, 'b-1').crashed(10, 'a');
            assert.deepEqual(red(dead.granted(20, 'b-1', 1).released(30, 'b-1', 1)), []);
        });
    });

    suite('I5, where keys are passed on within a process once', () => {
        /** The callers of each process, in the order in which they came. */
        const waiting = (...attempts: string[]): Written => {
            const history = new Written().add(-1, 'lab', { operation: 'order', localGrants: 1 });
            for (const [at, attempt] of attempts.entries()) history.tries(at / 10, attempt).waits(at / 10, attempt);
            return history;
        };

        test('is kept by turns of the processes, in whose order they are passed on', () => {
            const history = waiting('a-1', 'b-1', 'a-2', 'a-3', 'b-2').turn(10, ['a-1', 'a-2'], 1);
            assert.deepEqual(red(history.turn(30, ['b-1', 'b-2'], 3).turn(50, ['a-3'], 5)), []);
        });

        test('is broken by one that is served before another of its process that came first', () => {
            const history = waiting('a-1', 'a-2', 'a-3').turn(10, ['a-1', 'a-3'], 1).turn(30, ['a-2'], 3);
            assert.deepEqual(red(history.broken(5, 6, [])), ['I5']);
        });

        test('says nothing of two of a process that ask for another ttl: they stand in different lines', () => {
            const history = waiting('a-1', 'a-2');
            const last = { operation: 'try', key: KEY, attempt: 'a-3', patience: 1, ttl: TTL + 1 } as const;
            history.add(5, 'a', last).turn(10, ['a-1'], 1).turn(20, ['a-3'], 2).turn(30, ['a-2'], 3);
            assert.deepEqual(red(history), []);
        });

        test('is broken by a turn with a lease too many', () => {
            assert.deepEqual(red(waiting('a-1', 'a-2', 'a-3').turn(10, ['a-1', 'a-2', 'a-3'], 1)), ['I5']);
        });

        test('is broken by a key that is passed on after a third of its ttl', () => {
            const late = TTL / 3 + LATE + 10;
            const passed = (): Written => {
                const history = waiting('a-1', 'a-2').granted(10, 'a-1', 1).released(late, 'a-1', 1);
                const lease = { key: KEY, attempt: 'a-2', holder: 'a-1', fence: 2 };
                history.add(late + 1, 'a', { operation: 'grant', ...lease, held: true, deadline: late + TTL });
                return history.released(late + 2, 'a-2', 2);
            };
            assert.deepEqual(red(passed()), ['I5']);
            assert.deepEqual(red(passed().blocked(20, 60, 'a')), []);
        });

        suite('looks at the turns of other processes while one waits', () => {
            /** While b-0 and b-1 wait there are these turns, one after the other: of one of them, or of a newcomer of a. */
            const course = (...turns: ('a' | 'b-0' | 'b-1' | 'b-0 leaves')[]): Written => {
                const history = waiting('b-0', 'b-1');
                for (const [number, turn] of turns.entries()) {
                    const [attempt, at] = [turn === 'a' ? `a-${number}` : turn, 10 + 10 * number];
                    if (turn === 'a') history.tries(at - 1, attempt);
                    if (turn === 'b-0 leaves') history.refused(at, 'b-0');
                    else history.turn(at, [attempt], number + 1);
                }
                return history;
            };

            test('one before each turn of its own process, and one more', () => {
                assert.deepEqual(red(course('a', 'a', 'b-0', 'b-1')), []);
                assert.deepEqual(red(course('a', 'a', 'a', 'b-0', 'b-1')), ['I5']);
                assert.deepEqual(red(course('a', 'a', 'b-0', 'a', 'b-1')), []);
                assert.deepEqual(red(course('a', 'a', 'b-0', 'a', 'a', 'b-1')), ['I5']);
            });

            test('and one for each that left before it', () => {
                assert.deepEqual(red(course('a', 'a', 'b-0 leaves', 'a', 'b-1')), []);
                assert.deepEqual(red(course('a', 'a', 'b-0 leaves', 'a', 'a', 'b-1')), ['I5']);
            });

            test('also for one that waits yet, and for one that gave up', () => {
                assert.deepEqual(red(course('a', 'a', 'b-0', 'a')), []);
                assert.deepEqual(red(course('a', 'a', 'b-0', 'a', 'a')), ['I5']);
                assert.deepEqual(red(course('a', 'a', 'b-0', 'a', 'a').refused(90, 'b-1')), ['I5']);
            });

            test('but not for one that was cut off', () => {
                const history = course('a', 'a', 'a', 'b-0', 'b-1').broken(7, 8, [], { clients: ['b'] });
                assert.deepEqual(red(history), []);
            });
        });
    });

    suite('I6: everybody is served', () => {
        test('is broken by a wait beyond the bound', () => {
            const history = new Written()
                .tries(0, 'a-1')
                .waits(1, 'a-1')
                .granted(BOUND + 10, 'a-1', 1);
            assert.deepEqual(red(history.released(BOUND + 11, 'a-1', 1)), ['I6']);
        });

        test('is broken by a wait that never ends', () => {
            const history = new Written().tries(0, 'a-1').tries(BOUND + 1, 'b-1');
            assert.deepEqual(red(history.granted(BOUND + 2, 'b-1', 1).released(BOUND + 3, 'b-1', 1)), ['I6']);
        });

        test('is broken by a key that is free while somebody waits, unless something is broken or stands still', () => {
            const free = (): Written =>
                new Written().granted(0, 'a-1', 1).tries(1, 'b-1').waits(2, 'b-1').released(10, 'a-1', 1);
            const until = 11 + IDLE;
            const served = free()
                .granted(until, 'b-1', 2)
                .released(until + 1, 'b-1', 2);
            assert.deepEqual(red(served), ['I6']);
            assert.deepEqual(red(served.blocked(20, 120, 'b')), []);
            assert.deepEqual(red(free().tries(until, 'a-2')), ['I6']);
            assert.deepEqual(red(free().tries(until, 'a-2').broken(20, 30, [])), []);
        });

        test('counts from when those who wait have heard of the end of the last fault', () => {
            const unheard = 3 * IDLE;
            const served = (at: number): Written =>
                new Written()
                    .granted(0, 'a-1', 1)
                    .tries(1, 'b-1')
                    .waits(2, 'b-1')
                    .broken(3, 4, [], { unheard })
                    .released(10, 'a-1', 1)
                    .granted(at, 'b-1', 2)
                    .released(at + 1, 'b-1', 2);
            assert.deepEqual(red(served(4 + unheard + IDLE)), []);
            assert.deepEqual(red(served(5 + unheard + IDLE)), ['I6']);
        });

        test('counts from the end of the last fault', () => {
            const history = new Written()
                .tries(0, 'a-1')
                .broken(1, 5000, [])
                .granted(BOUND + 4000, 'a-1', 1);
            assert.deepEqual(red(history.released(BOUND + 4001, 'a-1', 1)), []);
        });
    });

    test('I7: nothing left is broken by a key, and by a command', () => {
        const left = (keys: string[], commands: number): Written =>
            new Written().add(0, 'lab', { operation: 'left', keys, commands });
        assert.deepEqual(red(left([], 0)), []);
        assert.deepEqual(red(left(['key:0'], 0)), ['I7']);
        assert.deepEqual(red(left([], 1)), ['I7']);
    });

    test('I8: the budget of commands is broken by more of them', () => {
        const sent = (commands: number): Written =>
            new Written()
                .tries(0, 'a-1')
                .granted(1, 'a-1', 1)
                .released(2, 'a-1', 1)
                .add(1000, 'lab', { operation: 'sent', of: 'a', commands, connections: 1 });
        const budget = BUDGET.attempt + BUDGET.lease + BUDGET.connection + BUDGET.second;
        assert.deepEqual(red(sent(budget)), []);
        assert.deepEqual(red(sent(budget + 1)), ['I8']);
    });

    test("I9: everybody's holder id is broken by a removal by another", () => {
        const removed = (by: string): Written =>
            new Written().add(0, 'lab', { operation: 'removed', key: KEY, holder: 'a', by });
        assert.deepEqual(red(removed('b')), ['I9']);
    });
});

suite('A history', () => {
    let folder = '';
    suiteSetup(() => (folder = mkdtempSync(join(tmpdir(), 'history-'))));
    suiteTeardown(() => rmSync(folder, { recursive: true }));

    test('has every event of a writer that was killed, and whole ones of writers at the same time', async () => {
        const path = join(folder, 'killed.jsonl');
        const script = `
            const { History } = require(${JSON.stringify(join(__dirname, 'History.js'))});
            const history = new History(${JSON.stringify(path)}, process.argv[2]);
            process.send('ready');
            for (let count = 0; ; count++) {
                history.note({ operation: 'crash', of: String(count) });
                if (count === 500) process.send('enough');
            }`;
        const source = join(folder, 'writer.js');
        writeFileSync(source, script);
        const writers = ['a', 'b'].map((name) => fork(source, [name], { execArgv: [] }));
        await Promise.all(
            writers.map(async (writer) => {
                await once(writer, 'message');
                await once(writer, 'message');
                writer.kill('SIGKILL');
                await once(writer, 'exit');
            }),
        );
        const events = readHistory(path);
        for (const name of ['a', 'b']) {
            const counts = events.flatMap((event) =>
                event.client === name && event.operation === 'crash' ? [Number(event.of)] : [],
            );
            assert.deepEqual(
                counts,
                counts.map((_, at) => at),
            );
        }
        assert.isAbove(events.length, 1000);
    });

    test('is refused with the number of the line that is not an event', () => {
        const path = join(folder, 'bad.jsonl');
        using history = new History(path, 'a');
        history.note({ operation: 'crash', of: 'b' });
        writeFileSync(path, '{"at"\n', { flag: 'a' });
        assert.throws(() => readHistory(path), /Line 2 of the history/);
    });
});
