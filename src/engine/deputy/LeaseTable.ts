import { TAKEN } from '../lease/LeasedKey';

/*
 * What the main thread and its deputy know of the leases in common: a table in shared memory, with a row for each key that is held.
 *
 * A row is five cells of 32 bits: its word, its deadline, its ttl, and when each of the two threads last began to renew it. Instants are those of the main
 * thread's clock, ms, of which a cell has the low 32 bits. The word is the generation of the row, which is another for each lease
 * that has it, and flags. Each flag is set and cleared by one thread only:
 *
 * | flag    | of     | means                                                                   |
 * | ------- | ------ | ----------------------------------------------------------------------- |
 * | KEPT    | main   | the lease is to be renewed                                              |
 * | MAIN    | main   | a renewal of the main thread is under way                               |
 * | DEPUTY  | deputy | a renewal of the deputy is under way                                    |
 * | GONE    | deputy | the store has told the deputy that the key is not ours any more         |
 * | RETIRED | main   | the lease has ended                                                     |
 *
 * 1. A thread that renews sets its flag first, by one compare-and-exchange of the whole word. So a thread that has seen another generation,
 *    or no RETIRED, sends nothing once that has changed: no renewal begins after a release.
 * 2. It does not set it while the other's flag is set. One that is set for longer than `patience` is passed over: a thread that is
 *    blocked, or whose connection is dead, cannot clear it. A renewal only lengthens, so two of them do no harm.
 * 3. The deputy writes the deadline before it clears its flag, and the main thread gives no row to another lease while that flag is set.
 *    So an answer never lengthens another lease than its own. Of a deputy that has ended the main thread clears the flag.
 * 4. A deadline is only ever raised.
 */

/** Where the cells of a row are, from its first one. */
const [WORD, DEADLINE, TTL, MAIN_BEGAN, DEPUTY_BEGAN] = [0, 1, 2, 3, 4];
const CELLS = 5;

const KEPT = 1;
const MAIN = 2;
const DEPUTY = 4;
const GONE = 8;
const RETIRED = 16;
const FLAGS = 31;
const GENERATION = 32;

/** How many rows a block of the table has. */
export const ROWS = 1024;

/** How long a renewal of the other thread is waited for, ms; and how long until a renewal that failed is tried again. */
export function patience(ttl: number): number {
    return Math.min(ttl / 10, 1000);
}

export class LeaseTable {
    private readonly _blocks: Int32Array[] = [];
    /** An instant of the last few days, on the main thread: cells are read by it, without a look at the clock. */
    private _lately = 0;

    /** How many rows it has. */
    get size(): number {
        return this._blocks.length * ROWS;
    }

    /** As `grow` was given them. */
    get blocks(): readonly SharedArrayBuffer[] {
        return this._blocks.map(({ buffer }) => buffer as SharedArrayBuffer);
    }

    /** Adds a block of rows that the other thread adds, too. */
    grow(block: SharedArrayBuffer): void {
        this._blocks.push(new Int32Array(block));
    }

    deadline(row: number): number {
        const cells = this._cells(row);
        if ((Atomics.load(cells, first(row) + WORD) & GONE) !== 0) return TAKEN;
        return instantOf(Atomics.load(cells, first(row) + DEADLINE), this._lately);
    }

    raise(row: number, deadline: number): void {
        const cells = this._cells(row);
        const at = first(row) + DEADLINE;
        const raised = Math.floor(deadline);
        for (let before = Atomics.load(cells, at); instantOf(before, raised) < raised;) {
            const seen = Atomics.compareExchange(cells, at, before, raised | 0);
            if (seen === before) return;
            before = seen;
        }
    }

    // What the main thread does.

    /** Gives the row to a lease. It must be free. */
    occupy(row: number, deadline: number): void {
        this._lately = deadline;
        const cells = this._cells(row);
        const generation = (Atomics.load(cells, first(row) + WORD) & ~FLAGS) + GENERATION;
        Atomics.store(cells, first(row) + DEADLINE, Math.floor(deadline) | 0);
        Atomics.store(cells, first(row) + WORD, generation | 0);
    }

    generation(row: number): number {
        return Atomics.load(this._cells(row), first(row) + WORD) & ~FLAGS;
    }

    /** Has the lease renewed from now on. @returns whether it was not before. */
    keep(row: number, ttl: number): boolean {
        const cells = this._cells(row);
        Atomics.store(cells, first(row) + TTL, ttl);
        return (Atomics.or(cells, first(row) + WORD, KEPT) & KEPT) === 0;
    }

    /** Has it renewed no more. */
    leave(row: number): void {
        Atomics.and(this._cells(row), first(row) + WORD, ~KEPT);
    }

