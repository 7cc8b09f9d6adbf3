import type { Clock } from '../time/Clock';
import { TimerHeap } from '../time/TimerHeap';
import type { Due } from '../time/TimerHeap';
import type { LockStore } from '../port/LockStore';

/** A window may be over this much later on the server than here, ms: asking too early would do nothing. */
const MARGIN = 5;

interface ClaimTimeout extends Due {
    readonly key: string;
}

/**
 * Follows the hand-offs that this process has made. When the claim window of the last one of a key is over, the store is asked to
 * hand the key on again, which does nothing if it was claimed. Nobody else would: a frozen process does not claim its key, and those
 * who wait behind it are told nothing. So each frozen waiter costs the others one window.
 */
export class ClaimTimeouts {
    private readonly _byKey = new Map<string, ClaimTimeout>();
    private readonly _queue: TimerHeap<ClaimTimeout>;

    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
    ) {
        this._queue = new TimerHeap(_clock, (timeout) => this._due(timeout));
    }

    /** The key was handed on, to somebody who has `window` to claim it. */
    follow(key: string, window: number): void {
        const timeout = this._byKey.get(key) ?? { key, place: -1 };
        this._byKey.set(key, timeout);
        this._queue.set(timeout, this._clock.now() + window + MARGIN);
    }

    close(): void {
        this._byKey.clear();
        this._queue.clear();
    }

    private _due({ key }: ClaimTimeout): void {
        this._byKey.delete(key);
        // Where this fails, those who wait look for themselves later.
        this._store.handOn(key).catch(() => undefined);
    }
}
