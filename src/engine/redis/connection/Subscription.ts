import type { Redis } from 'ioredis';
import type { Clock, Timer } from '../../time/Clock';
import { LockError } from '../../port/errors';
import { end } from './RedisConnection';
import type { Greeting, RedisConnection } from './RedisConnection';
import { isReply } from './replies';

/** How waiters learn of their turn: by messages, by asking, or by messages where the server has them. */
export type WaitMode = 'auto' | 'queue' | 'poll';

export interface SubscriptionOptions {
    readonly wait: WaitMode;
    /** No call takes longer, ms. */
    readonly commandTimeout: number;
    /** The connection is used for commands only: others listen to what its client hears. */
    readonly borrowed?: boolean | undefined;
    /** In a cluster: a hash tag whose slot the server has, so that messages need not go to all servers. */
    readonly tag?: (() => string | undefined) | undefined;
}

/** A connection that only listens is asked so often whether it is alive, ms. */
const PULSE = 10_000;

/** How much of the server's id tells one start of it from another. */
const ID_LENGTH = 12;

/**
 * The channel on which a server wakes us: `redis-lock:@<start of the server>:<ours>`, so that a script can tell whether
 * nobody listens because we are gone or because we listened to another server (see `reaches` in scripts/grant.ts). In a
 * cluster `{tag}` follows: it is a sharded channel of the tag's slot then, and an ordinary one too.
 */
export class Subscription {
    private _channel = '';
    private _subscriber: Redis | undefined;
    private _pulse: Timer | undefined;
    private _closed = false;

    /**
     * @param _ours    tells us from all others that listen.
     * @param _onMessage   is told of each message.
     * @param _renewed messages may have been lost.
     */
    constructor(
        private readonly _connection: RedisConnection,
        private readonly _ours: string,
        private readonly _options: SubscriptionOptions,
        private readonly _clock: Clock,
        private readonly _onMessage: (text: string) => void,
        private readonly _renewed: () => void,
    ) {}

    /** Where messages reach us; empty: nowhere. */
    get channel(): string {
        return this._channel;
    }

    /**
     * Subscribes on a new connection to the server.
     *
     * @throws what kept it from finding out, or, when `wait` is queue, why it must not.
     */
    async begin(server: Greeting): Promise<void> {
        this._channel = '';
        if (this._options.wait === 'poll') return;
        const { client } = this._connection;
        const apart = server.protocol === 2 || this._options.borrowed === true;
        try {
            const listener = apart ? await this._own() : client;
            const { channel, sharded } = await this._name(server, listener);
            const refused = await proven(
                () => this._listen(listener, channel),
                () => client.publish(channel, ''),
            );
            if (refused === undefined) {
                this._channel = channel;
                if (apart) this._look(listener, channel, sharded);
                return;
            }
            await this._drop();
            if (this._options.wait === 'auto') return;
            const text = `options.wait is queue, but the server does not do publish/subscribe: ${refused}`;
            throw new LockError('NO_PERMISSION', text);
        } catch (error) {
            await this._drop();
            throw error;
        }
    }

    async close(): Promise<void> {
        this._closed = true;
        this._pulse?.cancel();
        await this._drop();
    }

    private async _drop(): Promise<void> {
        const subscriber = this._subscriber;
        this._subscriber = undefined;
        await end(subscriber);
    }

    /** With RESP2 a subscribed connection can do nothing else, so it is a second one. */
    private async _own(): Promise<Redis> {
        await this._drop();
        if (this._closed) throw new LockError('CLOSED', 'The lock was closed.');
        const subscriber = this._connection.duplicate();
        this._subscriber = subscriber;
        subscriber.on('error', () => undefined);
        await subscriber.connect();
        return subscriber;
    }

    /** Where the server has sharded channels, one that it owns. */
    private async _name(server: Greeting, listener: Redis): Promise<{ channel: string; sharded: boolean }> {
        const start = server.runId === undefined ? '' : `@${server.runId.slice(0, ID_LENGTH)}:`;
        const plain = `redis-lock:${start}${this._ours}`;
        const tag = this._options.tag?.();
        const channel = `${plain}{${tag}}`;
        if (tag === undefined) return { channel: plain, sharded: false };
        const refused = await proven(
            () => this._listenSharded(listener, channel),
            () => this._connection.client.spublish(channel, ''),
        );
        return refused === undefined ? { channel, sharded: true } : { channel: plain, sharded: false };
    }

    private async _listen(listener: Redis, channel: string): Promise<void> {
        listener.removeAllListeners('message');
        listener.on('message', (_channel: string, text: string) => this._onMessage(text));
        await listener.subscribe(channel);
    }

    private async _listenSharded(listener: Redis, channel: string): Promise<void> {
        listener.removeAllListeners('smessage').removeAllListeners('moved');
        listener.on('smessage', (_channel: string, text: string) => this._onMessage(text));
        // The slot of the channel went to another server.
        listener.on('moved', () => this._connection.reconnect());
        await listener.ssubscribe(channel);
    }

    /** A connection of its own may come and go by itself. */
    private _look(listener: Redis, channel: string, sharded: boolean): void {
        this._beat(listener);
        listener.on('ready', () => {
            const again = [listener.subscribe(channel)];
            if (sharded) again.push(listener.ssubscribe(channel));
            Promise.all(again).then(
                () => this._renewed(),
                (error: unknown) => {
                    // A slot that is not there any more will not come back: another channel is needed.
                    if (isReply(error)) this._connection.reconnect();
                    else listener.disconnect(true);
                },
            );
        });
    }

    /** Asks the subscriber for a sign of life now and then, and ends a connection that gives none. */
    private _beat(subscriber: Redis): void {
        this._pulse?.cancel();
        this._pulse = this._clock.timer(PULSE, () => {
            if (this._subscriber !== subscriber || this._closed) return;
            const stream = subscriber.stream;
            const answer = this._clock.timer(this._options.commandTimeout, () => stream.destroy());
            subscriber.ping().then(
                () => answer.cancel(),
                () => answer.cancel(),
            );
            this._beat(subscriber);
        });
    }
}

/** @returns why what is published is not heard; undefined: it is. */
async function proven(subscribe: () => Promise<unknown>, publish: () => Promise<unknown>): Promise<string | undefined> {
    try {
        await subscribe();
        return Number(await publish()) > 0 ? undefined : 'nobody hears what is published.';
    } catch (error) {
        if (isReply(error)) return error.message;
        throw error;
    }
}
