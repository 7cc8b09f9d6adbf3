import { LockError } from '../../port/errors';
import type { Clock, Timer } from '../../time/Clock';
import type { ServerFacts } from '../connection/ServerFacts';

/** `start` names one start of the server: its run_id. */
type State =
    | { readonly kind: 'unseen' }
    /** Its uptime tells when it votes. */
    | { readonly kind: 'seen'; readonly start: string | undefined }
    /** It was restarted while we watched it. */
    | { readonly kind: 'waiting'; readonly start: string | undefined; readonly until: number; readonly timer: Timer }
    | { readonly kind: 'over'; readonly start: string | undefined };

/**
 * When a node of a quorum may vote. A restarted node has forgotten its votes. So it waits until every lease is over that it
 * may have voted for.
 *
 * After a restart that we see, our own timer counts that time. The uptime that the server tells does not do: it is the
 * difference of two readings of a wall clock. If that clock was set forward, the node would vote too early, and there could
 * be two majorities.
 */
export class VotingTime {
    private _state: State = { kind: 'unseen' };

    /** @param _longestTtl ms. */
    constructor(
        private readonly _longestTtl: number,
        private readonly _clock: Clock,
    ) {}

    /** How long until the server votes, ms. 0: it votes. @throws LockError NO_PERMISSION */
    left({ runId: start, uptime }: Pick<ServerFacts, 'runId' | 'uptime'>): number {
        if (uptime === undefined) {
            const text = 'The Redis user may not run info, so it is unknown since when the server runs.';
            throw new LockError('NO_PERMISSION', text);
        }
        if (this._state.kind === 'unseen') this._state = { kind: 'seen', start };
        else if (this._state.start !== start) this._wait(start);
        switch (this._state.kind) {
            case 'waiting':
                return Math.max(this._state.until - this._clock.now(), 1);
            case 'seen':
                // The uptime is in whole seconds.
                return Math.max(this._longestTtl - (uptime - 1000), 0);
            case 'over':
                return 0;
        }
    }

    close(): void {
        if (this._state.kind === 'waiting') this._state.timer.cancel();
    }

    private _wait(start: string | undefined): void {
        this.close();
        const timer = this._clock.timer(this._longestTtl, () => (this._state = { kind: 'over', start }));
        timer.keepsAlive(false);
        this._state = { kind: 'waiting', start, until: this._clock.now() + this._longestTtl, timer };
    }
}
