import type { Redis } from 'ioredis';
import type { Clock, Timer } from '../../time/Clock';
import { LockError, isTemporary } from '../../port/errors';
import { Backoff } from './Backoff';
import { listen, listenAgain } from './channel';
import type { Channel } from './channel';
import type { Greeting } from './Greeting';
import type { RedisConnection } from './RedisConnection';
import { explain } from './replies';

/** How waiters learn of their turn. queue: by messages. poll: by asking. auto: by messages, or by asking where there are none. */
export type WaitMode = 'auto' | 'queue' | 'poll';

export interface SubscriptionOptions {
    readonly wait: WaitMode;
    /** How long the first connection may take, ms. */
    readonly connectTimeout: number;
    /** The client is somebody else's: it is used for commands, and a second one listens. */
    readonly borrowed?: boolean | undefined;
    /** In a cluster: a hash tag whose slot the server has, so that messages need not go to all servers. */
    readonly tag?: (() => string | undefined) | undefined;
}

export interface SubscriptionEvents {
    message(text: string): void;
    /** Messages reach us on a new channel, or may have been lost. */
    renewed(): void;
    /** Messages do not reach us: waiters have to poll. */
    silent(error: LockError): void;
    /** Messages reach us again. */
    heard(): void;
}

/** A connection that only listens is asked at this interval whether it is alive, ms. */
const PULSE = 10_000;

/** The longest pause before subscribing is retried, ms. */
const LONGEST_PAUSE = 30_000;

const CLOSED = new LockError('CLOSED', 'The lock was closed.');

/**
 * The channel on which a server wakes us: `redis-lock:@<start of the server>:<ours>`, so that a script can tell whether
 * nobody listens because we are gone, or because we listened to another start of the server (see `reaches` in
 * scripts/include/messages.lua). In a cluster `{tag}` follows. It is a sharded channel of the tag's slot then, and an ordinary one too.
 *
 * While messages do not reach us, waiters poll, and subscribing is retried. It is not retried after a missing right or an
 * unknown command.
 */
export class Subscription {
    private _channel = '';
    private _server: Greeting | undefined;
    private _second: RedisConnection | undefined;
    private _timer: Timer | undefined;
    private _silent = false;
    private _attempts = 0;
    private _closed = false;
    private readonly _backoff = new Backoff(LONGEST_PAUSE);

    /** @param _ours tells us from all others that listen. */
    constructor(
        private readonly _connection: RedisConnection,
        private readonly _ours: string,
        private readonly _options: SubscriptionOptions,
        private readonly _clock: Clock,
        private readonly _events: SubscriptionEvents,
    ) {}

    /** The channel on which messages reach us. Empty: none. */
    get channel(): string {
        return this._channel;
    }

    /**
     * Subscribes on a new connection to the server.
     *
     * @throws LockError what is wrong with the connection; if `wait` is queue, also why messages do not reach us.
     */
    async begin(server: Greeting): Promise<void> {
        this._server = server;
        if (this._options.wait === 'poll') return;
        const error = await this._subscribe(server);
        if (error === undefined) this._heard();
        else if (error.code === 'CLOSED') {
            if (this._closed) throw error;
        } else if (this._options.wait === 'queue') {
            const text = `options.wait is queue, but messages do not reach us: ${error.message}`;
            throw new LockError(error.code, text, { cause: error.cause });
        } else {
            if (error.code === 'CONNECTION_FAILED') {
                // Perhaps it was this connection that ended, at that command.
                await this._connection.client.ping().catch(() => {
                    throw new LockError(error.code, `${error.message} Set options.wait to poll if it does so again.`);
                });
            }
            this._fell(error);
        }
    }

    async close(): Promise<void> {
        this._closed = true;
        await this._drop();
    }

    private async _drop(): Promise<void> {
        this._timer?.cancel();
        this._channel = '';
        const second = this._second;
        this._second = undefined;
        await second?.close();
    }

    private _heard(): void {
        this._backoff.reset();
        if (!this._silent) return;
        this._silent = false;
        this._events.heard();
    }

    private _fell(error: LockError): void {
        this._channel = '';
        if (!this._silent) {
            this._silent = true;
            this._events.silent(error);
        }
        if (isTemporary(error)) this._timer = this._clock.timer(this._backoff.next(), () => void this._again());
    }

    /** Subscribes anew on the connection that there is. Never rejects. */
    private async _again(): Promise<void> {
        // A new connection is subscribed when it is made.
        if (this._closed || this._server === undefined || !this._connection.isReady) return;
        const error = await this._subscribe(this._server);
        if (this._closed || error?.code === 'CLOSED') return;
        if (error === undefined) this._heard();
        else this._fell(error);
        this._events.renewed();
    }

    /** @returns why messages do not reach us. CLOSED: a later attempt, or the end, has replaced this one. Never rejects. */
    private async _subscribe(server: Greeting): Promise<LockError | undefined> {
        this._attempts += 1;
        const attempt = this._attempts;
        const stale = (): boolean => this._closed || attempt !== this._attempts;
        let failure: LockError | undefined;
        try {
            await this._drop();
            // With RESP2 a subscribed connection can do nothing else, so a second one listens.
            const apart = server.protocol === 2 || this._options.borrowed === true;
            if (stale()) return CLOSED;
            if (apart) await this._open(server);
            else {
                const { name } = await this._listen(server, this._connection.client);
                if (!stale()) this._channel = name;
            }
        } catch (error) {
            failure = explain(error, {});
        }
        if (stale()) return CLOSED;
        if (failure !== undefined) await this._drop();
        return failure;
    }

    /** Listens on a second connection, which may come and go by itself. */
    private async _open(server: Greeting): Promise<void> {
        // The first one waits for it.
        const second = this._connection.second(this._options.connectTimeout / 2);
        this._second = second;
        let channel: Channel | undefined;
        await second.open({
            prepare: async () => {
                if (channel === undefined) channel = await this._listen(server, second.client);
                else await listenAgain(second.client, channel);
            },
            ready: () => {
                this._channel = channel?.name ?? '';
                if (this._silent) this._heard();
                this._events.renewed();
            },
            lost: (error) => this._lost(error),
        });
        this._beat(second);
    }

    private _lost(error: Error): void {
        const told = explain(error, {});
        this._channel = '';
        // The slot of the channel has left this server for good: another channel is needed.
        if (!isTemporary(told)) void this._again();
        else if (!this._silent) {
            this._silent = true;
            this._events.silent(told);
            this._events.renewed();
        }
    }

    private _listen(server: Greeting, listener: Redis): Promise<Channel> {
        const publisher = this._connection.client;
        const request = { listener, publisher, server, ours: this._ours, tag: this._options.tag?.() };
        return listen(request, { message: (text) => this._events.message(text), moved: () => void this._again() });
    }

    /** Pings the second connection now and then. If it does not answer, its command timeout ends it. */
    private _beat(second: RedisConnection): void {
        this._timer?.cancel();
        this._timer = this._clock.timer(PULSE, () => {
            if (this._second !== second || this._closed) return;
            if (second.isReady) second.send((client) => client.ping()).catch(() => undefined);
            this._beat(second);
        });
    }
}
