import type { Redis } from 'ioredis';
import type { Clock, Timer } from '../../time/Clock';
import { LockError, asError, isTemporary } from '../../port/errors';
import { Changes } from './Changes';
import { BorrowedLink, OwnLink, isWritable } from './ClientLink';
import type { ClientLink, Refresh } from './ClientLink';
import { ConnectAttempt } from './ConnectAttempt';
import type { ConnectionEvents } from './ConnectionEvents';
import { greet } from './Greeting';
import { secondClient, secondRefresh } from './secondClient';
import { ServerHealth } from './ServerHealth';
import { SentCommands, closed, later } from './SentCommands';

export interface RedisConnectionOptions {
    /** How long `open` may take, ms. */
    readonly connectTimeout: number;
    /** How long a command may take, ms, with the wait for a lost connection. */
    readonly commandTimeout: number;
    /** After an `open` that failed, it goes on trying to connect. */
    readonly persistent?: boolean | undefined;
    /** The client is somebody else's: it is used, but neither disconnected nor closed. */
    readonly borrowed?: boolean | undefined;
    /** Of a client of our own. */
    readonly refresh?: Refresh | undefined;
}

type State =
    | { readonly kind: 'new' }
    | { readonly kind: 'connecting'; readonly error: LockError | undefined }
    | { readonly kind: 'ready'; readonly since: number }
    | { readonly kind: 'closed' };

/** A connection that lasted this long was of use, ms: the pauses between attempts begin anew. */
const STABLE = 5000;

/**
 * Commands to one server. Wraps an ioredis client that has no offline queue and resends nothing, so that every command is
 * sent once or is known not to have been sent.
 *
 * new → connecting ⇄ ready → closed. It is ready when commands work and what its owner needs is prepared.
 *
 * No failure is told in the turn of the event loop in which its command was asked for: a caller that tries again at once
 * would keep the loop from mending the connection.
 */
export class RedisConnection {
    private _state: State = { kind: 'new' };
    private _events: ConnectionEvents | undefined;
    private _handshake: Timer | undefined;
    /** How many attempts to connect failed: tells a failure of this wait from an older one. */
    private _failures = 0;
    private _opened = false;
    private readonly _link: ClientLink;
    private readonly _health: ServerHealth;
    private readonly _attempt: ConnectAttempt;
    private readonly _changes: Changes;
    private readonly _sent: SentCommands;
    private readonly _listeners: readonly [event: string, listener: (error: Error) => void][] = [
        ['connecting', () => this._attempt.started()],
        ['error', (error) => this._failed(error)],
        ['close', () => this._departed()],
        ['connect', () => this._connected()],
        ['ready', () => void this._arrived()],
        ['end', () => this._changes.tell()],
    ];

    /** @param client made with `lazyConnect`, not yet connected; or one that is borrowed. */
    constructor(
        readonly client: Redis,
        private readonly _options: RedisConnectionOptions,
        private readonly _clock: Clock,
    ) {
        this._attempt = new ConnectAttempt(client);
        this._changes = new Changes(_clock);
        const events = { connected: () => void this._arrived(), failed: (error: Error) => this._failed(error) };
        const { borrowed, commandTimeout, refresh } = _options;
        this._link =
            borrowed === true
                ? new BorrowedLink(client, _clock, events)
                : new OwnLink(client, refresh, commandTimeout, _clock, events);
        const isClosed = (): boolean => this._state.kind === 'closed';
        this._sent = new SentCommands(client, this._link, commandTimeout, _clock, isClosed);
        this._health = new ServerHealth(_clock, {
            began: (error) => this._events?.lost?.(error),
            ended: (lasted) => this._events?.recovered?.(lasted),
        });
    }

    get isReady(): boolean {
        return this._state.kind === 'ready';
    }

    /** Settles when the server is ready, or when it is certain that it will not be within the connect timeout. */
    async open(events: ConnectionEvents): Promise<void> {
        this._events = events;
        this._state = { kind: 'connecting', error: undefined };
        for (const [event, listener] of this._listeners) this.client.on(event, listener);
        this._link.start();
        try {
            await this._ready(this._options.connectTimeout);
        } catch (error) {
            if (this._options.persistent !== true) await this.close();
            throw error;
        }
    }

    /** Ends the connection at once; settles when its socket is closed. Commands under way fail. */
    async close(): Promise<void> {
        this._state = { kind: 'closed' };
        this._handshake?.cancel();
        this._health.close();
        this._changes.tell();
        await this._link.close();
        if (this._options.borrowed !== true) this._sent.clear();
        for (const [event, listener] of this._listeners) this.client.off(event, listener);
    }

    /**
     * Sends one command, after the connection is ready.
     *
     * @param longer how much longer than other commands this one may take, ms.
     * @throws LockError; its `unknown` is true when the command was sent and no answer came.
     */
    send<T>(command: (client: Redis, sentAt: number) => Promise<T>, longer = 0): Promise<T> {
        return new Promise((resolve, reject) => this.post(command, resolve, reject, longer));
    }

