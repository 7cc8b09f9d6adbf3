import { systemClock } from '../../time/Clock';
import type { Clock } from '../../time/Clock';
import { LockError } from '../../port/errors';
import type { RenewReply } from '../scripts/renew';
import type { Script } from '../scripts/Script';
import { slotOf } from '../slots';
import type { Acks, Replicated } from '../connection/Replication';
import type { ClusterServersOptions } from './ClusterServersOptions';
import { asLockError } from './Members';
import { isPassing, mayBeReplaced, redirectionOf } from './redirection';
import { commandDone } from './RedisServers';
import type { RedisServers, ServerEvents, Command, CommandRequest } from './RedisServers';
import type { SingleServer } from './SingleServer';
import { Topology } from './Topology';

/** The pause before a command is retried whose slot is moving, or has no master, ms. */
const RETRY_PAUSE = 25;

/**
 * The masters of a Redis Cluster. Each command goes to the master of the slot of its key, as the servers tell it. A command
 * that was redirected was not done, so it is sent on. A command whose answer was lost may have been done, so it is not sent again.
 */
export class ClusterServers implements RedisServers {
    private readonly _topology: Topology;

    constructor(
        private readonly _options: ClusterServersOptions,
        private readonly _clock: Clock = systemClock,
    ) {
        this._topology = new Topology(_options, _clock);
    }

    get isReady(): boolean {
        return this._topology.servers().some((server) => server.isReady);
    }

    get acks(): Acks | undefined {
        return this._options.acks;
    }

    get wakes(): boolean {
        return this._topology.servers().every((server) => server.wakes || !server.isReady);
    }

    /** Settles when every master is connected that can be reached. */
    async open(events: ServerEvents): Promise<void> {
        try {
            await this._topology.open(events);
        } catch (error) {
            await this.close();
            throw error;
        }
    }

    close(): Promise<void> {
        return this._topology.close();
    }

    run<Answer>(command: Command<Answer>): void {
        this._route(command.keys[0], (server, asking) =>
            commandDone((one) => (asking ? server.runAsking(one) : server.run(one)), command),
        ).then(
            ({ answer, sentAt }) => command.done(answer, sentAt),
            (error: unknown) => command.failed(asLockError(error)),
        );
    }

    /** Each is routed by itself. Those of one server and slot go out as one list. */
    runAll<Answer>(_script: Script<Answer>, commands: readonly Command<Answer>[]): void {
        for (const command of commands) this.run(command);
    }

    replicate(request: CommandRequest<RenewReply>): Promise<Replicated> {
        return this._route(request.keys[0], (server, asking) => server.replicate(request, asking));
    }

    /** The keys of a slot that moves meanwhile may be missed. */
    async *scan(pattern: string): AsyncIterable<readonly string[]> {
        for (const name of this._topology.masters) {
            const server = await this._topology.server(name);
            yield* server.scan(pattern);
        }
    }

    async watch(key: string, value: string): Promise<boolean> {
        try {
            const server = await this._topology.server(this._topology.masterOf(slotOf(key)));
            return await server.watch(key, value);
        } catch {
            return false;
        }
    }

    /** Acts at the server of the key. Retries, there or elsewhere, while it is certain that nothing was done. */
    private async _route<T>(key: string, act: (server: SingleServer, asking: boolean) => Promise<T>): Promise<T> {
        const topology = this._topology;
        const until = this._clock.now() + this._options.commandTimeout;
        const slot = slotOf(key);
        /** For one attempt, instead of the master of the slot. */
        let next: string | undefined;
        for (;;) {
            const name = next ?? topology.masterOf(slot);
            try {
                const server = await topology.server(name);
                return await act(server, next !== undefined);
            } catch (thrown) {
                const error = asLockError(thrown);
                if (mayBeReplaced(error)) topology.discover();
                if (topology.isClosed || error.unknown || this._clock.now() >= until) throw this._explained(error);
                next = await this._elsewhere(error, slot, name);
            }
        }
    }

    /**
     * Where to retry a command that was not done.
     *
     * @returns undefined: at the master of the slot.
     * @throws the error, when no retry helps.
     */
    private async _elsewhere(error: LockError, slot: number, from: string | undefined): Promise<string | undefined> {
        const redirection = redirectionOf(error, from);
        if (redirection !== undefined) {
            const { address, kind } = redirection;
            if (kind === 'ask') return address;
            this._topology.moved(slot, address);
            return undefined;
        }
        if (!isPassing(error)) throw this._explained(error);
        await new Promise<void>((resolve) => this._clock.timer(RETRY_PAUSE, resolve));
        return undefined;
    }

    /** A server that left the cluster says CLOSED. The cluster itself is open. */
    private _explained(error: LockError): LockError {
        if (error.code !== 'CLOSED' || this._topology.isClosed) return error;
        const { cause, key, unknown } = error;
        return new LockError('CONNECTION_FAILED', 'The server left the cluster.', { cause, key, unknown });
    }
}
