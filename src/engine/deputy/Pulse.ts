import { HostTimer, processNow } from '../time/hostTime';
import type { Clock, Timer } from '../time/Clock';

/** Where the cells are: when the main thread was last seen, how far its clock is ahead of the process, how often the deputy was. */
const [MAIN, AHEAD, DEPUTY] = [0, 1, 2];
const CELLS = 3;

/** Two readings of clocks that lie further apart are no pair, ms. */
const TOGETHER = 1;

/** A difference of clocks that is less is one of rounding, ms. */
const ROUNDING = 2;

/**
 * Signs of life of two threads in shared memory, and the clock of the main thread, for its deputy. Instants are ms of the process, of
 * which a cell has the low 32 bits.
 */
export class Pulse {
    private readonly _cells: Int32Array;
    private _ahead: number | undefined;

    constructor(
        memory = new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT),
        private readonly _now: () => number = processNow,
    ) {
        this._cells = new Int32Array(memory);
    }

    get memory(): SharedArrayBuffer {
        return this._cells.buffer as SharedArrayBuffer;
    }

    /** The main thread lives, and so its clock is known. */
    beat(clock: Clock): void {
        const before = this._now();
        const time = clock.now();
        const now = this._now();
        const ahead = Math.floor(time - now);
        // It changes when the machine has slept. Between two readings that lie apart there was a pause, and no sleep of that length.
        const isNew = this._ahead === undefined || Math.abs(ahead - this._ahead) > ROUNDING;
        if (isNew && now - before <= TOGETHER) {
            this._ahead = ahead;
            Atomics.store(this._cells, AHEAD, ahead | 0);
        }
        Atomics.store(this._cells, MAIN, Math.floor(now) | 0);
    }

    beatOfDeputy(): void {
        Atomics.add(this._cells, DEPUTY, 1);
    }

    /** How long ago the main thread showed that it lives, ms. */
    get age(): number {
        return (Math.floor(this._now()) - Atomics.load(this._cells, MAIN)) | 0;
    }

    /** How often the deputy has shown that it lives. */
    get beatsOfDeputy(): number {
        return Atomics.load(this._cells, DEPUTY);
    }

    /** The present instant of the main thread's clock, or up to 2 ms before it; further before it, when the machine has just slept. */
    now(): number {
        return this._now() + Atomics.load(this._cells, AHEAD);
    }
}

/**
 * The main thread's clock, as its deputy reads it. It notices no sleep of the machine by itself: then a deadline that the deputy writes is
 * too early, and never too late.
 */
export class PulseClock implements Clock {
    constructor(private readonly _pulse: Pulse) {}

    now(): number {
        return this._pulse.now();
    }

    timer(delay: number, action: () => void): Timer {
        return new HostTimer(delay, action);
    }
}
