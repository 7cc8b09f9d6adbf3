import { LockError, asLockError } from '../port/errors';
import { chosenHolder, holderOf, nameOf, readHolder } from '../port/holder';
import { promised, renewEach } from '../port/LockStore';
import type {
    AcquireAnswer,
    Busy,
    Callback,
    GiveUpRequest,
    Granted,
    LockInfo,
    LockStore,
    ReleaseAnswer,
    ReleaseRequest,
    Renewal,
    RenewAnswer,
    StoreListener,
} from '../port/LockStore';
import { SHARED } from '../port/protocol';
import type { NodeListener, ReservedGrant, ReservingRequest } from '../port/ReservingRequest';
import { deadlineOf } from '../port/validity';
import { systemClock } from '../time/Clock';
import type { Clock } from '../time/Clock';
import {
    AcquireCommand,
    AcquireQueuedCommand,
    ReleaseCommand,
    ReleaseQueuedCommand,
    RenewCommand,
    RenewRequest,
    renewalOf,
} from './commands';
import type { Giving } from './commands';
import { contextOf } from './CommandContext';
import type { CommandContext } from './CommandContext';
import { ContendedKeys } from './ContendedKeys';
import { LockReader } from './LockReader';
import { FREE } from './scripts/acquire';
import type { AcquireQueuedReply, AcquireReply } from './scripts/acquire';
import { parseMessage } from './scripts/message';
import { raiseScript } from './scripts/raise';
import type { ReleaseQueuedReply, ReleaseReply } from './scripts/release';
import { commandDone } from './servers/RedisServers';
import type { CommandDone, CommandRequest, RedisServers } from './servers/RedisServers';
import { PREFIX, keysOf } from './slots';

export interface RedisStoreOptions {
    /** Put before every key. */
    readonly keyPrefix: string;
    /**
     * About once in this number of hand-offs a key is left free for `pause` ms, for those who poll with a plain SET. Undefined: never.
     */
    readonly yielding?: { readonly after: number; readonly pause: number } | undefined;
    /** It is a node of a quorum: each attempt has an id of its own, and holders are compared without their fence. */
    readonly node?: boolean | undefined;
    /** How much faster than ours the clock of a server may be; default 0.01. */
    readonly drift?: number | undefined;
}

const USUAL_DRIFT = 0.01;

/** Locks on one Redis: a server, or a cluster of them. `scripts/` says what each command does. */
export class RedisStore implements LockStore {
    private readonly _context: CommandContext;
    private readonly _contended = new ContendedKeys();
    private readonly _reader: LockReader;
    private _listener: StoreListener | undefined;

    constructor(
        private readonly _servers: RedisServers,
        private readonly _options: RedisStoreOptions = { keyPrefix: '' },
        clock: Clock = systemClock,
    ) {
        const { drift, keyPrefix, node = false } = _options;
        this._context = contextOf(node, keyPrefix, drift, clock);
        this._reader = new LockReader(_servers, keyPrefix, node);
    }

    /** Whether a command would be sent at once. */
    get isReady(): boolean {
        return this._servers.isReady;
    }

    get wakes(): boolean {
        return this._servers.wakes;
    }

    get confirmsGrants(): boolean {
        return this._servers.acks !== undefined;
    }

    async open(listener: NodeListener): Promise<void> {
        this._listener = listener;
        await this._servers.open({
            message: (text) => this._onMessage(text),
            changed: (key) => this._changed(key),
            reconnected: () => listener.reconnected(),
            departed: () => listener.departed?.(),
            settling: (left) => listener.settling?.(left),
            disconnected: (error) => listener.disconnected(error),
            recovered: (message) => listener.recovered(message),
            warned: (message) => listener.warned(message),
        });
    }

    close(): Promise<void> {
        return this._servers.close();
    }

    acquire(request: ReservingRequest, callback: Callback<AcquireAnswer>): void {
        const { contended = false, id, key, ticket = 0 } = request;
        const stored = this._context.prefix + key;
        if (stored.startsWith(PREFIX)) {
            const text = `A key must not begin with ${PREFIX}, as the keys of this library itself do: ${stored}.`;
            callback(new LockError('BAD_KEY', text, { key }));
            return;
        }
        const isFree = ticket === 0 && !contended && !this._contended.has(key) && chosenHolder(id) === undefined;
        if (isFree) this._servers.run(new AcquireCommand(request, callback, this._context, this._acquired));
        else this._acquireQueued(request, callback);
    }

    async renew(key: string, holder: string, ttl: number, shared?: boolean): Promise<RenewAnswer> {
        const answer = await this._renew({ key, holder, ttl, shared: shared === true });
        // First as exclusive: what is shared never becomes exclusive meanwhile.
        return answer.kind === 'gone' && shared === undefined
            ? this._renew({ key, holder, ttl, shared: true })
            : answer;
    }

