import { chosenHolder } from '../../src/engine/port/holder';
import { Refusal } from '../../src/testing/LockModel';
import { ClientModel } from './ClientModel';
import type { Command, Reply } from './Command';
import type { ClientFault, Move, Side, WorldOptions } from './Move';
import type { ServerModel } from './ServerModel';

/** A client of another edition. */
export const FOREIGN = 'F';

/** Moves that do not change the server. */
const LOCAL: ReadonlySet<Move['kind']> = new Set([
    'wait',
    'try',
    'answer',
    'message',
    'timer',
    'renew',
    'release',
    'give up',
    'pass on',
    'clean up',
    'lose',
    'stop',
    'resume',
]);

/** More than the numbers that a command draws from the clock at a time: it takes longer than so many µs. */
const STEP = 64;

/** For how long a key is left free, in ticks. */
const PAUSE = 1;

/**
 * One server, its clients and everything on the way between them: a state of the explorer. Time is whole ticks, the same for
 * all. A World is not changed once `apply` has made it.
 */
export class World {
    clients: readonly ClientModel[] = [];
    started = 0;
    faults = 0;
    wipes = 0;
    delays = 0;
    foreignSets = 0;
    /** A client of another edition believes until then that it has the key. */
    foreignUntil = -Infinity;
    /** The lease that has begun last: its fence and holder. */
    lastFence = 0;
    lastHolder = '';
    /** Grants up to this fence were voided from outside: their key was deleted. The README promises nothing for them. */
    voided = 0;
    /** What the last move broke. */
    violation: string | undefined;
    /** What the server answered in the last move. */
    reply: Reply | undefined;

    private constructor(
        readonly options: WorldOptions,
        public server: ServerModel,
    ) {}

    static start(options: WorldOptions): World {
        const names = options.names.slice(0, options.clients);
        const world = new World(options, new options.server(options.durations));
        world.server.channels = new Set(names);
        const fence = options.lastFence;
        if (fence > 0) world.server.clock = { value: fence, expires: Infinity };
        world.lastFence = fence;
        world.clients = names.map((name) => new ClientModel(name, options.client));
        return world;
    }

    get now(): number {
        return this.server.now;
    }

    /** What may still be begun, or fail; and whether Redis has forgotten something. */
    get budget(): string {
        return [this.started, this.faults, this.delays, this.foreignSets, this.wipes].join();
    }

    /** Whether something could be done at once. */
    get isBusy(): boolean {
        return this.clients.some((client) => client.isBusy(this.now));
    }

    /** Whether a live client waits. */
    get isWaitedFor(): boolean {
        return this.clients.some(({ phase }) => phase.kind === 'waiting');
    }

    /** Who may write to what the key protects: never more than one. */
    get believers(): string[] {
        const believers = this.clients.filter(
            (client) => client.believes(this.now) && client.phase.kind === 'held' && client.phase.fence > this.voided,
        );
        const names = believers.map(({ name }) => name);
        return this.foreignUntil > this.now ? [...names, FOREIGN] : names;
    }

    /** The value of the key. */
    get holder(): string | undefined {
        const { key } = this.server;
        return key === undefined || key.expires <= this.now ? undefined : key.value;
    }

    /** The state after a move. */
    apply(move: Move): World {
        const next = new World(this.options, LOCAL.has(move.kind) ? this.server : this.server.copy());
        next.clients = this.clients;
        next.started = this.started;
        next.faults = this.faults;
        next.wipes = this.wipes;
        next.delays = this.delays;
        next.foreignSets = this.foreignSets;
        next.foreignUntil = this.foreignUntil;
        next.lastFence = this.lastFence;
        next.lastHolder = this.lastHolder;
        next.voided = this.voided;
        if ('at' in move) next._perform(move, next._client(move.at));
        else next._performOutside(move);
        next._check(this);
        return next;
    }

    /** A client that may be changed. */
    private _client(at: number): ClientModel {
        const client = this.clients[at]?.copy();
        if (client === undefined) throw new Error('There is no such client.');
        this.clients = this.clients.map((one, i) => (i === at ? client : one));
        return client;
    }

