import type { Redis } from 'ioredis';
import type { Clock } from '../../time/Clock';
import { systemClock } from '../../time/Clock';
import { LockError } from '../../port/errors';
import { newId } from '../../port/holder';
import { renewNodeScript, renewScript, renewSharedNodeScript, renewSharedScript } from '../scripts/renew';
import type { RenewReply } from '../scripts/renew';
import type { Script } from '../scripts/Script';
import { keysOf } from '../slots';
import { KeyWatch } from '../connection/KeyWatch';
import { tryEssentials } from '../connection/essentials';
import { RedisConnection } from '../connection/RedisConnection';
import type { Greeting } from '../connection/Greeting';
import type { RedisConnectionOptions } from '../connection/RedisConnection';
import type { RedisServers, ServerEvents, Command, CommandRequest } from './RedisServers';
import { explain, saidBy } from '../connection/replies';
import { SHARDED, SLOTTED, keyspaceOf } from './keyspace';
import type { Keyspace } from './keyspace';
import { Lanes } from './Lanes';
import { Replication } from '../connection/Replication';
import type { Acks, Replicated } from '../connection/Replication';
import { ScriptCalls } from './ScriptCalls';
import { VotingTime } from './VotingTime';
import { warningsOf } from '../connection/ServerFacts';
import { Subscription } from '../connection/Subscription';
import type { SubscriptionOptions } from '../connection/Subscription';

export interface SingleServerOptions extends RedisConnectionOptions, SubscriptionOptions {
    /** How many replicas must confirm each grant. Undefined: none. */
    readonly acks?: Acks | undefined;
    /** For a node of a quorum: how long it does not vote after its start, ms. That is the longest ttl. */
    readonly settled?: number | undefined;
    /** What the server must be. A master that is no longer one is left for its successor. Default: standalone. */
    readonly role?: 'standalone' | 'master' | 'cluster' | undefined;
}

/** How many keys one SCAN looks at: the server serves nobody else meanwhile. */
const SCAN_COUNT = 500;

/** One server: its connection, what it is, what it can do, and the way of commands to it. */
export class SingleServer implements RedisServers {
    private readonly _connection: RedisConnection;
    private readonly _subscription: Subscription;
    private readonly _watch: KeyWatch;
    private readonly _replication: Replication | undefined;
    private readonly _voting: VotingTime | undefined;
    private readonly _calls: ScriptCalls;
    private readonly _lanes: Lanes;
    private _tried = false;
    /** Undefined: not known yet. */
    private _keyspace: Keyspace | undefined;
    private _events: ServerEvents | undefined;

    /** @param client an ioredis client made with `lazyConnect`, not yet connected; it is closed with this. */
    constructor(
        client: Redis,
        private readonly _options: SingleServerOptions,
        clock: Clock = systemClock,
    ) {
        this._connection = new RedisConnection(client, _options, clock);
        this._keyspace = _options.role === 'cluster' ? SLOTTED : undefined;
        if (_options.settled !== undefined) this._voting = new VotingTime(_options.settled, clock);
        const { acks } = _options;
        if (acks !== undefined) {
            this._replication = new Replication(this._connection.second(), acks);
        }
        this._subscription = new Subscription(this._connection, newId(), _options, clock, {
            message: (text) => this._events?.message(text),
            renewed: () => this._events?.reconnected(),
            silent: (error) => this._events?.warned(silenceOf(error)),
            heard: () => this._events?.recovered('Waiters are woken again.'),
        });
        this._watch = new KeyWatch(this._connection, clock, (key) => this._events?.changed(key));
        this._calls = new ScriptCalls(this._connection, {
            keyspace: () => this._keyspace,
            channel: () => this._subscription.channel,
            answered: () => this._lanes.answered(),
        });
        this._lanes = new Lanes(this._calls, () => this._keyspace);
    }

    get acks(): Acks | undefined {
        return this._options.acks;
    }

    get wakes(): boolean {
        return this._subscription.channel !== '';
    }

    /** Whether a command would be sent at once. */
    get isReady(): boolean {
        return this._connection.isReady;
    }

    async open(events: ServerEvents): Promise<void> {
        this._events = events;
        let warnings: readonly string[] = [];
        await this._connection.open({
            prepare: async (server) => {
                this._expect(server);
                warnings = [...warningsOf(server), ...(await this._try())];
                if (!this._isSharded) await this._subscription.begin(server);
            },
            ready: () => {
                this._load();
                void this._watch.reset();
                events.reconnected();
            },
            departed: () => events.departed?.(),
            lost: (error) => events.disconnected(error),
            recovered: (lasted) => events.recovered(`Redis works again after ${Math.round(lasted)} ms.`),
        });
        try {
            await this._replication?.open((server) => this._expect(server));
        } catch (error) {
            await this.close();
            throw error;
        }
        for (const warning of warnings) events.warned(warning);
    }