    /** Begins a renewal of the main thread, if none of the deputy is in its way. @param anyway also beside one. */
    beginMain(row: number, now: number, anyway: boolean): boolean {
        this._lately = now;
        const cells = this._cells(row);
        for (;;) {
            const word = Atomics.load(cells, first(row) + WORD);
            const isBusy = (word & DEPUTY) !== 0 && now < this._began(row, DEPUTY_BEGAN, now) + patience(this.ttl(row));
            if (isBusy && !anyway) return false;
            Atomics.store(cells, first(row) + MAIN_BEGAN, Math.floor(now) | 0);
            if (Atomics.compareExchange(cells, first(row) + WORD, word, word | MAIN) === word) return true;
        }
    }

    /** The main thread's renewal was answered. */
    endMain(row: number): void {
        Atomics.and(this._cells(row), first(row) + WORD, ~MAIN);
    }

    /** The lease has ended. */
    retire(row: number): void {
        Atomics.or(this._cells(row), first(row) + WORD, RETIRED);
    }

    /** Whether a renewal of the deputy is under way: the row cannot be given to another lease. */
    isBusy(row: number): boolean {
        return (Atomics.load(this._cells(row), first(row) + WORD) & DEPUTY) !== 0;
    }

    /** The deputy has died: nothing of it is under way. */
    endDeputies(): void {
        for (let row = 0; row < this.size; row += 1) Atomics.and(this._cells(row), first(row) + WORD, ~DEPUTY);
    }

    // What the deputy does.

    /** Whether a lease that began in this generation has ended. */
    isOver(row: number, generation: number): boolean {
        const word = Atomics.load(this._cells(row), first(row) + WORD);
        return (word & ~FLAGS) !== generation || (word & (RETIRED | GONE)) !== 0;
    }

    ttl(row: number): number {
        return Atomics.load(this._cells(row), first(row) + TTL);
    }

    /**
     * When the deputy is to renew: when half of the ttl is left. The main thread would have done it before; Infinity: not at all, as far
     * as known.
     */
    due(row: number, now: number): number {
        const cells = this._cells(row);
        const word = Atomics.load(cells, first(row) + WORD);
        if ((word & (KEPT | DEPUTY | GONE | RETIRED)) !== KEPT) return Infinity;
        const deadline = instantOf(Atomics.load(cells, first(row) + DEADLINE), now);
        // What has run out was lost.
        if (deadline <= now) return Infinity;
        const ttl = Atomics.load(cells, first(row) + TTL);
        const last = this._began(row, DEPUTY_BEGAN, now);
        const began = (word & MAIN) === 0 ? last : Math.max(last, this._began(row, MAIN_BEGAN, now));
        return Math.max(deadline - ttl / 2, began + patience(ttl));
    }

    /** Begins a renewal of the deputy, if the lease is of that generation, to be renewed, and nobody is at it. */
    beginDeputy(row: number, generation: number, now: number): boolean {
        const cells = this._cells(row);
        const word = Atomics.load(cells, first(row) + WORD);
        if ((word & ~FLAGS) !== generation || (word & (KEPT | DEPUTY | GONE | RETIRED)) !== KEPT) return false;
        if (this.due(row, now) > now) return false;
        // First: the main thread measures by it how long the flag is set.
        Atomics.store(cells, first(row) + DEPUTY_BEGAN, Math.floor(now) | 0);
        return Atomics.compareExchange(cells, first(row) + WORD, word, word | DEPUTY) === word;
    }

    /** The deputy's renewal was answered, and the deadline raised. @param gone the key is not ours any more. */
    endDeputy(row: number, gone: boolean): void {
        const cells = this._cells(row);
        if (gone) Atomics.or(cells, first(row) + WORD, GONE);
        Atomics.and(cells, first(row) + WORD, ~DEPUTY);
    }

    private _began(row: number, cell: number, now: number): number {
        // It was in the past, whatever the cell of a row that was never used may mean.
        return Math.min(instantOf(Atomics.load(this._cells(row), first(row) + cell), now), now);
    }

    private _cells(row: number): Int32Array {
        const cells = this._blocks[Math.floor(row / ROWS)];
        if (cells === undefined) throw new RangeError(`There is no row ${row}.`);
        return cells;
    }
}

/** A block of rows, none of which is taken. */
export function newBlock(): SharedArrayBuffer {
    return new SharedArrayBuffer(ROWS * CELLS * Int32Array.BYTES_PER_ELEMENT);
}

/** The instant whose low 32 bits a cell has: the one within 24 days of `now`. */
function instantOf(cell: number, now: number): number {
    const whole = Math.floor(now);
    return whole + ((cell - whole) | 0);
}

function first(row: number): number {
    return (row % ROWS) * CELLS;
}