    renewAll(renewals: readonly Renewal[]): void {
        const exclusive: RenewCommand[] = [];
        const shared: RenewCommand[] = [];
        const unknown: Renewal[] = [];
        for (const renewal of renewals) {
            if (renewal.shared === undefined) unknown.push(renewal);
            else (renewal.shared ? shared : exclusive).push(new RenewCommand(renewal, this._context));
        }
        if (exclusive.length > 0) this._servers.runAll(this._context.renew, exclusive);
        if (shared.length > 0) this._servers.runAll(this._context.renewShared, shared);
        renewEach(this, unknown);
    }

    async downgrade(key: string, holder: string, ttl: number): Promise<RenewAnswer> {
        const { drift, downgrade, hinted, prefix } = this._context;
        const after = (): readonly string[] => (hinted ? ['0'] : []);
        const keys = keysOf(prefix + key);
        const request = { script: downgrade, key, keys, args: [holder, String(ttl)], after };
        const { answer, sentAt } = await this._done(request);
        if (answer.window > 0) this._listener?.handedOn(key, answer.window);
        return renewalOf(answer.done ? 'renewed' : 'gone', deadlineOf(sentAt, ttl, drift));
    }

    release({ buried, holder, id, keptUntil, key, shared }: ReleaseRequest, callback: Callback<ReleaseAnswer>): void {
        if (buried !== undefined || id !== undefined || keptUntil !== undefined || this._contended.has(key)) {
            const giving = { key, holder, id: buried ?? id, underWay: buried !== undefined, keptUntil, shared };
            this._giveBack(giving, callback);
            return;
        }
        const released = ({ giving }: ReleaseCommand, reply: ReleaseReply): void => {
            if (reply === 'queued') this._giveBack(giving, callback);
            else if (reply === 'gone' && shared === undefined) this.release({ key, holder, shared: true }, callback);
            else callback(reply);
        };
        const command = new ReleaseCommand({ key, holder, shared }, shared === true, this._context, released, callback);
        this._servers.run(command);
    }

    giveUp(request: GiveUpRequest): Promise<ReleaseAnswer> {
        return promised((callback) => this._giveBack(request, callback));
    }

    async handOn(key: string): Promise<void> {
        await promised<ReleaseAnswer>((callback) => this._giveBack({ key }, callback));
    }

    inspect(key: string): Promise<LockInfo> {
        return this._reader.inspect(key);
    }

    list(pattern: string): AsyncIterable<LockInfo> {
        return this._reader.list(pattern);
    }

    /** @see QuorumNode */
    async raise(key: string, holder: string, fence: number): Promise<boolean> {
        const [stored, , , sharers] = keysOf(this._context.prefix + key);
        const keys = [stored, sharers] as const;
        return (await this._done({ script: raiseScript, key, keys, args: [holder, String(fence)] })).answer;
    }

    watch(key: string, holder: string): Promise<boolean> {
        return this._servers.watch(this._context.prefix + key, holder);
    }

    private _acquireQueued(request: ReservingRequest, callback: Callback<AcquireAnswer>): void {
        this._servers.run(new AcquireQueuedCommand(request, callback, this._context, this._acquiredQueued));
    }

    private readonly _acquired = ({ callback, request }: AcquireCommand, reply: AcquireReply, sentAt: number): void => {
        if (reply.kind === 'granted') {
            this._granted(request, callback, reply.fence, 0, sentAt);
            return;
        }
        const { holder, remaining } = reply;
        if (request.ticket === undefined && remaining !== FREE && !isOfAcquisition(holder, request.id)) {
            callback(busy({ sentAt, holder, remaining, fence: 0, ticket: 0, rank: 0 }));
            return;
        }
        if (request.ticket !== undefined) this._contended.add(request.key);
        this._acquireQueued(request, callback);
    };

    private readonly _acquiredQueued = (
        { callback, request }: AcquireQueuedCommand,
        reply: AcquireQueuedReply,
        sentAt: number,
    ): void => {
        const { id, key, spare = 0 } = request;
        switch (reply.kind) {
            case 'granted':
                this._granted(request, callback, reply.fence, reply.reserved ? spare : 0, sentAt);
                return;
            case 'busy': {
                const { clock, holder, limit, rank, remaining, ticket, window } = reply;
                if (request.ticket !== undefined) this._contended.add(key);
                if (window > 0) this._listener?.handedOn(key, window);
                const other = limit > 0 ? limit : undefined;
                callback(busy({ sentAt, holder, remaining, fence: clock, ticket, rank, limit: other }));
                return;
            }
            case 'refused': {
                const text = `The acquisition of ${key} was given up before.`;
                callback(new LockError('LOCK_ABORTED', text, { key, holder: nameOf(id) }));
            }
        }
    };

