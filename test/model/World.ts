import { chosenHolder } from '../../src/engine/port/holder';
import { Refusal } from '../../src/testing/LockModel';
import { broken } from './admission';
import { ClientModel } from './ClientModel';
import type { Command, Reply } from './Command';
import type { ClientFault, Move, Side, WorldOptions } from './Move';
import type { Held } from './Phase';
import type { ServerModel } from './ServerModel';

/** A client of another edition. */
export const FOREIGN = 'F';

/** A lease, and whose it is. */
interface Relied {
    readonly name: string;
    readonly lease: Held;
}

const NONE: Relied[] = [];

/** Moves that do not change the server. */
const LOCAL: ReadonlySet<Move['kind']> = new Set([
    'wait',
    'try',
    'answer',
    'message',
    'timer',
    'renew',
    'release',
    'downgrade',
    'give up',
    'pass on',
    'clean up',
    'lose',
    'stop',
    'resume',
]);

/** More than the numbers that a command draws from the clock at a time: it takes longer than this, µs. */
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
    /** The greatest fence of a lease that had the key alone: those who share it begin in any order. */
    lastAlone = 0;
    /** Grants up to this fence were voided from outside: their key was deleted. The README promises nothing for them. */
    voided = 0;
    /** What the last move broke. */
    violation: string | undefined;
    /** What the server answered in the last move. */
    reply: Reply | undefined;

    /** The server before the last move. */
    private _stood: ServerModel;

    private constructor(
        readonly options: WorldOptions,
        public server: ServerModel,
    ) {
        this._stood = server;
    }

    static start(options: WorldOptions): World {
        const names = options.names.slice(0, options.clients);
        const world = new World(options, new options.server(options.durations));
        world.server.channels = new Set(names);
        const fence = options.lastFence;
        if (fence > 0) world.server.clock = { value: fence, expires: Infinity };
        world.lastFence = fence;
        world.lastAlone = fence;
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

    /** Who relies on the key. */
    get believers(): string[] {
        const names = this.leases.map(({ name }) => name);
        return this.foreignUntil > this.now ? [...names, FOREIGN] : names;
    }

    /** The leases that are relied on. */
    get leases(): readonly Relied[] {
        let relied: Relied[] = NONE;
        for (const { name, phase } of this.clients.filter((client) => client.believes(this.now))) {
            if (phase.kind !== 'held' || phase.fence <= this.voided) continue;
            if (relied === NONE) relied = [];
            relied.push({ name, lease: phase });
        }
        return relied;
    }

    /** The value of the key. */
    get holder(): string | undefined {
        const { key } = this.server;
        return key === undefined || key.expires <= this.now ? undefined : key.value;
    }

    /** The state after a move. */
    apply(move: Move): World {
        const next = new World(this.options, LOCAL.has(move.kind) ? this.server : this.server.copy());
        next._stood = this.server;
        next.clients = this.clients;
        next.started = this.started;
        next.faults = this.faults;
        next.wipes = this.wipes;
        next.delays = this.delays;
        next.foreignSets = this.foreignSets;
        next.foreignUntil = this.foreignUntil;
        next.lastFence = this.lastFence;
        next.lastHolder = this.lastHolder;
        next.lastAlone = this.lastAlone;
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
        if (what === 'sharers') server.sharers = { value: { members: [], limit: 0 }, expires: Infinity };
        const isKey = what === 'all' || what === 'key';
        if (!isKey || this.holder === undefined) {
            if (what === 'clock' || what === 'all') server.clock = undefined;
            return;
        }
        // A key that is deleted while it is held: the README promises no more than that fences rise.
        if (this.holder === FOREIGN) this.foreignUntil = -Infinity;
        else this.voided = Math.max(server.time, server.clock?.value ?? 0);
        if (what === 'all') server.clock = undefined;
        server.key = undefined;
    }

    private _perform(move: Extract<Move, { at: number }>, client: ClientModel): void {
        const { now, server } = this;
        switch (move.kind) {
            case 'wait':
            case 'try':
                this.started += 1;
                client.start(move.kind === 'try', this.options.shares[move.share], now);
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
            case 'downgrade':
                client.downgrade(now);
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
        if (command.kind === 'renew' && command.shared !== false && this.reply === 'renewed') {
            const fence = Number(command.holder.slice(command.holder.indexOf(':') + 1));
            if (fence < this.lastAlone) {
                this.violation = `${command.holder} is renewed, and another has had the key alone since`;
            }
        }
        if (this.reply !== 'refused') this.violation ??= broken(this._stood, server, command, this.reply);
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
                const { queued, share, ticket } = command;
                const spare = reserves ? passes : 0;
                if (queued) return server.acquireQueued({ id, ttl, spare, ticket, share, channel: client.name });
                return share === undefined ? server.acquire({ id, ttl }) : server.acquireShared({ id, ttl, share });
            }
            case 'renew': {
                const { holder, shared } = command;
                const reply = shared === true ? 'gone' : server.renew({ holder, ttl });
                return reply === 'gone' && shared !== false ? server.renewShared({ holder, ttl }) : reply;
            }
            case 'downgrade':
                return server.downgrade({ holder: command.holder, ttl });
            case 'release': {
                const { holder, buries, queued, shared } = command;
                if (!queued) {
                    const reply = shared === true ? 'gone' : server.release(holder);
                    return reply === 'gone' && shared !== false ? server.releaseShared(holder) : reply;
                }
                const isNamed = buries || chosenHolder(id) !== undefined;
                return server.releaseQueued({ holder, id: isNamed ? id : '', underWay: buries, pause });
            }
            case 'give up':
                return server.releaseQueued({ holder: '', id, underWay: command.underWay, pause });
            case 'hand on':
                return server.releaseQueued({ holder: '', id: '', underWay: false, pause: 0 });
        }
    }

    private _check(before: World): void {
        this.violation ??= this._brokenBelief();
        this.clients.forEach((client, at) => {
            const { phase } = client;
            const last = before.clients[at]?.phase;
            if (phase.kind !== 'held' || phase.fence <= this.voided) return;
            if (last?.kind === 'held' && last.fence === phase.fence) return;
            const { holder, share } = phase;
            // Those who share the key begin in any order.
            const least = share === undefined ? this.lastFence : this.lastAlone;
            const isAgain = phase.fence === this.lastFence && holder === this.lastHolder && last?.kind !== 'held';
            const rises = phase.fence > least || isAgain;
            if (!rises) this.violation ??= `${phase.id} begins a lease with a fence that does not rise`;
            if (phase.fence >= this.lastFence) this.lastHolder = holder;
            this.lastFence = Math.max(this.lastFence, phase.fence);
            if (share === undefined) this.lastAlone = Math.max(this.lastAlone, phase.fence);
        });
    }

    private _brokenBelief(): string | undefined {
        const { leases, server, wipes } = this;
        const { faults, kinds } = this.options;
        const isWritten = faults === 0 || !kinds.includes('refuse');
        if (wipes === 0 && isWritten && server.isAbandoned) return 'the key is shared, and nobody shares it';
        if (leases.length === 0) return undefined;
        const isAlone = this.foreignUntil > this.now || leases.some(({ lease }) => lease.share === undefined);
        if (isAlone && this.believers.length > 1) {
            return `${this.believers.join(' and ')} both believe that they have the key, and one has it alone`;
        }
        const out = leases.reduce((sum, { lease }) => sum + (lease.share?.permits ?? 0), 0);
        const most = Math.max(...leases.map(({ lease }) => lease.share?.limit ?? Infinity));
        if (out > most) return `${out} permits of ${most} are believed to be out`;
        const short = leases.find(({ lease }) => lease.share !== undefined && !server.keeps(lease));
        return short && `${short.name} shares the key until ${short.lease.deadline}, and the key ends sooner`;
    }
}
