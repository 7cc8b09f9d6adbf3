import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import type { RedisAddress } from '../fixtures/sharedServer';

/** A client as the engine wants it: each command is sent once, and only on a connection that works. */
export function clientOf({ host, port }: RedisAddress, options: Omit<RedisOptions, 'replyMapping'> = {}): Redis {
    return new Redis({
        host,
        port,
        lazyConnect: true,
        enableOfflineQueue: false,
        enableReadyCheck: false,
        autoResubscribe: false,
        autoResendUnfulfilledCommands: false,
        maxRetriesPerRequest: 0,
        retryStrategy: (attempt: number) => Math.min(attempt * 20, 200),
        ...options,
    });
}

/** A client for what a test does itself: it waits for a server that is away. */
export async function ownClient(address: RedisAddress): Promise<Redis> {
    const client = clientOf(address, { enableOfflineQueue: true, maxRetriesPerRequest: null });
    client.on('error', () => undefined);
    await client.connect();
    return client;
}

/** Disconnects a client; settles when its socket is closed. */
export function ended(client: Redis): Promise<void> {
    return new Promise((resolve) => {
        const connected = client.status === 'ready' || client.status === 'connect';
        if (connected) client.once('end', resolve);
        client.disconnect();
        client.stream?.destroy();
        // A client that is about to reconnect never says that it will not.
        if (!connected) resolve();
    });
}
