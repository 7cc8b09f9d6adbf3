import type { Clock, Timer } from '../../time/Clock';

/** A connection that is back within this time was no outage, ms. Some servers close idle connections. */
const GRACE = 1000;

/** A server that refused to work is well again after this time without a refusal, ms. */
const QUIET = 5000;

export interface ServerHealthEvents {
    began(error: Error): void;
    /** @param lasted ms. */
    ended(lasted: number): void;
}

/** `unsure`: the connection ended, and may be back at once. `on`: it was told; `refusedAt`: when the server last refused. */
type State =
    | { readonly kind: 'none' }
    | { readonly kind: 'unsure'; readonly since: number; readonly timer: Timer }
    | { readonly kind: 'on'; readonly since: number; readonly refusedAt: number };

/** Whether a server is of use. Each outage is told once when it begins, with the cause, and once when it is over. */
export class ServerHealth {
    private _state: State = { kind: 'none' };

    constructor(
        private readonly _clock: Clock,
        private readonly _events: ServerHealthEvents,
    ) {}

    /** The connection ended. */
    lost(error: Error): void {
        if (this._state.kind !== 'none') return;
        const timer = this._clock.timer(GRACE, () => this._begin(error));
        this._state = { kind: 'unsure', since: this._clock.now(), timer };
    }

    /** No connection could be made. */
    failed(error: Error): void {
        if (this._state.kind !== 'on') this._begin(error);
    }

    /** The server is connected and refused to work. */
    refused(error: Error): void {
        this.failed(error);
        if (this._state.kind === 'on') this._state = { ...this._state, refusedAt: this._clock.now() };
    }

    /** The server is connected, or did some work. */
    well(): void {
        if (this._state.kind === 'none') return;
        const { kind, since } = this._state;
        const now = this._clock.now();
        if (this._state.kind === 'on' && now - this._state.refusedAt < QUIET) return;
        this.close();
        if (kind === 'on') this._events.ended(now - since);
    }

    close(): void {
        if (this._state.kind === 'unsure') this._state.timer.cancel();
        this._state = { kind: 'none' };
    }

    private _begin(error: Error): void {
        const since = this._state.kind === 'none' ? this._clock.now() : this._state.since;
        this.close();
        this._state = { kind: 'on', since, refusedAt: -Infinity };
        this._events.began(error);
    }
}