    /** What `send` does, by callbacks: a promise per layer dominated client CPU at 100 concurrent calls. */
    post<T>(
        command: (client: Redis, sentAt: number) => Promise<T>,
        answered: (answer: T, sentAt: number) => void,
        failed: (error: Error) => void,
        longer = 0,
    ): void {
        const posted = { command, answered, failed, longer };
        if (this._state.kind === 'ready' && isWritable(this.client)) this._sent.send(posted);
        else this._ready(this._options.commandTimeout).then(() => this._sent.send(posted), later(failed));
    }

    /** The server did some work for us. */
    useful(): void {
        this._link.useful();
        this._health.well();
    }

    /** The server is connected, and refuses to work. */
    refused(error: LockError): void {
        if (this._state.kind === 'ready') this._health.refused(error);
    }

    /** Connects anew: the server is not, or no longer, what it has to be. */
    reconnect(error: LockError): void {
        if (this._state.kind !== 'ready') return;
        const { stream } = this.client;
        this._departed(error);
        this._health.refused(error);
        this._failures += 1;
        this._link.renew(stream);
    }

    /** A second connection to the same server, not open, for what RESP3 or ioredis does not do beside commands. */
    second(connectTimeout = this._options.connectTimeout): RedisConnection {
        const refresh = secondRefresh(this.client, this._options.refresh);
        const options = { ...this._options, connectTimeout, borrowed: false, refresh };
        return new RedisConnection(secondClient(this.client), options, this._clock);
    }

    /** Waits until the connection is ready, or has failed for a lasting reason, or the time is over. */
    private async _ready(within: number): Promise<void> {
        const started = this._clock.now();
        const failures = this._failures;
        let left = within;
        for (;;) {
            if (this._state.kind === 'ready') {
                if (isWritable(this.client)) return;
                // Its stream was cut, and ioredis has not noticed.
                this._link.cut(this.client.stream);
                this._departed();
            }
            if (this._state.kind === 'closed') throw closed(undefined);
            if (this._options.borrowed === true && this.client.status === 'end') {
                throw new LockError('CONNECTION_FAILED', 'The client was ended by its owner.');
            }
            const error = this._state.kind === 'connecting' ? this._state.error : undefined;
            const lasting = error !== undefined && !isTemporary(error);
            if (lasting && (left <= 0 || this._failures > failures)) throw error;
            if (left <= 0) throw this._attempt.unreachable(within, error);
            // A timer that fires early is not started again: ioredis would end the attempt before it, and knows less of why.
            left = (await this._changes.next(left)) ? started + within - this._clock.now() : 0;
        }
    }

    private _failed(thrown: Error): void {
        if (this._state.kind !== 'connecting') return;
        const error = this._attempt.failed(thrown, this._state.error);
        if (error === undefined) return;
        this._state = { kind: 'connecting', error };
        this._failures += 1;
        if (this._opened) this._health.failed(error);
        this._changes.tell();
    }

    private _connected(): void {
        this._attempt.connected();
        this._greeted();
    }

    /** The handshake made progress. If the server makes no more of it in time, the link is cut. */
    private _greeted(longer = 0): void {
        const stream = this.client.stream;
        this._handshake?.cancel();
        this._handshake = this._clock.timer(this._options.commandTimeout + longer, () => {
            if (this._state.kind === 'connecting') this._link.cut(stream);
        });
    }

    private _departed(error = new LockError('CONNECTION_FAILED', 'The connection to Redis was lost.')): void {
        this._handshake?.cancel();
        if (this._state.kind !== 'ready') return;
        if (this._clock.now() - this._state.since >= STABLE) this._link.useful();
        this._state = { kind: 'connecting', error };
        this._health.lost(error);
        this._events?.departed?.();
    }

    private async _arrived(): Promise<void> {
        const { stream } = this.client;
        this._attempt.arrived();
        try {
            const { borrowed = false } = this._options;
            const loading = (error: Error): boolean => this._loading(error);
            const greeting = await greet(this.client, { borrowed, loading }, this._clock);
            this._greeted(this._options.connectTimeout);
            await this._events?.prepare?.(greeting);
        } catch (error) {
            this._failed(asError(error));
            if (this._state.kind === 'connecting') this._link.renew(stream);
            return;
        }
        if (this._state.kind !== 'connecting' || this.client.stream !== stream || !isWritable(this.client)) return;
        this._handshake?.cancel();
        this._state = { kind: 'ready', since: this._clock.now() };
        this._opened = true;
        this._health.well();
        this._changes.tell();
        this._events?.ready?.();
    }

    private _loading(error: Error): boolean {
        if (this._state.kind !== 'connecting') return false;
        this._failed(error);
        // It is alive.
        this._greeted();
        return true;
    }
}
