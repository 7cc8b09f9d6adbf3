import type { Redis } from 'ioredis';
import type { Clock, Timer } from './Clock';
import { LockError, asError } from './errors';
import type { StoreListener } from './LockStore';
import { explain, isReply } from './replies';

/** How waiters learn of their turn: by messages, by asking, or by messages where the server has them. */
export type WaitMode = 'auto' | 'queue' | 'poll';

export interface RedisConnectionOptions {
    /** How long `open` may take, ms. */
    readonly connectTimeout: number;
    /** How long a command may take, ms, with the wait for a lost connection. */
    readonly commandTimeout: number;
    readonly wait: WaitMode;
}

type Events = Pick<StoreListener, 'reconnected' | 'disconnected' | 'warned'> & { message(text: string): void };

type State =
    | { readonly kind: 'new' }
    | { readonly kind: 'connecting'; readonly error: Error | undefined }
    | { readonly kind: 'ready' }
    | { readonly kind: 'closed' };

/** A connection that only listens is asked so often whether it is alive, ms. */
const PULSE = 10_000;

/** How long a server that answered, but not as we need it, is left alone, ms. */
const REFUSED_PAUSE = 250;

/** How long a server that is still loading its data is left alone, ms. */
const LOADING_PAUSE = 50;

/**
 * One server, and the channel on which it wakes us. Wraps an ioredis client that has no offline queue and resends nothing, so
 * that every command is sent once or is known not to have been sent.
 *
 * new → connecting ⇄ ready → closed. It is ready when commands work and the channel is subscribed.
 */
export class RedisConnection {
    private _state: State = { kind: 'new' };
    private _events: Events | undefined;
    private _subscriber: Redis | undefined;
    private _wakes = false;
    private _handshake: Timer | undefined;
    private _pulse: Timer | undefined;
    private readonly _arrivals = new Set<() => void>();

    /** @param client made with `lazyConnect`, not yet connected. */
    constructor(
        private readonly _client: Redis,
        readonly channel: string,
        private readonly _options: RedisConnectionOptions,
        private readonly _clock: Clock,
    ) {}

    /** Whether messages on the channel reach us. */
    get wakes(): boolean {
        return this._wakes;
    }

    /** Settles when the server answers, or when it is certain that it will not within the connect timeout. */
    async open(events: Events): Promise<void> {
        this._events = events;
        this._state = { kind: 'connecting', error: undefined };
        this._client.on('error', (error: Error) => this._failed(error));
        this._client.on('close', () => this._departed());
        this._client.on('connect', () => this._greeted());
        this._client.on('ready', () => void this._arrived());
        this._client.connect().catch((error: unknown) => this._failed(asError(error)));
        try {
            await this._ready(this._options.connectTimeout);
            await this._checkEviction();
        } catch (error) {
            await this.close();
            throw error;
        }
    }

    /** Ends the connection at once; settles when its sockets are closed. Commands under way fail. */
    async close(): Promise<void> {
        this._state = { kind: 'closed' };
        this._handshake?.cancel();
        this._pulse?.cancel();
        this._announce();
        await Promise.all([end(this._client), end(this._subscriber)]);
    }

    /**
     * Sends one command, after the connection is ready.
     *
     * @throws LockError; its `unknown` is true when the command was sent and no answer came.
     */
    async send<T>(command: (client: Redis, sentAt: number) => Promise<T>): Promise<T> {
        if (this._state.kind !== 'ready') await this._ready(this._options.commandTimeout);
        const sentAt = this._clock.now();
        const stream = this._client.stream;
        return new Promise((resolve, reject) => {
            const timer = this._clock.timer(this._options.commandTimeout, () => {
                // The link may be dead without either end knowing it; a new one tells.
                stream.destroy();
                reject(
                    new LockError(
                        'CONNECTION_FAILED',
                        `Redis did not answer within ${this._options.commandTimeout} ms.`,
                        {
                            unknown: true,
                        },
                    ),
                );
            });
            command(this._client, sentAt).then(
                (answer) => {
                    timer.cancel();
                    resolve(answer);
                },
                (error: unknown) => {
                    timer.cancel();
                    reject(
                        this._state.kind === 'closed' ? closed(error) : explain(error, { unknown: !isReply(error) }),
                    );
                },
            );
        });
    }

    /** A second client of the same server, not yet connected, for what RESP3 or ioredis does not do beside commands. */
    duplicate(): Redis {
        return this._client.duplicate({ protocol: 2, lazyConnect: true });
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
        const stream = this._client.stream;
        this._handshake?.cancel();
        this._handshake = this._clock.timer(this._options.commandTimeout, () => {
            if (this._state.kind === 'connecting') stream.destroy();
        });
    }

