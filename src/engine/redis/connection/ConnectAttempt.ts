import type { Redis } from 'ioredis';
import { LockError } from '../../port/errors';
import { endedAt } from './Greeting';
import { HandshakeRefused } from './Handshake';
import { explain, saidBy } from './replies';
import { Whereabouts } from './Whereabouts';

/** Why a connection cannot be made: one error out of all that ioredis, its handshake and the server say about an attempt. */
export class ConnectAttempt {
    private readonly _whereabouts: Whereabouts;
    /** Why the present attempt failed is known. */
    private _isExplained = false;
    /** The command of the handshake that is under way; undefined: none. */
    private _handshaking: string | undefined;

    constructor(private readonly _client: Redis) {
        this._whereabouts = new Whereabouts(_client);
    }

    started(): void {
        this._isExplained = false;
        this._handshaking = undefined;
        this._whereabouts.started();
    }

    connected(): void {
        const { password, protocol } = this._client.options;
        this._handshaking = protocol === 3 ? 'HELLO' : password ? 'AUTH' : undefined;
        this._whereabouts.connected();
    }

    /** The handshake is over. */
    arrived(): void {
        this._handshaking = undefined;
    }

    /**
     * The attempt failed.
     *
     * @param before why the last one did.
     * @returns why it did; undefined: that was told before.
     */
    failed(thrown: Error, before: LockError | undefined): LockError | undefined {
        // ioredis says "Connection is closed." after it has said why.
        const unexplained = thrown.message === 'Connection is closed.' || thrown instanceof HandshakeRefused;
        if (unexplained && this._isExplained) return undefined;
        this._isExplained = true;
        const error =
            this._handshaking !== undefined && (unexplained || /ECONNRESET|EPIPE/.test(thrown.message))
                ? endedAt(this._handshaking, thrown)
                : this._whereabouts.explained(explain(thrown, { unknown: false }));
        return this._better(error, before);
    }

    /** No attempt succeeded. @param within how long it was tried, ms. */
    unreachable(within: number, cause: LockError | undefined): LockError {
        if (cause?.code === 'SERVER_REFUSED') {
            return new LockError(cause.code, `For ${within} ms: ${cause.message}`, { cause: cause.cause });
        }
        const { name, silence } = this._whereabouts;
        const text = `${name} could not be reached within ${within} ms: ${cause?.message ?? silence}`;
        return new LockError('CONNECTION_FAILED', text, { cause });
    }

    /** A server that accepts no connection says so and ends it; sometimes only the end is heard. */
    private _better(error: LockError, before: LockError | undefined): LockError {
        const word = saidBy(before);
        const unheard = this._handshaking !== undefined && saidBy(error) === undefined;
        return before !== undefined && unheard && (word === 'DENIED' || word === 'MAXCLIENTS') ? before : error;
    }
}
