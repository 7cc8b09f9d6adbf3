import { assert } from 'chai';
import { LeaseTable, newBlock, patience } from '../../../src/engine/deputy/LeaseTable';
import { TAKEN } from '../../../src/engine/lease/LeasedKey';
import { interleavings } from './interleavings';
import type { Threads } from './interleavings';

const TTL = 10_000;
const NOW = 2 ** 33 + 12_345.6;
const ROW = 3;

suite('LeaseTable', () => {
    let table: LeaseTable;

    setup(() => {
        table = new LeaseTable();
        table.grow(newBlock());
    });

    /** A lease that the deputy should renew. */
    function hold(left = TTL / 4): number {
        table.occupy(ROW, NOW + left);
        table.keep(ROW, TTL);
        return table.generation(ROW);
    }

    test('knows a deadline to the millisecond, and never a later one', () => {
        hold();
        assert.strictEqual(table.deadline(ROW), Math.floor(NOW + TTL / 4));
        table.beginMain(ROW, NOW + 5 * TTL, true);
        assert.strictEqual(table.deadline(ROW), Math.floor(NOW + TTL / 4));
    });

    test('raises a deadline and never lowers it', () => {
        hold();
        table.raise(ROW, NOW + TTL);
        table.raise(ROW, NOW + 1);
        assert.strictEqual(table.deadline(ROW), Math.floor(NOW + TTL));
    });

    test('knows deadlines where the low bits of the clock begin anew', () => {
        const late = 2 ** 32 - 10;
        table.occupy(ROW, late + 1000);
        assert.strictEqual(table.deadline(ROW), late + 1000);
        table.beginMain(ROW, late + 2000, true);
        assert.strictEqual(table.deadline(ROW), late + 1000);
        table.raise(ROW, late + 3000);
        assert.strictEqual(table.deadline(ROW), late + 3000);
    });

    test('has the deputy renew when half of the ttl is left, and not before', () => {
        table.occupy(ROW, NOW + TTL);
        table.keep(ROW, TTL);
        const generation = table.generation(ROW);
        assert.approximately(table.due(ROW, NOW), NOW + TTL / 2, 1);
        assert.isFalse(table.beginDeputy(ROW, generation, NOW));
        assert.isTrue(table.beginDeputy(ROW, generation, NOW + TTL / 2));
    });

    test('has it renew nothing that is not kept, has ended, has run out or is gone', () => {
        const generation = hold();
        assert.isFalse(table.beginDeputy(ROW, generation, NOW + TTL), 'run out');
        table.leave(ROW);
        assert.isFalse(table.beginDeputy(ROW, generation, NOW), 'not kept');
        table.keep(ROW, TTL);
        table.retire(ROW);
        assert.isFalse(table.beginDeputy(ROW, generation, NOW), 'ended');
        assert.isTrue(table.isOver(ROW, generation));
        const another = hold();
        assert.isFalse(table.beginDeputy(ROW, generation, NOW), 'another lease');
        assert.isTrue(table.beginDeputy(ROW, another, NOW));
        table.endDeputy(ROW, true);
        assert.isFalse(table.beginDeputy(ROW, another, NOW + TTL / 10), 'gone');
        assert.strictEqual(table.deadline(ROW), TAKEN);
    });

    test('has one of the two wait for the other, for a while', () => {
        const generation = hold();
        assert.isTrue(table.beginDeputy(ROW, generation, NOW));
        assert.isFalse(table.beginMain(ROW, NOW + 1, false));
        assert.isTrue(table.isBusy(ROW));
        assert.isTrue(table.beginMain(ROW, NOW + patience(TTL) + 1, false), 'the deputy hangs');
        table.endDeputy(ROW, false);
        assert.isFalse(table.beginDeputy(ROW, generation, NOW + patience(TTL) + 2));
        assert.isTrue(table.beginDeputy(ROW, generation, NOW + 2 * patience(TTL) + 2), 'the main thread hangs');
        assert.isTrue(table.beginMain(ROW, NOW + 2 * patience(TTL) + 3, true), 'it must not wait');
    });

    test('has no row but those of its blocks', () => {
        assert.throws(() => table.retire(table.size), RangeError, 'There is no row 1024.');
    });

    /** The main thread and its deputy, and what must never be seen of them. */
    class Scene {
        readonly table = new LeaseTable();
        private _generation = 0;
        private _isReleased = false;
        private _isMainAtIt = false;
        private _isDeputyAtIt = false;
        private _second: number | undefined;

        constructor(readonly mutant: 'none' | 'reuses a busy row' | 'answers too late' = 'none') {
            this.table.grow(newBlock());
        }

        readonly acquire = (): void => {
            this.table.occupy(ROW, NOW + TTL / 4);
            this.table.keep(ROW, TTL);
            this._generation = this.table.generation(ROW);
        };

        readonly beginMain = (): void => {
            const begun = this.table.beginMain(ROW, NOW, false);
            assert.isFalse(begun && this._isDeputyAtIt, 'two renewals at a time');
            this._isMainAtIt = begun;
        };

        readonly endMain = (): void => {
            if (this._isMainAtIt) this.table.endMain(ROW);
            this._isMainAtIt = false;
        };

        readonly release = (): void => {
            this.table.retire(ROW);
            this._isReleased = true;
        };

        /** Another lease has the row, if it is free. */
        readonly acquireAnother = (): void => {
            if (this.table.isBusy(ROW) && this.mutant !== 'reuses a busy row') return;
            this.table.occupy(ROW, NOW + 10);
            this._second = this.table.generation(ROW);
        };

        readonly beginDeputy = (): void => {
            if (this._generation === 0 || this._isDeputyAtIt) return;
            this._isDeputyAtIt = this.table.beginDeputy(ROW, this._generation, NOW + TTL / 9);
            assert.isFalse(this._isDeputyAtIt && this._isReleased, 'a renewal after the release');
        };

        readonly endDeputy = (): void => {
            if (!this._isDeputyAtIt) return;
            if (this.mutant === 'answers too late') this.table.endDeputy(ROW, false);
            this.table.raise(ROW, NOW + TTL);
            if (this.mutant !== 'answers too late') this.table.endDeputy(ROW, false);
            this._isDeputyAtIt = false;
        };

        readonly check = (): void => {
            if (this._second === undefined || this.table.generation(ROW) !== this._second) return;
            const message = 'the answer to one lease lengthened another';
            assert.strictEqual(this.table.deadline(ROW), Math.floor(NOW + 10), message);
        };
    }

    /** The main thread is interrupted by its deputy. */
    function interruptedMain(scene: Scene): Threads {
        const { acquire, acquireAnother, beginDeputy, beginMain, check, endDeputy, endMain, release } = scene;
        return {
            interrupted: () => {
                for (const step of [acquire, beginMain, endMain, release, acquireAnother]) step();
            },
            steps: [beginDeputy, endDeputy, beginDeputy, endDeputy, check],
        };
    }

    /** The deputy is interrupted by the main thread. */
    function interruptedDeputy(scene: Scene): Threads {
        const { acquire, acquireAnother, beginDeputy, check, endDeputy, release } = scene;
        acquire();
        return {
            interrupted: () => {
                for (const step of [beginDeputy, endDeputy, beginDeputy, endDeputy]) step();
            },
            steps: [release, acquireAnother, check],
        };
    }

    const both = [
        ['the main thread', interruptedMain],
        ['the deputy', interruptedDeputy],
    ] as const;
    for (const [who, threads] of both) {
        test(`has no renewal after a release, and no answer for another lease, however ${who} is interrupted`, () => {
            assert.isAbove(
                interleavings(() => threads(new Scene())),
                50,
            );
        });
    }

    test('would renew after a release if the deputy did not compare', () => {
        const compareExchange = Atomics.compareExchange.bind(Atomics);
        const set = (cells: Int32Array, at: number, expected: number, value: number): number => {
            compareExchange(cells, at, Atomics.load(cells, at), value);
            return expected;
        };
        Object.assign(Atomics, { compareExchange: set });
        try {
            assert.throws(() => interleavings(() => interruptedDeputy(new Scene())), 'a renewal after the release');
        } finally {
            Object.assign(Atomics, { compareExchange: compareExchange });
        }
    });

    test('would lengthen another lease if a row were given away too soon', () => {
        const wrong = 'the answer to one lease lengthened another';
        assert.throws(() => interleavings(() => interruptedMain(new Scene('reuses a busy row'))), wrong);
        assert.throws(() => interleavings(() => interruptedDeputy(new Scene('answers too late'))), wrong);
    });
});
