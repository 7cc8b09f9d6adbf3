import type { LockError } from '../port/errors';
import type { AcquireAnswer, AcquireRequest, Asker, ReleaseAnswer, Renewal, RenewAnswer } from '../port/LockStore';
import type { AcquireReply } from './scripts/acquire';
import type { ReleaseReply } from './scripts/release';
import { renewScript } from './scripts/renew';
import type { RenewReply } from './scripts/renew';
import type { Script } from './scripts/Script';
import { keysOf } from './slots';
import type { LockKeys } from './slots';
import { deadlineOf } from '../port/validity';
import type { Command, CommandRequest } from './servers/RedisServers';

/*
 * The steps of which there are very many under way at a time. Most of what they cost is memory: so they are classes, whose
 * keys and arguments are made when they are sent.
 */

/** What all steps of a store that ask for a key have in common. */
export interface Acquiring {
    readonly script: Script<AcquireReply>;
    readonly prefix: string;
    readonly done: (step: AcquireCommand, reply: AcquireReply, sentAt: number) => void;
}

/** Asks for a key. */
export class AcquireCommand implements Command<AcquireReply> {
    constructor(
        readonly request: AcquireRequest,
        readonly asker: Asker<AcquireAnswer>,
        private readonly _common: Acquiring,
    ) {}

    get script(): Script<AcquireReply> {
        return this._common.script;
    }

    get key(): string {
        return this.request.key;
    }

    get keys(): LockKeys {
        return keysOf(this._common.prefix + this.key);
    }

    get args(): readonly string[] {
        const { holder, id, ttl, ticket, spare = 0, before } = this.request;
        const asked = spare === 0 ? String(ttl) : `${ttl}+${spare}`;
        const after = before === undefined ? '' : ` ${before}`;
        return [holder, id === holder ? '' : id, asked, ticket === undefined ? '' : `${ticket}${after}`];
    }

    common(channel: string): readonly string[] {
        return [channel];
    }

    done(reply: AcquireReply, sentAt: number): void {
        this._common.done(this, reply, sentAt);
    }

    failed(error: LockError): void {
        this.asker.answered(error);
    }
}

/** What all steps of a store that give something back have in common. */
export interface Releasing {
    readonly script: Script<ReleaseReply>;
    readonly prefix: string;
    readonly yield: string;
    readonly done: (step: ReleaseCommand, reply: ReleaseReply) => void;
}

/** Gives something back. */
export class ReleaseCommand implements Command<ReleaseReply> {
    constructor(
        readonly key: string,
        readonly args: readonly string[],
        readonly asker: Asker<ReleaseAnswer>,
        private readonly _common: Releasing,
    ) {}

    get script(): Script<ReleaseReply> {
        return this._common.script;
    }

    get keys(): LockKeys {
        return keysOf(this._common.prefix + this.key);
    }

    common(): readonly string[] {
        return [this._common.yield];
    }

    done(reply: ReleaseReply): void {
        this._common.done(this, reply);
    }

    failed(error: LockError): void {
        this.asker.answered(error);
    }
}

/** Asks for a renewal. */
export class RenewRequest<
    Subject extends Pick<Renewal, 'key' | 'holder' | 'ttl'>,
> implements CommandRequest<RenewReply> {
    constructor(
        protected readonly subject: Subject,
        private readonly _prefix: string,
    ) {}

    get script(): typeof renewScript {
        return renewScript;
    }

    get key(): string {
        return this.subject.key;
    }

    get keys(): readonly [lock: string, memory: string] {
        const [lock, , , memory] = keysOf(this._prefix + this.subject.key);
        return [lock, memory];
    }

    get args(): readonly string[] {
        return [this.subject.holder, String(this.subject.ttl)];
    }
}

/** Renews a lease. */
export class RenewCommand extends RenewRequest<Renewal> implements Command<RenewReply> {
    constructor(
        renewal: Renewal,
        prefix: string,
        private readonly _drift: number | undefined,
    ) {
        super(renewal, prefix);
    }

    done(reply: RenewReply, sentAt: number): void {
        this.subject.answered(answerOf(reply, deadlineOf(sentAt, this.subject.ttl, this._drift)));
    }

    failed(error: LockError): void {
        this.subject.answered(error);
    }
}

/** What a store answers to a renewal. */
export function answerOf(reply: RenewReply, deadline: number): RenewAnswer {
    return reply === 'gone' ? { kind: 'gone' } : { kind: 'renewed', deadline };
}
