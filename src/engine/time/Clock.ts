import { HostTimer, monotonicNow, wallNow } from './hostTime';
import type { Timer } from './hostTime';

export { LONGEST } from './hostTime';
export type { Timer } from './hostTime';

/**
 * The only source of time in the engine.
 *
 * Durations are milliseconds everywhere and carry no suffix; an instant is a number on the scale of {@link Clock.now}
 * and means nothing outside this process.
 */
export interface Clock {
    /** The present instant. Never goes back; runs on while the machine sleeps. */
    now(): number;
    /** Runs `action` once, `delay` from now. */
    timer(delay: number, action: () => void): Timer;
}

/** How far the wall clock must run ahead of the monotonic one before we take it that the machine was asleep. */
const ASLEEP = 50;

/**
 * The monotonic clock of the process, plus the time the machine was suspended, which that clock does not count on Linux
 * and which a server elsewhere does count. A wall clock that is set forward looks the same and is treated the same: leases
 * end early, never late. One that is set back changes nothing.
 */
export class SystemClock implements Clock {
    private _slept = 0;
    private _ahead: number;

    constructor(
        private readonly _monotonic: () => number = monotonicNow,
        private readonly _wall: () => number = wallNow,
    ) {
        this._ahead = this._wall() - this._monotonic();
    }

    now(): number {
        const monotonic = this._monotonic();
        const wall = this._wall();
        if (wall - monotonic - this._ahead > ASLEEP) return this._afterSleep(wall);
        this._ahead = Math.min(this._ahead, wall - monotonic);
        return monotonic + this._slept;
    }

    timer(delay: number, action: () => void): Timer {
        return new HostTimer(delay, action);
    }

    /**
     * The process may have stood still between its two readings, which is no sleep of the machine. So the monotonic clock is
     * read again, after the wall clock.
     */
    private _afterSleep(wall: number): number {
        const monotonic = this._monotonic();
        const ahead = wall - monotonic;
        if (ahead - this._ahead > ASLEEP) {
            this._slept += ahead - this._ahead;
            this._ahead = ahead;
        }
        return monotonic + this._slept;
    }
}

/** That of this process. There is one for all: what is measured by several parts, or by several components, is to agree. */
export const systemClock: Clock = new SystemClock();
