import type { Redis } from 'ioredis';
import { asError } from '../../port/errors';
import type { Clock, Timer } from '../../time/Clock';
import { Backoff } from './Backoff';
import { end } from './ending';
import { ownHandshake } from './Handshake';

/** Makes the next connection of a client. The client's own events tell what becomes of it. */
export interface ClientLink {
    /** Makes the first connection. If the client is connected already, tells so. */
    start(): void;
    /** This connection is not the right one: tries another one after a pause. */
    renew(stream: Redis['stream'] | undefined): void;
    /** Ends a connection that may be dead without either end knowing it. */
    cut(stream: Redis['stream'] | undefined): void;
    /** The connection was of use: the pause before the next one is short again. */
    useful(): void;
    close(): Promise<void>;
}

export interface ClientLinkEvents {
    /** The client is connected already. */
    connected(): void;
    failed(error: Error): void;
}

/** In these states a client will say when it is ready. A fake client in tests has no status at all. */
const NOT_READY: ReadonlySet<string> = new Set(['wait', 'connecting', 'connect', 'reconnecting', 'close', 'end']);

/** Whether what is sent now goes out. ioredis says `ready` until it notices that its stream has ended. */
export function isWritable({ status, stream }: Redis): boolean {
    return status === 'ready' ? stream.writable && !stream.readableEnded : !NOT_READY.has(status);
}

/** Sets the credentials before each connection: they may have changed. If it fails, they stay as they are. */
export type Refresh = (client: Redis) => Promise<void>;

/** A client of our own. ioredis makes one connection at a time for it; this makes the next. */
export class OwnLink implements ClientLink {
    private readonly _backoff = new Backoff();
    private readonly _ended = (): void => this._later();
    private _timer: Timer | undefined;
    private _closed = false;

    constructor(
        private readonly _client: Redis,
        private readonly _refresh: Refresh | undefined,
        private readonly _patience: number,
        private readonly _clock: Clock,
        private readonly _events: ClientLinkEvents,
    ) {
        // ioredis would make the next connection at once: for it, a connection that was accepted is a good one.
        _client.options.retryStrategy = null;
        ownHandshake(_client, (error) => _events.failed(error));
    }

    start(): void {
        this._client.on('end', this._ended);
        void this._connect();
    }

    renew(stream: Redis['stream'] | undefined): void {
        // Disconnected politely: commands under way may still be answered.
        if (this._client.stream === stream && !stream?.destroyed) this._client.disconnect();
    }

    cut(stream: Redis['stream'] | undefined): void {
        stream?.destroy();
    }

    useful(): void {
        this._backoff.reset();
    }

    async close(): Promise<void> {
        this._closed = true;
        this._timer?.cancel();
        await end(this._client, this._patience, this._clock);
        this._client.off('end', this._ended);
    }

    private _later(): void {
        if (this._closed) return;
        this._timer?.cancel();
        this._timer = this._clock.timer(this._backoff.next(), () => void this._connect());
    }

    /** Never rejects. */
    private async _connect(): Promise<void> {
        if (this._refresh !== undefined) await this._within(this._refresh(this._client));
        if (this._closed) return;
        await this._client.connect().catch((error: unknown) => this._events.failed(asError(error)));
    }

    /** Settles with the promise, or when the patience is over. Never rejects. */
    private _within(promise: Promise<void>): Promise<void> {
        return new Promise((resolve) => {
            const timer = this._clock.timer(this._patience, resolve);
            promise
                .catch(() => undefined)
                .finally(() => {
                    timer.cancel();
                    resolve();
                });
        });
    }
}

/** A client of somebody else, who alone connects and ends it. */
export class BorrowedLink implements ClientLink {
    private readonly _backoff = new Backoff();
    private _timer: Timer | undefined;

    constructor(
        private readonly _client: Redis,
        private readonly _clock: Clock,
        private readonly _events: ClientLinkEvents,
    ) {}

    start(): void {
        if (this._client.status === 'wait') {
            this._client.connect().catch((error: unknown) => this._events.failed(asError(error)));
        } else if (isWritable(this._client)) this._events.connected();
    }

    renew(stream: Redis['stream'] | undefined): void {
        this._timer?.cancel();
        this._timer = this._clock.timer(this._backoff.next(), () => {
            if (this._client.stream === stream && isWritable(this._client)) this._events.connected();
        });
    }

    cut(): void {
        // Its owner knows better.
    }

    useful(): void {
        this._backoff.reset();
    }

    close(): Promise<void> {
        this._timer?.cancel();
        return Promise.resolve();
    }
}