    private _granted(
        request: ReservingRequest,
        callback: Callback<AcquireAnswer>,
        fence: number,
        reserved: number,
        sentAt: number,
    ): void {
        const holder = holderOf(request.id, fence);
        const deadline = deadlineOf(sentAt, request.ttl, this._context.drift);
        const granted: ReservedGrant = { kind: 'granted', holder, fence, deadline, confirmed: true, reserved };
        if (this._servers.acks === undefined) callback(granted);
        else void this._replicated(request, granted).then(callback);
    }

    /** A grant that counts only when enough replicas have it; else it is taken back. Never rejects. */
    private async _replicated({ key, share, ttl }: ReservingRequest, granted: Granted): Promise<Granted | LockError> {
        const { holder } = granted;
        const shared = share !== undefined;
        const needed = this._servers.acks?.replicas ?? 0;
        let error: LockError;
        try {
            const renewal = new RenewRequest({ key, holder, ttl, shared }, this._context);
            const { renewed, replicas, sentAt } = await this._servers.replicate(renewal);
            if (renewed === 'renewed' && replicas >= needed)
                return { ...granted, deadline: deadlineOf(sentAt, ttl, this._context.drift) };
            const text = `Only ${replicas} replicas have the grant of ${key}; options.acks asks for ${needed}.`;
            error = new LockError('NOT_REPLICATED', text, { key, holder });
        } catch (thrown) {
            error = asLockError(thrown, key, holder);
        }
        const unknown = await promised<ReleaseAnswer>((callback) =>
            this.release({ key, holder, shared }, callback),
        ).then(
            () => false,
            () => true,
        );
        return new LockError(error.code, error.message, { key, holder, cause: error.cause, unknown });
    }

    private async _renew(renewal: Omit<Renewal, 'answered'>): Promise<RenewAnswer> {
        const { answer, sentAt } = await this._done(new RenewRequest(renewal, this._context));
        return renewalOf(answer, deadlineOf(sentAt, renewal.ttl, this._context.drift));
    }

    private _giveBack(giving: Giving, callback: Callback<ReleaseAnswer>): void {
        const { key } = giving;
        const released = (_: ReleaseQueuedCommand, { released: ours, waiting, window }: ReleaseQueuedReply): void => {
            if (window > 0) this._listener?.handedOn(key, window);
            else if (ours && waiting === 0) this._contended.delete(key);
            callback(ours ? 'released' : 'gone');
        };
        this._servers.run(new ReleaseQueuedCommand(giving, this._context, this._pause, released, callback));
    }

    /** By chance, and not counted: nothing is remembered of a key. */
    private readonly _pause = (): string => {
        const { yielding } = this._options;
        return yielding !== undefined && Math.random() < 1 / (yielding.after + 1) ? String(yielding.pause) : '';
    };

    private _done<Answer>(request: CommandRequest<Answer>): Promise<CommandDone<Answer>> {
        return commandDone((command) => this._servers.run(command), request);
    }

    private _changed(key: string | undefined): void {
        const { prefix } = this._context;
        if (key === undefined) this._listener?.reconnected();
        else if (key.startsWith(prefix)) this._listener?.changed(key.slice(prefix.length));
    }

    private _onMessage(text: string): void {
        const message = parseMessage(text);
        const { drift = USUAL_DRIFT, prefix } = this._context;
        if (message === undefined || !message.key.startsWith(prefix)) return;
        const key = message.key.slice(prefix.length);
        if (message.kind === 'grant') {
            const { fence, id, spare } = message;
            // Where replicas have to have it too, nothing can be relied on before they were asked.
            const ttl = this._servers.acks === undefined ? message.ttl : 0;
            // The reader takes off the usual drift.
            this._listener?.granted(key, id, fence, Math.floor((ttl * (1 - drift)) / (1 - USUAL_DRIFT)), spare);
        } else this._listener?.first(key, message.id, message.taken);
    }
}

function busy(reply: Omit<Busy, 'kind' | 'foreign'>): Busy {
    const { fence, holder, limit, rank, remaining, sentAt, ticket } = reply;
    // Spelled out: each copy of a rest has a hidden class of its own, which takes another 300 bytes.
    return {
        kind: 'busy',
        sentAt,
        remaining: remaining < 0 ? Infinity : remaining,
        fence,
        ticket,
        rank,
        foreign: holder !== '' && holder !== SHARED && readHolder(holder) === undefined,
        holder,
        limit,
    };
}

/** On a node, another attempt of the same acquisition may have the key: its id has another `#<number>`. */
function isOfAcquisition(holder: string, id: string): boolean {
    const name = id.replace(/(?:#\d+)?:$/, '');
    return holder.startsWith(`${name}:`) || holder.startsWith(`${name}#`);
}
