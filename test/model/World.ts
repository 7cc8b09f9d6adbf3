import { ClientModel } from './ClientModel';
import type { Command, Reply } from './Command';
import type { ClientFault, Move, Side, WorldOptions } from './Move';
import { ScriptModel } from './ScriptModel';

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
    'clean up',
    'lose',
]);

/**
 * One server, its clients and everything on the way between them: a state of the explorer. Time is whole ticks, the same for
 * all. A World is not changed once `apply` has made it.
 */
export class World {
    clients: readonly ClientModel[] = [];
    started = 0;
    faults = 0;
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
        public server: ScriptModel,
    ) {}

    static start(options: WorldOptions): World {
        const names = ['A', 'B', 'C', 'D'].slice(0, options.clients);
        const world = new World(options, new ScriptModel('k', options.script));
        world.server.channels = names;
        const fence = options.lastFence;
        if (fence > 0) world.server.memory = { value: { fence }, expires: Infinity };
        world.lastFence = fence;
        world.clients = names.map((name) => new ClientModel(name, options.client));
        return world;
    }

    get now(): number {
        return this.server.now;
    }

    /** What may still be begun, or fail. */
    get budget(): string {
        return [this.started, this.faults, this.delays, this.foreignSets].join();
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
                    if (client.phase.kind === 'held' && client.phase.deadline <= this.now) this._client(at).lose();
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
        const fence = server.memory?.value.fence ?? 0;
        if (what === 'queue' || what === 'all') server.queue = { value: [], expires: Infinity };
        if (what === 'waiters' || what === 'all') server.waiters = { value: [], expires: Infinity };
        if (what === 'memory' || what === 'all') server.memory = undefined;
        if (what !== 'all' || this.holder === undefined) return;
        // A key that is deleted while it is held: the README promises no more than that fences rise.
        if (this.holder === FOREIGN) this.foreignUntil = -Infinity;
        else this.voided = Math.max(server.clock, fence);
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
            case 'execute': {
                const [command, ...sent] = client.sent;
                client.sent = sent;
                if (command !== undefined) client.executed(command, this._execute(client, command));
                return;
            }
            case 'execute late': {
                const [command, ...late] = client.late;
                client.late = late;
                if (command !== undefined) this._execute(client, command);
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
                // That takes more than a µs.
                server.clock += 1;
                client.passOn();
                return;
            case 'exchange':
                this.started += 1;
                client.exchange(now);
                return;
            case 'give up':
                client.giveUp();
                return;
            case 'clean up':
                client.cleanUp();
                return;
            case 'connect':
                server.channels = [...new Set([...server.channels, client.name])];
                client.connect(now);
                return;
            default:
                this.faults += 1;
                this._fail(move.kind, client);
        }
    }

    private _fail(kind: ClientFault, client: ClientModel): void {
        const { server } = this;
        // Closed sockets are known to the server; half-open ones stay subscribed.
        if (kind === 'crash' || kind === 'disconnect' || kind === 'disconnect messages') {
            server.channels = server.channels.filter((channel) => channel !== client.name);
        }
        if (kind.startsWith('disconnect') && kind !== 'disconnect commands') client.disconnectMessages();
        switch (kind) {
            case 'lose':
                client.inbox = client.inbox.slice(1);
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
    private _execute(client: ClientModel, command: Command): Reply {
        const { server } = this;
        // Real clocks count µs: no two steps see the same, nor does one take less than the fences that it may reserve.
        server.clock += 1 + client.rules.passes;
        this.reply = this._run(client, command);
        for (const { channel, message } of server.published) {
            const at = this.clients.findIndex(({ name }) => name === channel);
            // The client of this very move has been copied already.
            (this.clients[at] === client ? client : this._client(at)).reached(message);
        }
        return this.reply;
    }

    private _run(client: ClientModel, command: Command): Reply {
        const { server, options } = this;
        const { id } = command;
        const holder = client.holderOf(id);
        const { passes, pause, ttl } = client.rules;
        switch (command.kind) {
            case 'acquire': {
                const { ticket, before } = command;
                const wait = ticket === undefined ? undefined : { ticket, channel: client.name, before };
                const isNew = this.holder !== holder;
                const overtaken = this._waiterBefore(id, ticket);
                const reply = server.acquire({ holder, id, ttl, spare: passes, wait });
                if (isNew && overtaken !== undefined && reply.kind === 'granted') {
                    this.violation = `${id} is granted the key before ${overtaken}, which waits for longer`;
                }
                return reply;
            }
            case 'renew':
                return server.renew({ holder, ttl });
            case 'release': {
                const { givesUp, tombstone } = command;
                const yields = options.yieldAfter === undefined ? undefined : { after: options.yieldAfter, pause };
                return server.release({ holder, id: givesUp ? id : '', tombstone, yields });
            }
            case 'hand on':
                return server.release({ holder: '', id: '', tombstone: false, yields: undefined });
        }
    }

    /** Who waits, can be told, and has to be served before an acquisition. */
    private _waiterBefore(id: string, asked = 0): string | undefined {
        const { queue, waiters, channels } = this.server;
        const own = asked > 0 ? asked : (queue.value.find((place) => place.id === id)?.ticket ?? Infinity);
        const first = queue.value.find((place) => {
            const record = waiters.value.find((one) => one.id === place.id);
            const isAlive = record?.kind === 'waiter' && record.lease > this.now && channels.includes(record.channel);
            return isAlive && place.id !== id && place.ticket < own;
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
            const holder = client.holderOf(phase.id);
            const rises =
                phase.fence > this.lastFence ||
                (phase.fence === this.lastFence && holder === this.lastHolder && last?.kind !== 'held');
            if (!rises) this.violation ??= `${phase.id} begins a lease with a fence that does not rise`;
            this.lastFence = Math.max(this.lastFence, phase.fence);
            this.lastHolder = holder;
        });
    }
}
