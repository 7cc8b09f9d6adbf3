import type { Redis } from 'ioredis';
import { LockError } from '../../port/errors';

/** The address that a client connects to, as far as it is known: for error messages. */
export class Whereabouts {
    /** The master, as the Sentinels named it for this attempt. */
    private _named: string | undefined;
    private _connected = false;

    constructor(private readonly _client: Redis) {
        const { options } = _client;
        const { natMap, sentinels } = options;
        if (!sentinels) return;
        // The last address that is translated in an attempt is the master's.
        options.natMap = (address) => {
            this._named = address;
            return (typeof natMap === 'function' ? natMap(address) : natMap?.[address]) ?? null;
        };
    }

    started(): void {
        this._named = undefined;
        this._connected = false;
    }

    connected(): void {
        this._connected = true;
    }

    /** The server, in words. */
    get name(): string {
        const { host, name, path, port, sentinels } = this._client.options;
        if (sentinels) return `The master ${name}`;
        return `Redis at ${path ?? `${host}:${port}`}`;
    }

    /** Adds the address to an error, if Sentinels named it and nothing answers there. */
    explained(error: LockError): LockError {
        if (this._named === undefined || this._connected || error.code !== 'CONNECTION_FAILED') return error;
        const text = `The Sentinels name ${this._named} as the master, which cannot be reached from here: ${error.message}. ${NAT}`;
        return new LockError(error.code, text, { cause: error.cause, unknown: error.unknown });
    }

    /** Why nothing was heard so far. */
    get silence(): string {
        const stream: { readonly connecting: boolean; readonly secureConnecting?: boolean } | undefined =
            this._client.stream;
        if (stream?.secureConnecting === true && !stream.connecting) return 'it does not answer to TLS at this port';
        return this._named === undefined
            ? 'no answer'
            : `no answer from ${this._named}, which the Sentinels name. ${NAT}`;
    }
}

/** What helps if servers name addresses that cannot be reached from here. */
export const NAT = 'Where addresses are translated (NAT, containers), give a client of ioredis that has a natMap.';
