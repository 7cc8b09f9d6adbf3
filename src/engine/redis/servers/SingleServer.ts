import type { Redis } from 'ioredis';
import { atEndOfTurn } from '../../time/hostTime';
import type { Clock } from '../../time/Clock';
import { systemClock } from '../../time/Clock';
import { LockError } from '../../port/errors';
import { newId } from '../../port/holder';
import {
    acquireNodeScript,
    acquireQueuedNodeScript,
    acquireQueuedScript,
    acquireScript,
    acquireSharedNodeScript,
    acquireSharedScript,
} from '../scripts/acquire';
import { downgradeNodeScript, downgradeScript } from '../scripts/downgrade';
import {
    releaseNodeScript,
    releaseQueuedNodeScript,
    releaseQueuedScript,
    releaseScript,
    releaseSharedNodeScript,
    releaseSharedScript,
} from '../scripts/release';
import { renewNodeScript, renewScript, renewSharedNodeScript, renewSharedScript } from '../scripts/renew';
import type { RenewReply } from '../scripts/renew';
import { ScriptError } from '../scripts/Script';
import type { Script, ScriptFrame } from '../scripts/Script';
import { hasItsTag, keysOf } from '../slots';
import { KeyWatch } from '../connection/KeyWatch';
import { tryEssentials } from '../connection/essentials';
import { missingRights } from '../connection/missingRights';
import { RedisConnection } from '../connection/RedisConnection';
import type { Greeting } from '../connection/Greeting';
import type { RedisConnectionOptions } from '../connection/RedisConnection';
import type { RedisServers, ServerEvents, Command, CommandRequest } from './RedisServers';
import { explain, saidBy } from '../connection/replies';
import { SHARDED, SLOTTED, WHOLE, keyspaceOf } from './keyspace';
import type { Keyspace } from './keyspace';
import { Replication } from '../connection/Replication';
import type { Acks, Replicated } from '../connection/Replication';
import { VotingTime } from './VotingTime';
import { warningsOf } from '../connection/ServerFacts';
import { Subscription } from '../connection/Subscription';
import type { SubscriptionOptions } from '../connection/Subscription';

export interface SingleServerOptions extends RedisConnectionOptions, SubscriptionOptions {
    /** Replicas that have to have each grant. */
    readonly acks?: Acks | undefined;
    /** It is a node of a quorum: it does not vote for so many ms after its start, as long as a lease may last. */
    readonly settled?: number | undefined;
    /** What the server has to be. A master that is no longer one is left for its successor. Default: standalone. */
    readonly role?: 'standalone' | 'master' | 'cluster' | undefined;
}

/** How long a list of steps may get: while the server does one we prepare the next, and nobody waits long for an answer. */
const LIST_LENGTH = 32;

/** How many keys the server looks at before it serves others. */
const SCAN_COUNT = 500;

