import type { Clock, Timer } from '../time/Clock';
import { isTemporary } from '../port/errors';
import { promised } from '../port/LockStore';
import type { GiveUpRequest, LockStore, ReleaseAnswer, ReleaseRequest } from '../port/LockStore';

/** What must not be left behind: a key that may be ours, or a place in the queue. */
interface Leftover {
    /** Performs the step that removes it. */
    readonly remove: () => Promise<unknown>;
    /** By then it has run out by itself. */
    readonly until: number;
}

/** Pause between two tries while the store cannot be reached, ms. */
const PAUSE = 250;

/**
 * Gives back in the background what nobody waits for: attempts whose outcome is unknown, waiters that left, leases that
 * ended while the store was silent. Each is tried until it is answered or has run out by itself.
 */
export class GiveUps {
    private readonly _underWay = new Set<Promise<void>>();
    private _later: Leftover[] = [];
    private _timer: Timer | undefined;
    private _closed = false;

    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
    ) {}

    /** Gives up an acquisition. @param until by then it has run out by itself. */
    giveUp(request: GiveUpRequest, until: number): void {
        this._try({ remove: () => this._store.giveUp(request), until });
    }

    /** Gives a key back. @param until by then it has run out by itself. */
    release(request: ReleaseRequest, until: number): void {
        const remove = (): Promise<ReleaseAnswer> => promised((callback) => this._store.release(request, callback));
        this._try({ remove, until });
    }

    /** Settles when every try that is under way has been answered; tries no more after that. */
    async close(): Promise<void> {
        this._closed = true;
        this._timer?.cancel();
        this._later = [];
        await Promise.all(this._underWay);
    }

    private _try(leftover: Leftover): void {
        if (this._closed) return;
        const attempt = leftover.remove().then(
            () => undefined,
            (error: unknown) => this._failed(leftover, error),
        );
        this._underWay.add(attempt);
        void attempt.finally(() => this._underWay.delete(attempt));
    }

    private _failed(leftover: Leftover, error: unknown): void {
        if (this._closed || !isTemporary(error) || this._clock.now() + PAUSE >= leftover.until) return;
        this._later.push(leftover);
        this._timer ??= this._clock.timer(PAUSE, () => {
            this._timer = undefined;
            for (const one of this._later.splice(0)) this._try(one);
        });
    }
}
