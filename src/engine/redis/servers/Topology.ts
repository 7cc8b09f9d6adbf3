import type { Clock, Timer } from '../../time/Clock';
import { LockError, isTemporary } from '../../port/errors';
import { NAT } from '../connection/Whereabouts';
import type { ClusterServersOptions } from './ClusterServersOptions';
import { Members, asLockError } from './Members';
import type { Member } from './Members';
import type { ServerEvents } from './RedisServers';
import { SingleServer } from './SingleServer';
import { SlotMap, addressOf, nameOf, readSlots } from './SlotMap';

/** While a master is away, the others are asked at this interval who has its slots, ms. */
const DISCOVERY_INTERVAL = 250;

/**
 * Which servers a Redis Cluster has, and which of them is the master of which slot. It is asked for again and again, from the hint that
 * something has changed until every master is connected.
 */
export class Topology {
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
        private readonly _clock: Clock,
    ) {
        this._members = new Members((name) => this._join(name), _clock);
    }

    get isClosed(): boolean {
        return this._closed;
    }

    /** Their names, each once; undefined: some slot has no master. */
    get masters(): readonly (string | undefined)[] {
        return this._slots.masters;
    }

    /** Those that are connected, or will be. */
    servers(): readonly SingleServer[] {
        return this._members.servers();
    }

    masterOf(slot: number): string | undefined {
        return this._slots.masterOf(slot);
    }

    /** A server, which is connected if need be. @throws CLOSED, CONNECTION_FAILED */
    server(name: string | undefined): Promise<SingleServer> {
        if (this._closed) return Promise.reject(new LockError('CLOSED', 'The lock was closed.'));
        if (name !== undefined) return this._members.get(name);
        return Promise.reject(new LockError('CONNECTION_FAILED', 'No server of the cluster has the slot.'));
    }

    /** Settles when every master is connected that can be reached. */
    async open(events: ServerEvents): Promise<void> {
        this._events = events;
        await this._learn(this._options.seeds.map(nameOf));
        // The seeds were opened without a hash tag, and perhaps under other names than the cluster gives them.
        this._members.leave(() => true);
        const masters = await Promise.allSettled(this.masters.map((name) => this.server(name)));
        // Another server will take over from one that cannot be reached. Any other reason stays.
        const failed = masters.flatMap((one) => (one.status === 'rejected' ? [asLockError(one.reason)] : []));
        const reason = failed.find((error) => !isTemporary(error));
        if (reason !== undefined) throw reason;
        if (failed[0] !== undefined && failed.length === masters.length) throw failed[0];
        this._opened = true;
        if (failed.length > 0) this.discover();
    }

    async close(): Promise<void> {
        this._closed = true;
        this._timer?.cancel();
        await this._members.close();
        await this._discovering;
    }

    /** One slot has another master, so perhaps others have, too. */
    moved(slot: number, name: string): void {
        if (!this._slots.move(slot, name)) return;
        this.discover();
        // Waiters have to be woken from there.
        this._events?.reconnected();
    }

    /** Asks for the masters of all slots, again and again until all of them are connected. */
    discover(): void {
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
                const masters = this.masters.filter((name) => name !== undefined);
                for (const name of masters) this.server(name).catch(() => undefined);
                const isReady = new Set(this._members.ready());
                if (masters.every((name) => isReady.has(name))) {
                    this._replaced();
                    return;
                }
                this._timer = this._clock.timer(DISCOVERY_INTERVAL, () => this.discover());
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
            departed: () => this.discover(),
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

    /** Asks these servers for the masters of all slots, and takes the first answer. */
    private async _learn(names: readonly string[]): Promise<void> {
        const asked = names.map(async (name) => {
            const server = await this.server(name);
            return readSlots(await server.slots(), addressOf(name).host);
        });
        const masters = await Promise.any(asked).catch((error: unknown) => {
            throw error instanceof AggregateError ? error.errors[0] : error;
        });
        if (this._slots.replace(masters)) this._events?.reconnected();
    }
}
