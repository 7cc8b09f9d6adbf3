import { Redis } from 'ioredis';
import { ENGINE_OPTIONS } from '../../../src/connect/serverClients';
import type { RedisAddress } from '../../fixtures/sharedServer';

/** A connected ioredis client with the options that this library gives its own: all that share the client have the same. */
export async function connect({ host, port }: RedisAddress, enableAutoPipelining = false): Promise<Redis> {
    const client = new Redis({ ...ENGINE_OPTIONS, host, port, enableAutoPipelining });
    client.on('error', () => undefined);
    await client.connect();
    return client;
}

export async function disconnect(clients: readonly Redis[]): Promise<void> {
    await Promise.all(clients.map((client) => client.quit().catch(() => client.disconnect())));
}
