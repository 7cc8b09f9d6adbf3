import type { Redis } from 'ioredis';
import { systemClock } from '../../time/Clock';
import type { Clock, Timer } from '../../time/Clock';
import { LockError, isTemporary } from '../../port/errors';
import { saidBy, textOf } from '../connection/replies';
import type { ServerWord } from '../connection/serverWords';
import type { RenewReply } from '../scripts/renew';
import type { Script } from '../scripts/Script';
import { slotOf } from '../slots';
import type { Acks, Replicated } from '../connection/Replication';
import { NAT } from '../connection/Whereabouts';
import { Members, asLockError } from './Members';
import type { Member } from './Members';
import { commandDone } from './RedisServers';
import type { RedisServers, ServerEvents, Command, CommandRequest } from './RedisServers';
import { SingleServer } from './SingleServer';
import type { SingleServerOptions } from './SingleServer';
import { SlotMap, addressOf, hostOr, nameOf, readSlots } from './SlotMap';
import type { ServerAddress } from './SlotMap';

export interface ClusterServersOptions extends Omit<SingleServerOptions, 'role' | 'tag' | 'borrowed'> {
    /** Servers that know the others. */
    readonly seeds: readonly ServerAddress[];
    /** Makes an ioredis client with `lazyConnect`; it is closed with this. */
    readonly connect: (address: ServerAddress) => Redis;
}

/** Where a server sends a command. `asking`: this command only, for its slot is just arriving there. */
interface Redirection {
    readonly address: string;
    readonly asking: boolean;
}

/** The pause before a command is retried whose slot is moving, or has no master, ms. */
const RETRY_PAUSE = 25;

/** Refusals after which a command is retried, here or elsewhere. After NONLOCAL the slot began to leave in mid-script: all of it is retried. */
const PASSING: ReadonlySet<ServerWord> = new Set(['TRYAGAIN', 'CLUSTERDOWN', 'MASTERDOWN', 'LOADING', 'NONLOCAL']);

/** While a master is away, the others are asked at this interval who has its slots, ms. */
const DISCOVERY_INTERVAL = 250;

/**
 * The masters of a Redis Cluster. Each command goes to the master of the slot of its key, as the servers tell it ("Redis
 * cluster specification", redirection and resharding). A command that was redirected was not done, so it is sent on. A
 * command whose answer was lost may have been done, so it is not sent again.
 */
export class ClusterServers implements RedisServers {
    private readonly _slots = new SlotMap();
    private readonly _members: Members;
    /** Masters whose outage was told to the listener, and since when. */
    private readonly _away = new Map<string, number>();
    private _discovering: Promise<void> | undefined;
    private _timer: Timer | undefined;
    private _events: ServerEvents | undefined;
    private _opened = false;
    private _closed = false;

    constructor(
        private readonly _options: ClusterServersOptions,
        private readonly _clock: Clock = systemClock,
    ) {
        this._members = new Members((name) => this._join(name), _clock);
    }

    get isReady(): boolean {
        return this._members.servers().some((server) => server.isReady);
    }

    get acks(): Acks | undefined {
        return this._options.acks;
    }

    get wakes(): boolean {
        return this._members.servers().every((server) => server.wakes || !server.isReady);
    }

    /** Settles when every master is connected that can be reached. */
    async open(events: ServerEvents): Promise<void> {
        this._events = events;
        try {
            await this._learn(this._options.seeds.map(nameOf));
            // The seeds were opened without a hash tag, and perhaps under other names than the cluster gives them.
            this._members.leave(() => true);
            const masters = await Promise.allSettled(this._slots.masters.map((name) => this._server(name)));
            // Another server will take over from one that cannot be reached. Any other reason stays.
            const failed = masters.flatMap((one) => (one.status === 'rejected' ? [asLockError(one.reason)] : []));
            const reason = failed.find((error) => !isTemporary(error));
            if (reason !== undefined) throw reason;
            if (failed[0] !== undefined && failed.length === masters.length) throw failed[0];
            this._opened = true;
            if (failed.length > 0) this._discover();
        } catch (error) {
            await this.close();
            throw error;
        }
    }

    async close(): Promise<void> {
        this._closed = true;
        this._timer?.cancel();
        await this._members.close();
        await this._discovering;
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
        for (const name of this._slots.masters) {
            const server = await this._server(name);
            yield* server.scan(pattern);
        }
    }

    async watch(key: string, value: string): Promise<boolean> {
        try {
            const server = await this._server(this._slots.masterOf(slotOf(key)));
            return await server.watch(key, value);
        } catch {
            return false;
        }
    }

    /** Acts at the server of the key. Retries, there or elsewhere, while it is certain that nothing was done. */
    private async _route<T>(key: string, act: (server: SingleServer, asking: boolean) => Promise<T>): Promise<T> {
        const until = this._clock.now() + this._options.commandTimeout;
        const slot = slotOf(key);
        let next: Redirection | undefined;
        for (;;) {
            const name = next?.address ?? this._slots.masterOf(slot);
            try {
                const server = await this._server(name);
                return await act(server, next?.asking === true);
            } catch (thrown) {
                const error = asLockError(thrown);
                if (error.code === 'CONNECTION_FAILED' || error.code === 'CLOSED') this._discover();
                if (this._closed || error.unknown || this._clock.now() >= until) throw this._explained(error);
                next = await this._redirected(error, slot, name);
            }
        }
    }

