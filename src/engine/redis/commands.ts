import type { LockError } from '../port/errors';
import type { AcquireAnswer, Callback, Renewal, RenewAnswer } from '../port/LockStore';
import type { ReservingRequest } from '../port/ReservingRequest';
import { deadlineOf } from '../port/validity';
import type { CommandContext } from './CommandContext';
import type { AcquireQueuedReply, AcquireReply } from './scripts/acquire';
import type { ReleaseQueuedReply, ReleaseReply } from './scripts/release';
import type { RenewReply } from './scripts/renew';
import { requestOf } from './scripts/request';
import type { Script } from './scripts/Script';
import type { Command, CommandRequest } from './servers/RedisServers';
import { keysOf } from './slots';
import type { LockKeys } from './slots';

/*
 * The commands of which very many are under way at a time. Their cost is memory: so they are classes, and make their keys and
 * arguments when they are sent.
 */

const NONE: readonly string[] = [];

/** Asks for a key that may well be free. */
export class AcquireCommand implements Command<AcquireReply> {
    constructor(
        readonly request: ReservingRequest,
        readonly callback: Callback<AcquireAnswer>,
        private readonly _context: CommandContext,
        private readonly _done: (command: AcquireCommand, reply: AcquireReply, sentAt: number) => void,
    ) {}

    get script(): Script<AcquireReply> {
        return this.request.share === undefined ? this._context.acquire : this._context.acquireShared;
    }

    get key(): string {
        return this.request.key;
    }

    get keys(): readonly [string, ...string[]] {
        const keys = keysOf(this._context.prefix + this.request.key);
        return this.request.share === undefined ? [keys[0], keys[1]] : keys;
    }

    get args(): readonly string[] {
        const { id, share, ttl } = this.request;
        return [id, requestOf(ttl, 0, share)];
    }

    after(): readonly string[] {
        return hintOf(this.request, this._context);
    }

    done(reply: AcquireReply, sentAt: number): void {
        this._done(this, reply, sentAt);
    }

    failed(error: LockError): void {
        this.callback(error);
    }
}

/** Asks for a key that others have or wait for. */
export class AcquireQueuedCommand implements Command<AcquireQueuedReply> {
    constructor(
        readonly request: ReservingRequest,
        readonly callback: Callback<AcquireAnswer>,
        private readonly _context: CommandContext,
        private readonly _done: (command: AcquireQueuedCommand, reply: AcquireQueuedReply, sentAt: number) => void,
    ) {}

    get script(): Script<AcquireQueuedReply> {
        return this._context.acquireQueued;
    }

    get key(): string {
        return this.request.key;
    }

    get keys(): LockKeys {
        return queuedKeysOf(this._context.prefix + this.request.key, this.request.share !== undefined);
    }

    get args(): readonly string[] {
        const { id, share, spare, ticket, ttl } = this.request;
        return [id, requestOf(ttl, spare, share), ticket === undefined ? '' : String(ticket)];
    }

    before(channel: string): readonly string[] {
        return [channel];
    }

    after(): readonly string[] {
        return hintOf(this.request, this._context);
    }

    done(reply: AcquireQueuedReply, sentAt: number): void {
        this._done(this, reply, sentAt);
    }

    failed(error: LockError): void {
        this.callback(error);
    }
}

/** What is given back. */
export interface Giving {
    readonly key: string;
    /** Undefined: nobody's. */
    readonly holder?: string | undefined;
    /** Of an acquisition that is given up, or of an owner's that is released. */
    readonly id?: string | undefined;
    readonly underWay?: boolean;
    /** @see ReleaseRequest.keptUntil */
    readonly keptUntil?: number | undefined;
    /** @see ReleaseRequest.shared */
    readonly shared?: boolean | undefined;
}

