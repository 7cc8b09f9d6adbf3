// The host's functions of time are taken once, when this file is loaded. Users fake them in their tests (jest, vitest, sinon).
// Redis stays in real time then, so our timers have to stay there, too.
// Where they are fakes already when this file is loaded, each timer moves to the real ones as soon as these are back.

/** Set to fire once. */
export interface Timer {
    cancel(): void;
    /** From now on it keeps the process alive, as every new one does, or it does not. */
    keepsAlive(whether: boolean): void;
}

type Timers = Pick<typeof globalThis, 'setTimeout' | 'clearTimeout' | 'setImmediate' | 'clearImmediate'>;

/** The longest time that a timer, or an expiry, can be set to, ms: a larger delay makes Node.js fire at once. */
export const LONGEST = 2 ** 31 - 1;

/** A timer that is later than this shows that the event loop was blocked, ms. */
const LATE = 5;

const DONE = Promise.resolve();

/** Undefined as long as only fakes are there. */
let timers = realTimers();
const faked = timers === undefined;
/** Timers that were set on fakes. */
const stranded = new Set<HostTimer>();

const { nextTick } = process as { readonly nextTick: (run: () => void) => void };
const nextTickFaked = isFake(nextTick);

/** ms; never goes back; stands still while the machine sleeps. */
export const monotonicNow: () => number = faked ? uptime : performance.now.bind(performance);

/** ms; runs on while the machine sleeps, and goes back when somebody sets it back. */
export const wallNow: () => number = faked ? uptime : Date.now;

/** Runs `run` when the callback that is running now is over. It must not throw. */
export function inMicrotask(run: () => void): void {
    // queueMicrotask can be faked, a promise cannot.
    void DONE.then(run);
}

/** Runs `run` at the end of the turn: after every callback and every promise that is ready now. It must not throw. */
export function atEndOfTurn(run: () => void): void {
    void DONE.then(() => {
        if (nextTickFaked) void DONE.then(run);
        else nextTick(run);
    });
}

/**
 * Runs an action once, `delay` ms after it was made.
 *
 * After the event loop was blocked Node.js runs timers before it reads what arrived meanwhile. A time-out would then hit an
 * answer that lies in the socket. So a timer that is late waits until that was read: setImmediate runs after the poll phase.
 */
export class HostTimer implements Timer {
    private readonly _due: number;
    private _keepsAlive = true;
    private _cancel: (() => void) | undefined;
    private _handle: NodeJS.Timeout | undefined;

    constructor(
        delay: number,
        private readonly _action: () => void,
    ) {
        this._due = monotonicNow() + delay;
        this._set(delay);
        if (timers === undefined) stranded.add(this);
    }

    cancel(): void {
        this._cancel?.();
        stranded.delete(this);
    }

    keepsAlive(whether: boolean): void {
        this._keepsAlive = whether;
        if (whether) this._handle?.ref();
        else this._handle?.unref();
    }

    /** Moves to the real functions. */
    move(): void {
        this._cancel?.();
        this._set(this._due - monotonicNow());
        this.keepsAlive(this._keepsAlive);
    }

    private _set(delay: number): void {
        const { setTimeout, clearTimeout, setImmediate, clearImmediate } = timers ?? globalThis;
        const expired = (): void => {
            if (monotonicNow() - this._due <= LATE) {
                this._fire();
                return;
            }
            const reading = setImmediate(() => this._fire());
            this._cancel = () => clearImmediate(reading);
        };
        const handle = setTimeout(expired, Math.min(Math.max(delay, 0), LONGEST));
        this._handle = handle;
        this._cancel = () => clearTimeout(handle);
    }

    private _fire(): void {
        stranded.delete(this);
        this._action();
    }
}

/** ms since the process began: the same for all of its threads. Nobody fakes it. Stands still while the machine sleeps. */
export function processNow(): number {
    return process.uptime() * 1000;
}

/** Takes three times as long as performance.now. */
function uptime(): number {
    if (timers === undefined && (timers = realTimers()) !== undefined) {
        for (const timer of stranded) timer.move();
        stranded.clear();
    }
    return processNow();
}

function realTimers(): Timers | undefined {
    const { setTimeout, clearTimeout, setImmediate, clearImmediate } = globalThis;
    return isFake(setTimeout) ? undefined : { setTimeout, clearTimeout, setImmediate, clearImmediate };
}

/** Sinon's fakes, which vitest and jest use too, have their clock; the old ones of jest are mocks. */
function isFake(timer: object): boolean {
    return 'clock' in timer || '_isMockFunction' in timer;
}