    private _performOutside(move: Exclude<Move, { at: number }>): void {
        const { server } = this;
        switch (move.kind) {
            case 'tick':
                if (this.isBusy) this.delays += 1;
                server.now += 1;
                this.clients.forEach((client, at) => {
                    const isOver = client.phase.kind === 'held' && client.phase.deadline <= this.now;
                    if (isOver && !client.isStopped) this._client(at).lose();
                });
                return;
            case 'foreign set':
                this.foreignSets += 1;
                this.foreignUntil = this.now + this.options.client.ttl;
                server.key = { value: FOREIGN, expires: this.foreignUntil };
                return;
            case 'foreign del':
                this.foreignUntil = -Infinity;
                if (this.holder === FOREIGN) server.key = undefined;
                return;
            case 'wipe':
                this.faults += 1;
                this._wipe(move.what);
        }
    }

    private _wipe(what: Side): void {
        const { server } = this;
        this.wipes += 1;
        if (what === 'queue' || what === 'all') server.queue = { value: [], expires: Infinity };
        if (what === 'waiters' || what === 'all') {
            server.waiters = { value: [], expires: Infinity };
            server.freeUntil = 0;
        }
        if (what !== 'all' || this.holder === undefined) {
            if (what === 'clock' || what === 'all') server.clock = undefined;
            return;
        }
        // A key that is deleted while it is held: the README promises no more than that fences rise.
        if (this.holder === FOREIGN) this.foreignUntil = -Infinity;
        else this.voided = Math.max(server.time, server.clock?.value ?? 0);
        server.clock = undefined;
        server.key = undefined;
    }

    private _perform(move: Extract<Move, { at: number }>, client: ClientModel): void {
        const { now, server } = this;
        switch (move.kind) {
            case 'wait':
            case 'try':
                this.started += 1;
                client.start(move.kind === 'try', now);
                return;
            case 'execute':
            case 'execute yielding':
            case 'execute refused': {
                if (move.kind === 'execute refused') {
                    this.faults += 1;
                    server.accepts = move.accepts;
                }
                const [command, ...sent] = client.sent;
                client.sent = sent;
                const pause = move.kind === 'execute yielding' ? PAUSE : 0;
                if (command !== undefined) client.executed(command, this._execute(client, command, pause));
                server.accepts = Infinity;
                return;
            }
            case 'execute late': {
                const [command, ...late] = client.late;
                client.late = late;
                if (command !== undefined) this._executeLate(client, command);
                return;
            }
            case 'answer':
                client.answered(now);
                return;
            case 'message':
                client.heard(now);
                return;
            case 'timer':
                client.wake(now);
                return;
            case 'renew':
                client.renew(now);
                return;
            case 'release':
                client.release();
                return;
            case 'pass on':
                client.passOn(now);
                return;
            case 'resume':
                client.resume(now);
                return;
            case 'give up':
                client.giveUp();
                return;
            case 'clean up':
                client.cleanUp();
                return;
            case 'connect':
                this._listen(client.name, true);
                client.connect(now);
                return;
            default:
                this.faults += 1;
                this._fail(move.kind, client);
        }
    }

    private _listen(name: string, on: boolean): void {
        const others = this.options.names.filter((one) => one !== name && this.server.channels.has(one));
        this.server.channels = new Set(on ? [...others, name] : others);
    }

    private _fail(kind: ClientFault, client: ClientModel): void {
        // Closed sockets are known to the server; half-open ones stay subscribed.
        if (kind === 'crash' || kind === 'disconnect' || kind === 'disconnect messages') {
            this._listen(client.name, false);
        }
        if (kind.startsWith('disconnect') && kind !== 'disconnect commands') client.disconnectMessages();
        switch (kind) {
            case 'lose':
                client.inbox = client.inbox.slice(1);
                break;
            case 'stop':
                client.stop();
                break;
            case 'crash':
            case 'crash half-open':
                client.crash();
                break;
            case 'disconnect':
            case 'disconnect half-open':
            case 'disconnect commands':
                client.disconnect(this.now);
                break;
            case 'disconnect messages':
        }
        if (!this.options.late) client.late = [];
    }

