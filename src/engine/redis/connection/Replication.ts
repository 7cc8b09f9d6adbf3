import { LockError } from '../../port/errors';
import type { RenewReply } from '../scripts/renew';
import { ScriptError } from '../scripts/Script';
import type { Script, ScriptItem } from '../scripts/Script';
import type { Greeting } from './Greeting';
import type { RedisConnection } from './RedisConnection';
import { explain } from './replies';

/** How many replicas must confirm a grant. */
export interface Acks {
    readonly replicas: number;
    /** How long they may take for that, ms. */
    readonly timeout: number;
}

/** What became of a grant that was to be replicated. */
export interface Replicated {
    readonly renewed: RenewReply;
    /** How many replicas confirmed it. */
    readonly replicas: number;
    readonly sentAt: number;
}

interface Pending {
    readonly script: Script<RenewReply>;
    readonly item: ScriptItem;
    readonly asking: boolean;
    readonly resolve: (done: Replicated) => void;
    readonly reject: (error: Error) => void;
}

/**
 * Waits until replicas have a grant. WAIT counts the replicas that have the last write of its own connection, and blocks that
 * connection. So WAIT has a connection of its own, and the grant is renewed on it first: that is a write after the grant.
 * Grants that come while one WAIT is under way share the next.
 */
export class Replication {
    private _pending: Pending[] = [];
    private _busy = false;

    /** @param _connection not yet open. */
    constructor(
        private readonly _connection: RedisConnection,
        private readonly _acks: Acks,
    ) {}

    /** Settles when the connection is ready, or cannot be made. */
    open(prepare: (server: Greeting) => void): Promise<void> {
        return this._connection.open({ prepare: async (server) => Promise.resolve(prepare(server)) });
    }

    /** The server is no master any more. */
    reconnect(error: LockError): void {
        this._connection.reconnect(error);
    }

    close(): Promise<void> {
        return this._connection.close();
    }

    /**
     * @param script that renews.
     * @param asking in a cluster: of keys that are just arriving at this server.
     */
    replicate(script: Script<RenewReply>, item: ScriptItem, asking: boolean): Promise<Replicated> {
        return new Promise((resolve, reject) => {
            this._pending.push({ script, item, asking, resolve, reject });
            if (!this._busy) void this._run();
        });
    }

    private async _run(): Promise<void> {
        this._busy = true;
        while (this._pending.length > 0) await this._together(this._pending.splice(0));
        this._busy = false;
    }

    /** Settles all of them. Never rejects. */
    private async _together(group: readonly Pending[]): Promise<void> {
        const { replicas, timeout } = this._acks;
        try {
            let sentAt = 0;
            const [count, renewals] = await this._connection.send(async (client, now) => {
                sentAt = now;
                const renewed = Promise.allSettled(
                    group.map(({ asking, item, script }) => script.run(client, [item], { asking })),
                );
                return [await client.wait(replicas, timeout), await renewed] as const;
            }, timeout);
            group.forEach(({ resolve, reject }, at) => {
                const renewal = renewals[at];
                const answer: unknown = renewal?.status === 'fulfilled' ? renewal.value[0] : renewal?.reason;
                if (answer === 'renewed' || answer === 'gone') resolve({ renewed: answer, replicas: count, sentAt });
                else reject(answer instanceof ScriptError ? explain(answer, {}) : explain(answer, { unknown: true }));
            });
        } catch (error) {
            for (const { reject } of group)
                reject(error instanceof LockError ? error : explain(error, { unknown: true }));
        }
    }
}