    private _server(name: string | undefined): Promise<SingleServer> {
        if (this._closed) return Promise.reject(new LockError('CLOSED', 'The lock was closed.'));
        if (name !== undefined) return this._members.get(name);
        return Promise.reject(new LockError('CONNECTION_FAILED', 'No server of the cluster has the slot.'));
    }

    private _join(name: string): Member {
        const { seeds: _, connect, ...rest } = this._options;
        const { commandTimeout, connectTimeout } = rest;
        // After open, a new server is waited for as a part of a command.
        const options = this._opened ? { ...rest, connectTimeout: Math.min(connectTimeout, commandTimeout) } : rest;
        const tag = (): string | undefined => this._slots.tagOf(name);
        const server = new SingleServer(connect(addressOf(name)), { ...options, role: 'cluster', tag }, this._clock);
        const opened = server.open({
            message: (text) => this._events?.message(text),
            changed: (key) => this._events?.changed(key),
            reconnected: () => this._events?.reconnected(),
            warned: (text) => this._events?.warned(`${name}: ${text}`),
            recovered: (text) => {
                this._away.delete(name);
                if (this._slots.isMaster(name)) this._events?.recovered(`${name}: ${text}`);
            },
            disconnected: (error) => {
                if (!this._slots.isMaster(name)) return;
                if (!this._away.has(name)) this._away.set(name, this._clock.now());
                this._events?.disconnected(error);
            },
            departed: () => this._discover(),
        });
        return { server, opened: opened.catch((error: unknown) => Promise.reject(this._unreached(name, error))) };
    }

    /** Says that it was the cluster that named the address. */
    private _unreached(name: string, thrown: unknown): LockError {
        const error = asLockError(thrown);
        const { cause, code, message, unknown } = error;
        if (code !== 'CONNECTION_FAILED' || this._options.seeds.some((seed) => nameOf(seed) === name)) return error;
        const text = `The cluster names ${name}, which cannot be reached from here: ${message} ${NAT}`;
        return new LockError(code, text, { cause, unknown });
    }

    /**
     * Where to retry a command that was not done.
     *
     * @returns undefined: at the master of the slot.
     * @throws the error, when no retry helps.
     */
    private async _redirected(
        error: LockError,
        slot: number,
        from: string | undefined,
    ): Promise<Redirection | undefined> {
        const text = textOf(error);
        const [, kind, host, port] = /^(MOVED|ASK) \d+ (\S*):(\d+)/.exec(text) ?? [];
        if (kind !== undefined && port !== undefined) {
            const address = `${hostOr(addressOf(from ?? '').host, host)}:${port}`;
            if (kind === 'MOVED') this._moved(slot, address);
            return kind === 'ASK' ? { address, asking: true } : undefined;
        }
        const away = error.code === 'CLOSED' || error.code === 'CONNECTION_FAILED';
        const word = saidBy(error);
        if (!away && (word === undefined || !PASSING.has(word))) throw this._explained(error);
        if (word === 'CLUSTERDOWN' || word === 'MASTERDOWN') this._discover();
        await new Promise<void>((resolve) => this._clock.timer(RETRY_PAUSE, resolve));
        return undefined;
    }

    /** One slot has another master, so perhaps others have, too. */
    private _moved(slot: number, address: string): void {
        if (!this._slots.move(slot, address)) return;
        this._discover();
        // Waiters have to be woken from there.
        this._events?.reconnected();
    }

    /** A server that left the cluster says CLOSED. The cluster itself is open. */
    private _explained(error: LockError): LockError {
        if (error.code !== 'CLOSED' || this._closed) return error;
        const { cause, key, unknown } = error;
        return new LockError('CONNECTION_FAILED', 'The server left the cluster.', { cause, key, unknown });
    }

    /** Asks for the masters of all slots, again and again until all of them are connected. */
    private _discover(): void {
        if (this._closed || this._discovering !== undefined) return;
        this._timer?.cancel();
        const ready = this._members.ready().filter((name) => this._slots.isMaster(name));
        const names = ready.length > 0 ? ready : this._options.seeds.map(nameOf);
        this._discovering = this._learn(names)
            .catch(() => undefined)
            .then(() => {
                this._discovering = undefined;
                if (this._closed) return;
                this._members.leave((name) => !this._slots.isMaster(name));
                const masters = this._slots.masters.filter((name) => name !== undefined);
                for (const name of masters) this._server(name).catch(() => undefined);
                const isReady = new Set(this._members.ready());
                if (masters.every((name) => isReady.has(name))) {
                    this._replaced();
                    return;
                }
                this._timer = this._clock.timer(DISCOVERY_INTERVAL, () => this._discover());
            });
    }

    /** All masters are connected, so each of those whose outage was told has a successor. */
    private _replaced(): void {
        for (const [name, since] of this._away) {
            if (this._slots.isMaster(name)) continue;
            this._away.delete(name);
            const lasted = Math.round(this._clock.now() - since);
            this._events?.recovered(`${name}: another server took its place after ${lasted} ms.`);
        }
    }

    /** Asks these servers for the masters of all slots, and takes the first answer. */
    private async _learn(names: readonly string[]): Promise<void> {
        const asked = names.map(async (name) => {
            const server = await this._server(name);
            return readSlots(await server.slots(), addressOf(name).host);
        });
        const masters = await Promise.any(asked).catch((error: unknown) => {
            throw error instanceof AggregateError ? error.errors[0] : error;
        });
        if (this._slots.replace(masters)) this._events?.reconnected();
    }
}