/** One server. Steps that are asked for in one turn of the event loop go out together. */
export class SingleServer implements RedisServers {
    private readonly _connection: RedisConnection;
    private readonly _subscription: Subscription;
    private readonly _watch: KeyWatch;
    private readonly _replication: Replication | undefined;
    private readonly _voting: VotingTime | undefined;
    /** By script. Releases first: they make room for what else was asked for in the same turn. */
    private readonly _lanes = new Map<Script<unknown>, Command<unknown>[]>(
        [
            releaseQueuedScript,
            releaseQueuedNodeScript,
            releaseScript,
            releaseNodeScript,
            releaseSharedScript,
            releaseSharedNodeScript,
            downgradeScript,
            downgradeNodeScript,
            renewScript,
            renewNodeScript,
            renewSharedScript,
            renewSharedNodeScript,
            acquireQueuedScript,
            acquireQueuedNodeScript,
            acquireScript,
            acquireNodeScript,
            acquireSharedScript,
            acquireSharedNodeScript,
        ].map((one) => [one, []]),
    );
    private _flushing = false;
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
    }

    get acks(): Acks | undefined {
        return this._options.acks;
    }

    get wakes(): boolean {
        return this._subscription.channel !== '';
    }

    /** Whether a step would be sent at once. */
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

    run<Answer>(step: Command<Answer>): void {
        this._queue(step);
        if (this._flushing) return;
        this._flushing = true;
        // The end of the turn: after every callback and every promise that is ready now.
        atEndOfTurn(this._flush);
    }

    /** As one list, where that can be. */
    runAll<Answer>(script: Script<Answer>, steps: readonly Command<Answer>[]): void {
        for (const list of this._lists(steps, Infinity)) this._send(script, list);
    }

    /** Does one step of a key that is just arriving from another server of the cluster. */
    runAsking<Answer>(step: Command<Answer>): void {
        this._send(step.script, [step], true);
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

    /** Once: what a server does it goes on to do. */
    private async _try(): Promise<readonly string[]> {
        const tag = this._options.tag?.();
        // A server without slots does nothing.
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

    /** A renewal has to work as soon as it is written: its caller may block the event loop, and could not send the text, too. */
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
            // The Sentinels have not noticed yet, or have not told it yet.
            throw new LockError('CONNECTION_FAILED', 'The Sentinels named a server that is no master.');
        }
        const left = this._voting?.left(greeting) ?? 0;
        if (left > 0) {
            this._events?.settling?.(left);
            throw new LockError('CONNECTION_FAILED', `The server was started a moment ago and votes in ${left} ms.`);
        }
    }

    private _queue(step: Command<unknown>): void {
        const lane = this._lanes.get(step.script);
        if (lane === undefined) this._lanes.set(step.script, [step]);
        else lane.push(step);
    }

    private readonly _flush = (): void => {
        this._flushing = false;
        for (const [script, asked] of this._lanes) {
            if (asked.length === 0) continue;
            this._lanes.set(script, []);
            const steps = this._isSharded && script.clocked ? asked.filter(isShardable) : asked;
            if (steps.length === 1) this._send(script, steps);
            else for (const list of this._lists(steps, LIST_LENGTH)) this._send(script, list);
        }
    };

    private *_lists(steps: readonly Command<unknown>[], longest: number): Iterable<readonly Command<unknown>[]> {
        // What does for a proxy does for one server, too.
        const { groupOf } = this._keyspace ?? SHARDED;
        const together = new Map<number | string, Command<unknown>[]>();
        for (const step of steps) {
            const group = groupOf(step.keys[0]);
            const list = together.get(group) ?? [];
            together.set(group, list);
            list.push(step);
            if (list.length < longest) continue;
            together.delete(group);
            yield list;
        }
        yield* together.values();
    }

    private _send(script: Script<unknown>, steps: readonly Command<unknown>[], asking = false): void {
        this._connection.post(
            (client) => script.send(client, steps, this._frameOf(script, steps, asking)),
            (reply, sentAt) => this._answered(script, steps, reply, sentAt),
            (error) => this._failed(steps, error),
        );
    }

    private _frameOf(script: Script<unknown>, [first]: readonly Command<unknown>[], asking: boolean): ScriptFrame {
        const clock = script.clocked && first !== undefined ? this._clockOf(first.keys[0]) : undefined;
        const before = first?.before?.(this._subscription.channel);
        return { clock, ownClock: this._isSharded, before, after: first?.after?.(), asking };
    }

    /** Of a server that was connected to. */
    private _clockOf(key: string): string {
        return (this._keyspace ?? WHOLE).clockOf(key);
    }

    private _failed(steps: readonly Command<unknown>[], error: unknown): void {
        for (const step of steps) void this._refuse(step, this._explained(error, step));
    }

    private _answered(
        script: Script<unknown>,
        steps: readonly Command<unknown>[],
        reply: unknown,
        sentAt: number,
    ): void {
        let answers: readonly unknown[];
        try {
            answers = script.answersOf(reply, steps.length);
        } catch (error) {
            this._failed(steps, error);
            return;
        }
        steps.forEach((step, at) => this._settle(step, answers[at], sentAt));
    }

    private _settle(step: Command<unknown>, answer: unknown, sentAt: number): void {
        let parsed: unknown;
        try {
            parsed = step.script.parse(answer);
        } catch (error) {
            // The answer is none of those that the script has.
            step.failed(this._explained(error, step));
            return;
        }
        if (parsed instanceof ScriptError) void this._refuse(step, this._explained(parsed, step));
        else {
            this._connection.useful();
            step.done(parsed, sentAt);
        }
    }

    /** Rejects a step that its script could not do; names the commands that it may not run. Never rejects. */
    private async _refuse(step: Command<unknown>, error: LockError): Promise<void> {
        if (error.code !== 'NO_PERMISSION') {
            step.failed(error);
            return;
        }
        const [key] = step.keys;
        const names = await missingRights(this._connection, keysOf(key), this._clockOf(key)).catch(() => []);
        const text = `The Redis user may not run ${names.join(', ')}, which the scripts of a lock need.`;
        const { cause } = error;
        step.failed(names.length === 0 ? error : new LockError('NO_PERMISSION', text, { key: error.key, cause }));
    }

    private _explained(error: unknown, { key, keys }: CommandRequest<unknown>): LockError {
        // What is no answer that the script has may have been preceded by the step.
        const told = explain(error, error instanceof LockError ? { key } : { key, unknown: true });
        if (told.code === 'NO_PERMISSION' && / key/.test(told.message)) {
            const { cause } = told;
            return new LockError('NO_PERMISSION', `${told.message} The lock on ${key} uses ${keys.join(', ')}.`, {
                key,
                cause,
            });
        }
        // The server has lost its role to another one, which is found by the same name.
        if (saidBy(told) === 'READONLY') this._connection.reconnect(told);
        else if (told.code === 'SERVER_REFUSED') this._connection.refused(told);
        return told;
    }
}

/** Why waiters are slow, and what helps. */
function silenceOf({ code, message }: LockError): string {
    const text = `Waiters here are not woken, so they poll: ${message}`;
    if (code !== 'NO_PERMISSION') return text;
    return `${text} They are slow, and so are those whom a release from here has to wake. Allow +subscribe +publish &redis-lock:*.`;
}

/** What does not work where keys are spread over several servers. @throws LockError BAD_OPTION */
function shardsOf({ acks, wait }: SingleServerOptions): string {
    const text = 'This address spreads its keys over several servers';
    const name = acks !== undefined ? 'acks' : wait === 'queue' ? 'wait' : undefined;
    if (name === undefined) return `${text}, so waiters are not woken: they poll.`;
    throw new LockError('BAD_OPTION', `${text}, where options.${name} cannot be had: connect to one server.`);
}

/** @returns whether the keys of the lock are kept together there. */
function isShardable(step: Command<unknown>): boolean {
    const { key, keys } = step;
    if (hasItsTag(keys[0])) return true;
    const text = `At an address that spreads its keys over several servers, a key with a } needs a {tag}: ${keys[0]}.`;
    step.failed(new LockError('BAD_KEY', text, { key }));
    return false;
}

function misplaced(what: string, topology: string): LockError {
    return new LockError('BAD_OPTION', `The Redis server ${what}: set options.topology to ${topology}.`);
}
