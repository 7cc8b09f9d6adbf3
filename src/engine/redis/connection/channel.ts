import type { Redis } from 'ioredis';
import { LockError } from '../../port/errors';
import { at } from './Greeting';
import type { Greeting } from './Greeting';
import { explain } from './replies';

/** Where messages reach us. */
export interface Channel {
    readonly name: string;
    readonly sharded: boolean;
}

export interface ChannelRequest {
    /** The connection that listens; and one that may publish, perhaps the same. */
    readonly listener: Redis;
    readonly publisher: Redis;
    readonly server: Greeting;
    /** Tells us from all others that listen. */
    readonly ours: string;
    /** In a cluster: a hash tag whose slot the server has. */
    readonly tag: string | undefined;
}

export interface ChannelEvents {
    message(text: string): void;
    /** The slot of the channel went to another server. */
    moved(): void;
}

/** How much of the server's id tells one start of it from another. */
const ID_LENGTH = 12;

/** Subscribes, and proves that what is published is heard. Where the server has sharded channels, one that it owns. */
export async function listen(request: ChannelRequest, events: ChannelEvents): Promise<Channel> {
    const { listener, ours, publisher, server, tag } = request;
    const start = server.runId === undefined ? '' : `@${server.runId.slice(0, ID_LENGTH)}:`;
    const plain = `redis-lock:${start}${ours}`;
    const sharded = tag !== undefined && (await listenSharded(request, events, `${plain}{${tag}}`));
    const name = sharded ? `${plain}{${tag}}` : plain;
    listener.removeAllListeners('message');
    listener.on('message', (_channel: string, text: string) => events.message(text));
    await at('SUBSCRIBE', listener.subscribe(name));
    if ((await at('PUBLISH', publisher.publish(name, ''))) === 0) {
        throw new LockError('SERVER_REFUSED', 'Nobody hears what is published.');
    }
    return { name, sharded };
}

/** @returns whether the server has sharded channels, and they reach us. */
async function listenSharded(
    { listener, publisher }: ChannelRequest,
    events: ChannelEvents,
    channel: string,
): Promise<boolean> {
    listener.removeAllListeners('smessage').removeAllListeners('moved');
    listener.on('smessage', (_channel: string, text: string) => events.message(text));
    listener.on('moved', () => events.moved());
    try {
        await at('SSUBSCRIBE', listener.ssubscribe(channel));
        return Number(await at('SPUBLISH', publisher.spublish(channel, ''))) > 0;
    } catch (error) {
        if (explain(error, {}).code === 'CONNECTION_FAILED') throw error;
        return false;
    }
}

/** Subscribes a new connection to the same channel. */
export async function listenAgain(listener: Redis, { name, sharded }: Channel): Promise<void> {
    const again = [listener.subscribe(name)];
    if (sharded) again.push(listener.ssubscribe(name));
    await Promise.all(again);
}