/** Gives back a key for which perhaps nobody waits. */
export class ReleaseCommand implements Command<ReleaseReply> {
    constructor(
        readonly giving: Giving & { readonly holder: string },
        private readonly _shared: boolean,
        private readonly _context: CommandContext,
        private readonly _done: (command: ReleaseCommand, reply: ReleaseReply) => void,
        readonly failed: (error: LockError) => void,
    ) {}

    get script(): Script<ReleaseReply> {
        return this._shared ? this._context.releaseShared : this._context.release;
    }

    get key(): string {
        return this.giving.key;
    }

    get keys(): readonly [string, ...string[]] {
        const keys = keysOf(this._context.prefix + this.giving.key);
        return this._shared ? keys : [keys[0], keys[1]];
    }

    get args(): readonly string[] {
        return [this.giving.holder];
    }

    done(reply: ReleaseReply): void {
        this._done(this, reply);
    }
}

/** Gives back a key for which others wait, or a place in line. */
export class ReleaseQueuedCommand implements Command<ReleaseQueuedReply> {
    constructor(
        readonly giving: Giving,
        private readonly _context: CommandContext,
        private readonly _pause: () => string,
        private readonly _done: (command: ReleaseQueuedCommand, reply: ReleaseQueuedReply) => void,
        readonly failed: (error: LockError) => void,
    ) {}

    get script(): Script<ReleaseQueuedReply> {
        return this._context.releaseQueued;
    }

    get key(): string {
        return this.giving.key;
    }

    get keys(): LockKeys {
        return queuedKeysOf(this._context.prefix + this.giving.key, this.giving.shared === true);
    }

    get args(): readonly string[] {
        const { holder = '', id = '', keptUntil, underWay = false } = this.giving;
        const keep = keptUntil === undefined ? 0 : keptUntil - this._context.clock.now();
        return [holder, id, underWay ? '1' : '0', String(Math.max(Math.ceil(keep), 0))];
    }

    before(): readonly string[] {
        return [this._pause()];
    }

    after(): readonly string[] {
        return this._context.hinted ? ['0'] : NONE;
    }

    done(reply: ReleaseQueuedReply): void {
        this._done(this, reply);
    }
}

/** Asks for a renewal. */
export class RenewRequest<
    Subject extends Pick<Renewal, 'key' | 'holder' | 'ttl' | 'shared'>,
> implements CommandRequest<RenewReply> {
    constructor(
        protected readonly subject: Subject,
        protected readonly context: CommandContext,
    ) {}

    get script(): Script<RenewReply> {
        return this.subject.shared === true ? this.context.renewShared : this.context.renew;
    }

    get key(): string {
        return this.subject.key;
    }

    get keys(): readonly [string, ...string[]] {
        const key = this.context.prefix + this.subject.key;
        return this.subject.shared === true ? [key, keysOf(key)[3]] : [key];
    }

    get args(): readonly string[] {
        return [this.subject.holder, String(this.subject.ttl)];
    }
}

/** Renews a lease. */
export class RenewCommand extends RenewRequest<Renewal> implements Command<RenewReply> {
    done(reply: RenewReply, sentAt: number): void {
        this.subject.answered(renewalOf(reply, deadlineOf(sentAt, this.subject.ttl, this.context.drift)));
    }

    failed(error: LockError): void {
        this.subject.answered(error);
    }
}

/** What a store answers to a renewal. */
export function renewalOf(reply: RenewReply, deadline: number): RenewAnswer {
    return reply === 'gone' ? { kind: 'gone' } : { kind: 'renewed', deadline };
}

function hintOf({ hint = 0 }: ReservingRequest, { hinted }: CommandContext): readonly string[] {
    return hinted ? [String(Math.floor(hint))] : NONE;
}

/** The sharers are named only by those who share the key, see lock.lua. */
function queuedKeysOf(stored: string, shares: boolean): LockKeys {
    const [key, queue, waiters, sharers] = keysOf(stored);
    return [key, queue, waiters, shares ? sharers : waiters];
}
