import type { Redis } from 'ioredis';
import type { Clock, Timer } from '../../time/Clock';
import { TimerHeap } from '../../time/TimerHeap';
import type { Due } from '../../time/TimerHeap';
import { LockError, asError } from '../../port/errors';
import { explain, isReply } from './replies';
import { readFacts } from './ServerFacts';
import type { ServerFacts } from './ServerFacts';

export interface RedisConnectionOptions {
    /** How long `open` may take, ms. */
    readonly connectTimeout: number;
    /** How long a command may take, ms, with the wait for a lost connection. */
    readonly commandTimeout: number;
    /** An `open` that fails does not give up: the connection is tried for on. */
    readonly persistent?: boolean | undefined;
    /** The client is somebody else's: it is used, but neither disconnected nor closed. */
    readonly borrowed?: boolean | undefined;
}

/** What the owner of a connection does when its state changes. */
export interface ConnectionEvents {
    /**
     * A server was connected to: does what has to work before the connection is ready. What it throws is why it is not; it
     * is called again with the next attempt.
     */
    prepare?(server: Greeting): Promise<void>;
    /** The connection is ready, again or for the first time. */
    ready?(): void;
    lost?(error: Error): void;
}

/** What a server said first. */
export interface Greeting extends ServerFacts {
    /** Of the connection: with RESP3 it can be subscribed and do other things too. */
    readonly protocol: 2 | 3;
}

type State =
    | { readonly kind: 'new' }
    | { readonly kind: 'connecting'; readonly error: Error | undefined }
    | { readonly kind: 'ready' }
    | { readonly kind: 'closed' };

/** A command that is to be sent, and who is told of its answer. */
interface Posted<T> {
    readonly command: (client: Redis, sentAt: number) => Promise<T>;
    readonly answered: (answer: T, sentAt: number) => void;
    readonly failed: (error: Error) => void;
    readonly longer: number;
}

/** A command whose answer is due. */
interface Sent extends Due {
    overdue(): void;
}

/** Of a client that will say when it is ready. A fake that stands in for one in tests has no status at all. */
const NOT_READY: ReadonlySet<string> = new Set(['connecting', 'connect', 'reconnecting', 'close', 'end']);

/** How long a server that answered, but not as we need it, is left alone, ms. */
const REFUSED_PAUSE = 250;

/** How long a server that is still loading its data is left alone, ms. */
const LOADING_PAUSE = 50;

/**
 * Commands to one server. Wraps an ioredis client that has no offline queue and resends nothing, so that every command is
 * sent once or is known not to have been sent.
 *
 * new → connecting ⇄ ready → closed. It is ready when commands work and what its owner needs is prepared.
 */
export class RedisConnection {
    private _state: State = { kind: 'new' };
    private _events: ConnectionEvents | undefined;
    private _handshake: Timer | undefined;
    private readonly _arrivals = new Set<() => void>();
    private readonly _sent: TimerHeap<Sent>;
    private readonly _listeners: readonly [event: string, listener: (error: Error) => void][] = [
        ['error', (error) => this._failed(error)],
        ['close', () => this._departed()],
        ['connect', () => this._greeted()],
        ['ready', () => void this._arrived()],
        ['end', () => this._ended()],
    ];

    /** @param client made with `lazyConnect`, not yet connected; or one that is borrowed. */
    constructor(
        readonly client: Redis,
        private readonly _options: RedisConnectionOptions,
        private readonly _clock: Clock,
    ) {
        this._sent = new TimerHeap(_clock, (sent) => sent.overdue());
    }

    get isReady(): boolean {
        return this._state.kind === 'ready';
    }

