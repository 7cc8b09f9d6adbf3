import type { Clock } from '../../time/Clock';

/** Wakes those who wait for something to change. */
export class Changes {
    private readonly _waiting = new Set<() => void>();

    constructor(private readonly _clock: Clock) {}

    /** Settles with true at the next change, or with false after `within` ms. */
    next(within: number): Promise<boolean> {
        return new Promise((resolve) => {
            const settle = (hasChanged: boolean): void => {
                timer.cancel();
                this._waiting.delete(changed);
                resolve(hasChanged);
            };
            const changed = (): void => settle(true);
            const timer = this._clock.timer(within, () => settle(false));
            this._waiting.add(changed);
        });
    }

    /** Something has changed. */
    tell(): void {
        for (const changed of [...this._waiting]) changed();
    }
}