    /** The server runs a command. */
    private _execute(client: ClientModel, command: Command, pause = 0): Reply {
        const { server } = this;
        const before = this.holder;
        server.time += STEP;
        server.writes = 0;
        try {
            this.reply = this._run(client, command, pause);
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            this.reply = 'refused';
        }
        const isRelease = command.kind === 'release' && this.reply !== 'queued';
        // An owner may have been granted it once more.
        const isFreed = this.reply !== 'refused' && chosenHolder(command.id) !== undefined;
        if (isRelease && !isFreed && before === command.holder && this.holder === before) {
            this.violation = `${command.holder} is released, and has the key`;
        }
        for (const { channel, message } of server.published) {
            const at = this.clients.findIndex(({ name }) => name === channel);
            // The client of this very move has been copied already.
            (this.clients[at] === client ? client : this._client(at)).reached(message);
        }
        return this.reply;
    }

    /** What an earlier connection has left. */
    private _executeLate(client: ClientModel, command: Command): void {
        const reply = this._execute(client, command);
        const { id } = command;
        const isGranted = typeof reply === 'object' && 'kind' in reply && reply.kind === 'granted';
        const isOver = client.phase.kind !== 'crashed' && client.id !== id;
        const unanswered = client.answers.map((answer) => answer.command);
        const isUndone = [...client.sent, ...client.leftovers, ...client.late, ...unanswered].some(
            (one) => one.id === id && (one.kind === 'give up' || one.kind === 'release'),
        );
        if (isGranted && isOver && !isUndone && this.wipes === 0) this.violation = `${id} is over, and gets the key`;
    }

    private _run(client: ClientModel, command: Command, pause: number): Reply {
        const { server } = this;
        const { id } = command;
        const { passes, reserves, ttl } = client.rules;
        switch (command.kind) {
            case 'acquire': {
                const { queued, ticket } = command;
                const isNew = this.holder === undefined || !isOf(this.holder, id);
                const overtaken = this._waiterBefore(id, ticket);
                const spare = reserves ? passes : 0;
                const request = { id, ttl, spare, ticket, channel: client.name };
                const reply = queued ? server.acquireQueued(request) : server.acquire({ id, ttl });
                if (isNew && overtaken !== undefined && reply.kind === 'granted') {
                    this.violation = `${id} is granted the key before ${overtaken}, which waits for longer`;
                }
                return reply;
            }
            case 'renew':
                return server.renew({ holder: command.holder, ttl });
            case 'release': {
                const { holder, buries, queued } = command;
                if (!queued) return server.release(holder);
                return server.releaseQueued({ holder, id: buries ? id : '', underWay: buries, pause });
            }
            case 'give up':
                return server.releaseQueued({ holder: '', id, underWay: command.underWay, pause });
            case 'hand on':
                return server.releaseQueued({ holder: '', id: '', underWay: false, pause: 0 });
        }
    }

    /** Who waits, can be told, and has to be served before an acquisition. */
    private _waiterBefore(id: string, asked = 0): string | undefined {
        const { queue, waiters, channels } = this.server;
        const present = queue.value.find((place) => place.id === id)?.score ?? 0;
        const own = present > 0 ? present : asked > 0 ? asked : Infinity;
        const first = queue.value.find((place) => {
            const record = waiters.value.find((one) => one.id === place.id);
            const isAlive = record !== undefined && record.lease > this.now && channels.has(record.channel);
            return isAlive && place.id !== id && place.score > 0 && place.score < own;
        });
        return first?.id;
    }

    private _check(before: World): void {
        const { believers } = this;
        if (believers.length > 1) this.violation = `${believers.join(' and ')} both believe that they have the key`;
        this.clients.forEach((client, at) => {
            const { phase } = client;
            const last = before.clients[at]?.phase;
            if (phase.kind !== 'held' || phase.fence <= this.voided) return;
            if (last?.kind === 'held' && last.fence === phase.fence) return;
            const { holder } = phase;
            const rises =
                phase.fence > this.lastFence ||
                (phase.fence === this.lastFence && holder === this.lastHolder && last?.kind !== 'held');
            if (!rises) this.violation ??= `${phase.id} begins a lease with a fence that does not rise`;
            this.lastFence = Math.max(this.lastFence, phase.fence);
            this.lastHolder = holder;
        });
    }
}

/** Whether the key is an acquisition's, or its owner's. */
function isOf(holder: string, id: string): boolean {
    return holder === chosenHolder(id) || holder.startsWith(id);
}