    async close(): Promise<void> {
        this._voting?.close();
        const parts = [this._subscription.close(), this._replication?.close(), this._connection.close()];
        await Promise.all([this._watch.reset(), ...parts]);
    }

    run<Answer>(command: Command<Answer>): void {
        this._lanes.add(command);
    }

    /** As one list, where that can be. */
    runAll<Answer>(script: Script<Answer>, commands: readonly Command<Answer>[]): void {
        this._lanes.sendAll(script, commands);
    }

    /** Runs a command of a key that is just arriving from another server of the cluster. */
    runAsking<Answer>(command: Command<Answer>): void {
        this._calls.send(command.script, [command], true);
    }

    /** The slots of a cluster and the addresses of their masters, as this server knows them. */
    slots(): Promise<unknown> {
        return this._connection.send((client) => client.cluster('SLOTS'));
    }

    replicate(request: CommandRequest<RenewReply>, asking = false): Promise<Replicated> {
        const { key, keys, args, script } = request;
        if (this._replication === undefined) return Promise.reject(new LockError('NOT_REPLICATED', 'No acks are set.'));
        return this._replication.replicate(script, { keys, args }, asking).catch((error: unknown) => {
            const told = explain(error, { key });
            if (saidBy(told) === 'READONLY') this._replication?.reconnect(told);
            throw told;
        });
    }

    async *scan(pattern: string): AsyncIterable<readonly string[]> {
        let cursor = '0';
        do {
            const from = cursor;
            const [next, names] = await this._connection.send((client) =>
                client.scan(from, 'MATCH', pattern, 'COUNT', SCAN_COUNT, 'TYPE', 'string'),
            );
            cursor = next;
            yield names;
        } while (cursor !== '0');
    }

    watch(key: string, value: string): Promise<boolean> {
        return this._isSharded ? Promise.resolve(false) : this._watch.watch(key, value);
    }

    /** Tries what a lock needs, once. @returns warnings. */
    private async _try(): Promise<readonly string[]> {
        const tag = this._options.tag?.();
        // A server without slots runs no script.
        if (this._tried || (tag === undefined && this._options.role === 'cluster')) return [];
        const { client } = this._connection;
        const keyspace = this._keyspace ?? (await keyspaceOf(client));
        const key = tag === undefined ? 'redis-lock:open' : `redis-lock:{${tag}}`;
        const warnings = await tryEssentials(client, keysOf(key), keyspace.clockOf(key));
        if (keyspace === SHARDED) warnings.push(shardsOf(this._options));
        this._keyspace = keyspace;
        this._tried = true;
        return warnings;
    }

    private get _isSharded(): boolean {
        return this._keyspace === SHARDED;
    }

    /** Loads the renewals. A confirm must work by its hash: its caller may block the event loop, and could not send the text after it. */
    private _load(): void {
        for (const script of [renewScript, renewNodeScript, renewSharedScript, renewSharedNodeScript]) {
            this._connection.send((client) => script.load(client)).catch(() => undefined);
        }
    }

    private _expect(greeting: Greeting): void {
        const { mode, role } = greeting;
        const wanted = this._options.role ?? 'standalone';
        if (mode === 'sentinel') throw misplaced('is a Sentinel, which holds no keys', 'sentinel');
        if (mode === 'cluster' && wanted !== 'cluster') throw misplaced('runs in cluster mode', 'cluster');
        if (mode === 'standalone' && wanted === 'cluster') throw misplaced('does not run in cluster mode', 'single');
        if (wanted === 'master' && role === 'replica') {
            // The Sentinels have not noticed a failover yet, or have not told it.
            throw new LockError('CONNECTION_FAILED', 'The Sentinels named a server that is no master.');
        }
        const left = this._voting?.left(greeting) ?? 0;
        if (left > 0) {
            this._events?.settling?.(left);
            throw new LockError('CONNECTION_FAILED', `The server was started a moment ago and votes in ${left} ms.`);
        }
    }
}

/** Why waiters are slow, and what helps. */
function silenceOf({ code, message }: LockError): string {
    const text = `Waiters here are not woken, so they poll: ${message}`;
    if (code !== 'NO_PERMISSION') return text;
    return `${text} They are slow, and so are those whom a release from here has to wake. Allow +subscribe +publish &redis-lock:*.`;
}

/** Warns of an address that spreads its keys over several servers. @throws LockError BAD_OPTION */
function shardsOf({ acks, wait }: SingleServerOptions): string {
    const text = 'This address spreads its keys over several servers';
    const name = acks !== undefined ? 'acks' : wait === 'queue' ? 'wait' : undefined;
    if (name === undefined) return `${text}, so waiters are not woken: they poll.`;
    throw new LockError('BAD_OPTION', `${text}, where options.${name} cannot be had: connect to one server.`);
}

function misplaced(what: string, topology: string): LockError {
    return new LockError('BAD_OPTION', `The Redis server ${what}: set options.topology to ${topology}.`);
}
