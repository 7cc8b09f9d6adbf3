import type { Clock } from '../time/Clock';
import { TimerHeap } from '../time/TimerHeap';
import type { Due } from '../time/TimerHeap';
import type { LockStore } from '../port/LockStore';

/** The server's clock and ours may differ a little in what a window is, ms. */
const MARGIN = 5;

interface ClaimTimeout extends Due {
    readonly key: string;
}

/**
 * Follows the hand-offs that this process has made: when the claim window of the last one of a key is over, the store is
 * asked to hand the key on again, which does nothing if it was claimed. Those who wait behind frozen processes are told of
 * nothing; so each of these costs them one window, however many there are.
 */
export class ClaimTimeouts {
    private readonly _byKey = new Map<string, ClaimTimeout>();
    private readonly _queue: TimerHeap<ClaimTimeout>;

    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
    ) {
        this._queue = new TimerHeap(_clock, (handOff) => this._due(handOff));
    }

    /** The key was handed on, to somebody who has `window` to claim it. */
    follow(key: string, window: number): void {
        const handOff = this._byKey.get(key) ?? { key, place: -1 };
        this._byKey.set(key, handOff);
        this._queue.set(handOff, this._clock.now() + window + MARGIN);
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