    private _departed(): void {
        this._handshake?.cancel();
        if (this._state.kind !== 'ready') return;
        const error = new LockError('CONNECTION_FAILED', 'The connection to Redis was lost.');
        this._state = { kind: 'connecting', error };
        this._events?.disconnected(error);
    }

    private async _arrived(): Promise<void> {
        const epoch = this._client.stream;
        try {
            const protocol = await this._greet();
            this._wakes = this._options.wait !== 'poll' && (await this._subscribe(protocol));
        } catch (error) {
            this._failed(asError(error));
            // It has to be tried again, but not at once: ioredis takes a connection that answers for a good one.
            await this._arrival(REFUSED_PAUSE);
            if (this._client.stream === epoch && this._state.kind === 'connecting') this._client.disconnect(true);
            return;
        }
        if (this._state.kind === 'closed' || this._client.stream !== epoch) return;
        this._handshake?.cancel();
        this._state = { kind: 'ready' };
        this._announce();
        this._events?.reconnected();
    }

    /** Waits until the server has its data; tells the protocol version. */
    private async _greet(): Promise<number> {
        for (;;) {
            try {
                await this._client.ping();
                break;
            } catch (error) {
                if (!asError(error).message.startsWith('LOADING') || this._state.kind === 'closed') throw error;
                await new Promise<void>((resolve) => this._clock.timer(LOADING_PAUSE, resolve));
            }
        }
        // ioredis goes on with database 0 where the server does not have the one that was asked for.
        const { db } = this._client.options;
        if (db) await this._client.select(db);
        // Servers before 6.0, and proxies, do not know HELLO and speak RESP2.
        const hello: unknown = await this._client.call('HELLO').catch(() => []);
        const facts = Array.isArray(hello) ? hello : [];
        return facts[facts.indexOf('proto') + 1] === 3 ? 3 : 2;
    }

    /** Subscribes to the channel and proves that publishing is allowed; false where the server refuses either. */
    private async _subscribe(protocol: number): Promise<boolean> {
        try {
            if (protocol === 3) {
                void end(this._subscriber);
                this._subscriber = undefined;
                await this._listen(this._client);
            } else {
                await this._subscribeApart();
            }
            await this._client.publish(this.channel, '');
            return true;
        } catch (error) {
            if (!isReply(error)) throw error;
            if (this._options.wait === 'queue') {
                const text = `options.wait is queue, but the server refuses publish/subscribe: ${error.message}`;
                throw new LockError('NO_PERMISSION', text, { cause: error });
            }
            void end(this._subscriber);
            this._subscriber = undefined;
            return false;
        }
    }

    /** With RESP2 a subscribed connection can do nothing else, so it is a second one. */
    private async _subscribeApart(): Promise<void> {
        if (this._subscriber !== undefined) return;
        const subscriber = this.duplicate();
        this._subscriber = subscriber;
        subscriber.on('error', () => undefined);
        try {
            await subscriber.connect();
            await this._listen(subscriber);
        } catch (error) {
            this._subscriber = undefined;
            void end(subscriber);
            throw error;
        }
        this._beat(subscriber);
        subscriber.on('ready', () => {
            this._listen(subscriber).then(
                () => this._events?.reconnected(),
                () => subscriber.disconnect(true),
            );
        });
    }

    /** Asks the subscriber for a sign of life now and then, and ends a connection that gives none. */
    private _beat(subscriber: Redis): void {
        this._pulse?.cancel();
        this._pulse = this._clock.timer(PULSE, () => {
            if (this._subscriber !== subscriber || this._state.kind === 'closed') return;
            const stream = subscriber.stream;
            const answer = this._clock.timer(this._options.commandTimeout, () => stream.destroy());
            subscriber.ping().then(
                () => answer.cancel(),
                () => answer.cancel(),
            );
            this._beat(subscriber);
        });
    }

    private async _listen(client: Redis): Promise<void> {
        client.removeAllListeners('message');
        client.on('message', (_channel: string, text: string) => this._events?.message(text));
        await client.subscribe(this.channel);
    }

    private async _checkEviction(): Promise<void> {
        const info = await this._client.info('memory').catch(() => '');
        const policy = /^maxmemory_policy:(allkeys-\S+|volatile-\S+)/m.exec(info)?.[1];
        if (policy !== undefined && /^maxmemory:[1-9]/m.test(info)) {
            this._events?.warned(`Redis may evict locks: maxmemory-policy is ${policy}; noeviction is safe.`);
        }
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

function closed(cause: unknown): LockError {
    return new LockError('CLOSED', 'The lock was closed.', { cause });
}

function unreachable(within: number, cause: Error | undefined): LockError {
    const why = cause === undefined ? 'no answer' : cause.message;
    return new LockError('CONNECTION_FAILED', `Redis could not be reached within ${within} ms: ${why}`, { cause });
}
