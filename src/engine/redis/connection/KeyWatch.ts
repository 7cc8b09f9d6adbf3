import type { Clock } from '../../time/Clock';
import { asError, isTemporary } from '../../port/errors';
import { Backoff } from './Backoff';
import type { RedisConnection } from './RedisConnection';

const INVALIDATIONS = '__redis__:invalidate';

/**
 * `none`: the server does not do this, or the user may not. `later`: it failed, and is not tried again before an instant.
 */
type State =
    | { readonly kind: 'off' }
    | { readonly kind: 'on'; readonly second: RedisConnection; readonly tracking: Promise<boolean> }
    | { readonly kind: 'later'; readonly at: number }
    | { readonly kind: 'none' };

/**
 * Tells when keys change that others write. It uses client-side caching with tracking (Redis 6), which the server needs no
 * configuration for. ioredis drops the invalidations that are pushed to a RESP3 connection. So they are redirected to a RESP2
 * connection of their own, which is opened when the first key is watched.
 */
export class KeyWatch {
    private _state: State = { kind: 'off' };
    private readonly _backoff = new Backoff();

    /** @param _changed is told the key, or undefined: a change of any of them may have been missed. */
    constructor(
        private readonly _connection: RedisConnection,
        private readonly _clock: Clock,
        private readonly _changed: (key: string | undefined) => void,
    ) {}

    /**
     * Tells of the next change of `key`; at once, when it does not hold `value` any more.
     *
     * @returns false where the server does not do this, or not now.
     */
    async watch(key: string, value: string): Promise<boolean> {
        try {
            if (!(await this._tracking())) return false;
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

    /** Ends every watch: on close, and after a reconnect, because the server has forgotten what it tracked. */
    async reset(): Promise<void> {
        const before = this._state;
        this._state = { kind: 'off' };
        if (before.kind === 'on') await before.second.close();
    }

    private _tracking(): Promise<boolean> {
        const { _state: state } = this;
        if (state.kind === 'on') return state.tracking;
        if (state.kind === 'none' || (state.kind === 'later' && this._clock.now() < state.at)) {
            return Promise.resolve(false);
        }
        const second = this._connection.second();
        const tracking = this._start(second);
        this._state = { kind: 'on', second, tracking };
        return tracking;
    }

    /** Never rejects. */
    private async _start(second: RedisConnection): Promise<boolean> {
        second.client.on('messageBuffer', (_channel: Buffer, keys: unknown) => {
            // No list: the server was flushed.
            if (!Array.isArray(keys)) this._changed(undefined);
            else for (const key of keys) this._changed(String(key));
        });
        let begun = false;
        try {
            await second.open({
                prepare: () => this._track(second),
                ready: () => {
                    if (begun) this._changed(undefined);
                    begun = true;
                },
            });
            this._backoff.reset();
            return true;
        } catch (error) {
            await second.close();
            if (this._state.kind !== 'on' || this._state.second !== second) return false;
            // A lasting refusal would come again.
            this._state = isTemporary(asError(error))
                ? { kind: 'later', at: this._clock.now() + this._backoff.next() }
                : { kind: 'none' };
            return false;
        }
    }

    private async _track({ client }: RedisConnection): Promise<void> {
        const id = await client.client('ID');
        await client.subscribe(INVALIDATIONS);
        await this._connection.send((main) => main.client('TRACKING', 'ON', 'REDIRECT', id, 'OPTIN'));
    }
}