    /** Settles when the server is ready, or when it is certain that it will not be within the connect timeout. */
    async open(events: ConnectionEvents): Promise<void> {
        this._events = events;
        this._state = { kind: 'connecting', error: undefined };
        for (const [event, listener] of this._listeners) this.client.on(event, listener);
        if (this.client.status === 'wait') {
            this.client.connect().catch((error: unknown) => this._failed(asError(error)));
        } else if (!NOT_READY.has(this.client.status)) void this._arrived();
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
        this._announce();
        if (this._options.borrowed !== true) {
            await end(this.client);
            this._sent.clear();
        }
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

    /** What `send` does, told without a promise: of the commands of locks there are very many. */
    post<T>(
        command: (client: Redis, sentAt: number) => Promise<T>,
        answered: (answer: T, sentAt: number) => void,
        failed: (error: Error) => void,
        longer = 0,
    ): void {
        const options = { command, answered, failed, longer };
        if (this._state.kind === 'ready') this._post(options);
        else this._ready(this._options.commandTimeout).then(() => this._post(options), failed);
    }

    /** Connects anew: the server is not, or no longer, what it has to be. */
    reconnect(): void {
        if (this._state.kind === 'ready') this._again(this.client.stream);
    }

    /** A second client of the same server, not yet connected, for what RESP3 or ioredis does not do beside commands. */
    duplicate(): Redis {
        return this.client.duplicate({
            protocol: 2,
            lazyConnect: true,
            enableOfflineQueue: false,
            autoResendUnfulfilledCommands: false,
            autoResubscribe: false,
            maxRetriesPerRequest: 0,
            retryStrategy: (attempt: number) => Math.min(attempt * 50, 1000),
        });
    }

    private _post<T>({ command, answered, failed, longer }: Posted<T>): void {
        const sentAt = this._clock.now();
        const stream = this.client.stream;
        const timeout = this._options.commandTimeout + longer;
        let open = true;
        const sent: Sent = {
            place: -1,
            overdue: () => {
                open = false;
                // The link may be dead without either end knowing it; a new one tells.
                this._cut(stream);
                const text = `Redis did not answer within ${timeout} ms.`;
                failed(new LockError('CONNECTION_FAILED', text, { unknown: true }));
            },
        };
        this._sent.set(sent, sentAt + timeout);
        begun(() => command(this.client, sentAt)).then(
            (answer) => {
                this._sent.delete(sent);
                if (open) answered(answer, sentAt);
            },
            (error: unknown) => {
                this._sent.delete(sent);
                const unknown = !isReply(error);
                if (open) failed(this._state.kind === 'closed' ? closed(error, unknown) : explain(error, { unknown }));
            },
        );
    }

    /** Waits until the connection is ready, an answer that no waiting will change, or the time is over. */
    private async _ready(within: number): Promise<void> {
        const started = this._clock.now();
        while (this._state.kind !== 'ready') {
            if (this._state.kind === 'closed') throw closed(undefined);
            const error = this._state.kind === 'connecting' ? this._state.error : undefined;
            if (error instanceof LockError && error.code !== 'CONNECTION_FAILED') throw error;
            const left = started + within - this._clock.now();
            if (left <= 0) throw unreachable(within, error);
            await this._arrival(left);
        }
    }

    /** Settles when the state changes, or after `within`. */
    private _arrival(within: number): Promise<void> {
        return new Promise((resolve) => {
            const done = (): void => {
                timer.cancel();
                this._arrivals.delete(done);
                resolve();
            };
            const timer = this._clock.timer(within, done);
            this._arrivals.add(done);
        });
    }

    private _announce(): void {
        for (const arrival of [...this._arrivals]) arrival();
    }

    private _failed(error: Error): void {
        if (this._state.kind === 'closed') return;
        const told = explain(error, { unknown: false });
        if (this._state.kind === 'connecting') {
            // ioredis says "Connection is closed." after it has said why.
            if (this._state.error !== undefined && error.message === 'Connection is closed.') return;
            this._state = { kind: 'connecting', error: told };
        }
        this._announce();
    }

    /** The socket is connected: a server that is frozen, or gone again, would leave it at that. */
    private _greeted(): void {
        const stream = this.client.stream;
        this._handshake?.cancel();
        this._handshake = this._clock.timer(this._options.commandTimeout, () => {
            if (this._state.kind === 'connecting') this._cut(stream);
        });
    }

    private _departed(): void {
        this._handshake?.cancel();
        if (this._state.kind !== 'ready') return;
        const error = new LockError('CONNECTION_FAILED', 'The connection to Redis was lost.');
        this._state = { kind: 'connecting', error };
        this._events?.lost?.(error);
    }

    /** ioredis does not go on when Sentinels are asked while a connection ends, or when its owner told it not to. */
    private _ended(): void {
        if (this._options.borrowed === true || this._state.kind === 'closed') return;
        this._clock.timer(REFUSED_PAUSE, () => {
            if (this._state.kind === 'closed' || this.client.status !== 'end') return;
            this.client.connect().catch((error: unknown) => this._failed(asError(error)));
        });
    }

    private async _arrived(): Promise<void> {
        const epoch = this.client.stream;
        try {
            const greeting = await this._greet();
            await this._events?.prepare?.(greeting);
        } catch (error) {
            this._failed(asError(error));
            // It has to be tried again, but not at once: ioredis takes a connection that answers for a good one.
            await this._arrival(REFUSED_PAUSE);
            if (this._state.kind === 'connecting') this._again(epoch);
            return;
        }
        if (this._state.kind === 'closed' || this.client.stream !== epoch) return;
        this._handshake?.cancel();
        this._state = { kind: 'ready' };
        this._announce();
        this._events?.ready?.();
    }

    /** Waits until the server has its data; tells what it is. */
    private async _greet(): Promise<Greeting> {
        for (;;) {
            try {
                await this.client.ping();
                break;
            } catch (error) {
                if (!asError(error).message.startsWith('LOADING') || this._state.kind === 'closed') throw error;
                await new Promise<void>((resolve) => this._clock.timer(LOADING_PAUSE, resolve));
            }
        }
        // ioredis goes on with database 0 where the server does not have the one that was asked for.
        const { db } = this.client.options;
        if (db && this._options.borrowed !== true) await this.client.select(db);
        // What the server refuses to tell is not known; without a connection there is nothing to go on with.
        const untold = (error: unknown): string => {
            if (NOT_READY.has(this.client.status)) throw error;
            return '';
        };
        const [info, hello] = await Promise.all([
            this.client.info().catch(untold),
            // Servers before 6.0, and proxies, do not know HELLO and speak RESP2.
            this._options.borrowed === true ? [] : this.client.call('HELLO').catch(untold),
        ]);
        const facts: readonly unknown[] = Array.isArray(hello) ? hello : [];
        return { ...readFacts(info), protocol: facts[facts.indexOf('proto') + 1] === 3 ? 3 : 2 };
    }

    /** Gives up a link that may be dead. */
    private _cut(stream: Redis['stream']): void {
        if (this._options.borrowed !== true) stream.destroy();
    }

    /** Connects anew, if that has not happened yet. */
    private _again(stream: Redis['stream']): void {
        if (this.client.stream !== stream) return;
        if (this._options.borrowed === true) {
            if (this._state.kind === 'connecting') void this._arrived();
        } else if (!stream.destroyed) this.client.disconnect(true);
    }
}

/** A client that is not ours may throw where it should reject. */
function begun<T>(command: () => Promise<T>): Promise<T> {
    try {
        return command();
    } catch (error) {
        return Promise.reject(asError(error));
    }
}

/** Disconnects a client; settles when its socket is closed. */
export function end(client: Redis | undefined): Promise<void> {
    return new Promise((resolve) => {
        if (client === undefined || client.status === 'end') {
            resolve();
            return;
        }
        // Between two connections there is nothing whose end could be told.
        const idle = client.status === 'reconnecting' || client.status === 'wait';
        client.once('end', resolve);
        client.disconnect();
        // Nothing is waited for, so the server need not be alive to say goodbye.
        client.stream?.destroy();
        if (idle) resolve();
    });
}

function closed(cause: unknown, unknown = false): LockError {
    return new LockError('CLOSED', 'The lock was closed.', { cause, unknown });
}

function unreachable(within: number, cause: Error | undefined): LockError {
    const why = cause === undefined ? 'no answer' : cause.message;
    return new LockError('CONNECTION_FAILED', `Redis could not be reached within ${within} ms: ${why}`, { cause });
}
