import type { Redis } from 'ioredis';
import { end } from './RedisConnection';
import type { RedisConnection } from './RedisConnection';
import { isReply } from './replies';

const INVALIDATIONS = '__redis__:invalidate';

/**
 * Tells when keys change that others than us write: server-assisted client-side caching of Redis 6, which needs no server
 * configuration. ioredis drops the invalidations that a RESP3 connection is pushed, so they are redirected to a RESP2
 * connection of its own, opened when the first key is watched.
 */
export class KeyWatch {
    private _listener: Redis | undefined;
    private _tracking: Promise<boolean> | undefined;

    /** @param _changed of a key; of all of them, when invalidations may have been lost. */
    constructor(
        private readonly _connection: RedisConnection,
        private readonly _changed: (key: string | undefined) => void,
    ) {}

    /**
     * Tells of the next change of `key`; at once, when it does not hold `value` any more.
     *
     * @returns false where the server does not do this.
     */
    async watch(key: string, value: string): Promise<boolean> {
        try {
            this._tracking ??= this._start();
            if (!(await this._tracking)) return false;
            const present = await this._connection.send(async (client) => {
                const [, read] = await Promise.all([client.client('CACHING', 'YES'), client.get(key)]);
                return read;
            });
            if (present !== value) this._changed(key);
            return true;
        } catch {
            return false;
        }
    }

    /** Ends the watch: at the end, and after a reconnect, when the server has forgotten what was to be watched. */
    async reset(): Promise<void> {
        const listener = this._listener;
        this._listener = undefined;
        this._tracking = undefined;
        await end(listener);
    }

    private async _start(): Promise<boolean> {
        const listener = this._connection.duplicate();
        this._listener = listener;
        listener.on('error', () => undefined);
        try {
            await listener.connect();
            const id = await listener.client('ID');
            await listener.subscribe(INVALIDATIONS);
            await this._connection.send((client) => client.client('TRACKING', 'ON', 'REDIRECT', id, 'OPTIN'));
        } catch (error) {
            await end(listener);
            // What the server refuses it will refuse again; anything else is tried anew with the next key.
            if (!isReply(error) && this._listener === listener) this._tracking = undefined;
            return false;
        }
        listener.on('messageBuffer', (_channel: Buffer, keys: unknown) => {
            // No list: the server was flushed.
            if (!Array.isArray(keys)) this._changed(undefined);
            else for (const key of keys) this._changed(String(key));
        });
        listener.once('close', () => {
            if (this._listener !== listener) return;
            void this.reset();
            this._changed(undefined);
        });
        return true;
    }
}
