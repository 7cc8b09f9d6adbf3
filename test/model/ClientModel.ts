import { holderOf } from '../../src/engine/port/holder';
import { READER } from '../../src/engine/port/LockStore';
import type { Share } from '../../src/engine/port/LockStore';
import type { BusyReply, Message } from '../../src/testing/LockModel';
import { delayOf, windowOf } from './Command';
import type { Answer, Command, Reply, Shared } from './Command';
import type { Held, Phase, Waiting } from './Phase';
import type { ClientRules } from './rules';

interface Grant {
    readonly fence: number;
    readonly deadline: number;
    readonly promised: number;
    readonly passes: number;
    readonly confirmed: boolean;
}

/**
 * One process with one connection and at most one acquisition at a time, by the rules of Waiters, KeepAlive, GiveUps and
 * RedisStore. Like LockModel it changes in place and copies share what is inside.
 */
export class ClientModel {
    phase: Phase = { kind: 'idle' };
    connected = true;
    /** Messages reach it. */
    listening = true;
    /** Acquisitions so far. */
    started = 0;
    /** Sent on the present connection, in order, not executed yet; or to be sent as soon as there is one. */
    sent: readonly Command[] = [];
    /** Executed; the answer is on its way. Only those that change anything when they arrive, or when they do not. */
    answers: readonly Answer[] = [];
    /** Sent on earlier connections: may still be executed, and nobody hears the answer. */
    late: readonly Command[] = [];
    /** Published to our channel, on a connection of its own. Only those for the acquisition that waits. */
    inbox: readonly Message[] = [];
    /** To be given back in the background. */
    leftovers: readonly Command[] = [];
    /** When it is to be looked whether a hand-off of ours was claimed; Infinity: there is none. */
    followAt = Infinity;

    constructor(
        readonly name: string,
        readonly rules: ClientRules,
    ) {}

    copy(): ClientModel {
        return Object.assign(new ClientModel(this.name, this.rules), this);
    }

    /** The present acquisition. */
    get id(): string | undefined {
        return 'id' in this.phase ? this.phase.id : undefined;
    }

    get isStopped(): boolean {
        return this.phase.kind === 'held' && this.phase.stopped;
    }

    /** It may ask for the key. */
    get mayStart(): boolean {
        if (this.phase.kind !== 'idle' || !this.connected) return false;
        if (!this.rules.chosenHolder || !this.rules.waitsForOutcome) return true;
        // What an earlier connection has left is refused when the release that was sent again has been done.
        const known = [...this.sent, ...this.answers.map(({ command }) => command), ...this.leftovers];
        return known.every(({ kind }) => kind !== 'release');
    }

    believes(now: number): boolean {
        const { phase } = this;
        return phase.kind === 'held' && now < (phase.stopped ? phase.promised : phase.deadline);
    }

    /** Something is to be done by its own clock. */
    isDue(now: number): boolean {
        return this.connected && !this.isStopped && (this.followAt <= now || this._isToLook(now));
    }

    /** Something is to be done at once, by it, the network or the server. */
    isBusy(now: number): boolean {
        const { phase, connected, sent, answers, inbox, leftovers } = this;
        if (phase.kind === 'crashed') return false;
        if (this.isStopped) return connected && sent.length > 0;
        const underWay = connected ? sent.length + answers.length + leftovers.length : 0;
        return underWay + inbox.length > 0 || this.isDue(now);
    }

    start(plain: boolean, share: Share | undefined, now: number): void {
        this.started += 1;
        const own = `${this.name}${this.started}:`;
        this._attempt(
            {
                kind: 'waiting',
                id: this.rules.chosenHolder ? `${this.name}\r${own}` : own,
                share,
                plain,
                attempting: false,
                busy: undefined,
                failed: false,
                astray: false,
                again: false,
                message: undefined,
                wakeAt: Infinity,
            },
            now,
        );
    }

    /** The server has executed a command of the present connection. */
    executed(command: Command, reply: Reply): void {
        if (this._matters(command, reply)) this.answers = [...this.answers, { command, reply }];
    }

    /** The server has published a message on our channel. */
    reached(message: Message): void {
        const matters = this.listening && this.phase.kind === 'waiting' && message.id === this.id;
        if (matters) this.inbox = [...this.inbox, message];
    }

    /** A timer. */
    wake(now: number): void {
        if (this.followAt <= now) {
            this.followAt = Infinity;
            this._send({ kind: 'hand on', id: '' });
        } else if (this.phase.kind === 'waiting') this._attempt({ ...this.phase, wakeAt: Infinity }, now);
    }

    /** The first answer arrives. */
    answered(now: number): void {
        const [answer, ...answers] = this.answers;
        this.answers = answers;
        if (answer === undefined) return;
        const { command, reply } = answer;
        if (this._isToFollow(reply)) this.followAt = now + windowOf(reply);
        if (command.kind === 'release' && reply === 'queued') this._send({ ...command, queued: true });
        else if (isGiving(command) && reply === 'refused') this.leftovers = [...this.leftovers, this._again(command)];
        if (command.id !== this.id) return;
        if (command.kind === 'acquire' && this.phase.kind === 'waiting') {
            this._acquired(this.phase, command, reply, now);
        } else if (command.kind === 'renew' && this.phase.kind === 'held') {
            const phase = { ...this.phase, renewing: false };
            if (reply === 'refused') this.phase = phase;
            else this._renewed(phase, command.sentAt, reply, now);
        } else if (command.kind === 'downgrade' && this.phase.kind === 'held') {
            const isDone = typeof reply === 'object' && 'done' in reply && reply.done;
            const known = { ...this.phase, downgrading: false, unsure: !isDone };
            if (reply !== 'refused') this._renewed(known, command.sentAt, isDone ? 'renewed' : 'gone', now);
            else this.phase = { ...this.phase, downgrading: false };
        }
    }

    /** The first message arrives. */
    heard(now: number): void {
        const [message, ...inbox] = this.inbox;
        this.inbox = inbox;
        const { phase } = this;
        if (message === undefined || phase.kind !== 'waiting') return;
        if (message.kind === 'grant') {
            const { fence, spare, ttl } = message;
            const told = { ...phase, message: { fence, spare, ttl } };
            if (phase.attempting) this.phase = told;
            else this._trustGrant(told, now);
        } else if (phase.attempting) this.phase = { ...phase, again: true };
        else if (phase.busy === undefined || now - phase.busy.sentAt > this.rules.fresh) this._attempt(phase, now);
        else this._sleep(phase, message.taken, now);
    }

    renew(now: number): void {
        if (this.phase.kind !== 'held') return;
        const { id, holder } = this.phase;
        this.phase = { ...this.phase, renewing: true };
        this._send({ kind: 'renew', id, holder, sentAt: now, shared: sharedOf(this.phase) });
    }

    /** From now on it reckons with others beside it. */
    downgrade(now: number): void {
        if (this.phase.kind !== 'held') return;
        const { id, holder } = this.phase;
        this.phase = { ...this.phase, share: READER, unsure: true, downgrading: true };
        this._send({ kind: 'downgrade', id, holder, sentAt: now });
    }

    /** Of a lease. */
    release(): void {
        if (this.phase.kind === 'held') this._end(this._releaseOf(this.phase));
    }

    /** To another caller, who begins with the next fence. */
    passOn(now: number): void {
        const { phase } = this;
        if (phase.kind !== 'held') return;
        this.phase = { ...phase, fence: phase.fence + 1, passes: phase.passes - 1, confirmed: false };
        if (this.rules.confirmsFirst && !phase.renewing) this.renew(now);
    }

    /** The deadline of a lease has passed. */
    lose(): void {
        if (this.phase.kind !== 'held') return;
        // A renewal without an answer may have arrived, and an attempt may arrive yet; without any, the key runs out by itself.
        if (this.rules.keepsAlive || (this.phase.astray && this.rules.buries))
            this._end(this._again(this._releaseOf(this.phase)), false);
        else this._become({ kind: 'idle' });
    }

    /** Of a waiter. */
    giveUp(): void {
        const { phase } = this;
        if (phase.kind !== 'waiting') return;
        const { id, attempting, astray, busy, plain } = phase;
        const underWay = attempting || astray;
        if (underWay || (busy !== undefined && !plain)) this._end({ kind: 'give up', id, underWay }, false);
        else this._become({ kind: 'idle' });
    }

    stop(): void {
        if (this.phase.kind === 'held') this.phase = { ...this.phase, stopped: true };
    }

    resume(now: number): void {
        if (this.phase.kind !== 'held') return;
        this.phase = { ...this.phase, stopped: false };
        if (this.phase.deadline <= now) this.lose();
    }

    crash(): void {
        this.phase = { kind: 'crashed' };
        this.late = [...this.late, ...this.sent];
        this.sent = [];
        this.answers = [];
        this.inbox = [];
        this.leftovers = [];
        this.followAt = Infinity;
    }

    disconnect(now: number): void {
        this.connected = false;
        const unanswered = [...this.answers.map(({ command }) => command), ...this.sent];
        const undone = unanswered.filter(isGiving).map((command) => this._again(command));
        this.leftovers = [...this.leftovers, ...undone];
        this.late = [...this.late, ...this.sent];
        this.sent = [];
        this.answers = [];
        const { phase } = this;
        if (phase.kind === 'held') this.phase = { ...phase, renewing: false, downgrading: false };
        else if (phase.kind === 'waiting' && phase.attempting) this._failed({ ...phase, astray: true }, now);
    }

    disconnectMessages(): void {
        this.listening = false;
        this.inbox = [];
    }

    /** Messages may have been lost: those who wait look again. */
    connect(now: number): void {
        this.connected = true;
        this.listening = true;
        const { phase } = this;
        if (phase.kind !== 'waiting') return;
        if (!phase.attempting) this._attempt(phase, now);
        else if (phase.busy !== undefined) this.phase = { ...phase, again: true };
    }

    /** The first of what is to be given back goes out. */
    cleanUp(): void {
        const [command, ...leftovers] = this.leftovers;
        this.leftovers = leftovers;
        if (command !== undefined) this._send(command);
    }

    /** Whether an answer changes anything when it arrives, or when it does not. */
    private _matters(command: Command, reply: Reply): boolean {
        if (this._isToFollow(reply)) return true;
        // A release that is sent again does harm, if any, only to a later acquisition of the same holder.
        if (isGiving(command) && reply === 'refused') return true;
        if (command.kind === 'release') return reply === 'queued' || this.rules.chosenHolder;
        return command.id === this.id;
    }

    /** A new phase, in which what is on its way to the last one changes nothing. */
    private _become(phase: Phase): void {
        this.phase = phase;
        this.inbox = [];
        this.answers = this.answers.filter(({ command, reply }) => this._matters(command, reply));
    }

    private _isToFollow(reply: Reply): boolean {
        return this.rules.follows && windowOf(reply) > 0;
    }

    private _isToLook(now: number): boolean {
        return this.phase.kind === 'waiting' && !this.phase.attempting && this.phase.wakeAt <= now;
    }

    private _send(command: Command): void {
        this.sent = [...this.sent, command];
    }

    private _releaseOf(phase: Held): Command {
        const { id, holder, astray, contended } = phase;
        const buries = astray && this.rules.buries;
        const queued = contended || buries || this.rules.chosenHolder;
        return { kind: 'release', id, holder, queued, buries, shared: sharedOf(phase) };
    }

    /** A release that is sent again: of an owner the one before it must not end the next lease, too. */
    private _again(command: Command): Command {
        const isOwners = command.kind === 'release' && this.rules.chosenHolder;
        return isOwners ? { ...command, buries: this.rules.buries } : command;
    }

    /** @param first what is given up without a connection may be tried again much later; a release is sent first of all. */
    private _end(command: Command, first = true): void {
        this._become({ kind: 'idle' });
        if (this.connected || first) this._send(command);
        else this.leftovers = [...this.leftovers, command];
    }

    private _attempt(phase: Waiting, now: number): void {
        const { id, plain, busy, share } = phase;
        this.phase = phase;
        // It attempts when it is connected again.
        if (!this.connected) return;
        this.phase = { ...phase, attempting: true, again: false };
        const ticket = plain ? undefined : (busy?.ticket ?? 0);
        const queued = busy !== undefined || this.rules.chosenHolder;
        this._send({ kind: 'acquire', id, sentAt: now, ticket, queued, share });
    }

    private _acquired(before: Waiting, command: Command & { kind: 'acquire' }, reply: Reply, now: number): void {
        const { sentAt } = command;
        const phase = { ...before, attempting: false, failed: false };
        if (reply === 'refused') {
            this.phase = phase;
            this.giveUp();
        } else if (typeof reply === 'object' && 'kind' in reply) {
            switch (reply.kind) {
                case 'taken':
                    if (phase.plain && reply.holder !== '' && !reply.holder.startsWith(phase.id)) {
                        this.phase = phase;
                        this.giveUp();
                    } else this._send({ ...command, sentAt: now, queued: true });
                    return;
                case 'granted': {
                    const { ttl, passes } = this.rules;
                    const deadline = this._deadline(sentAt, ttl, now);
                    const { fence } = reply;
                    const grant = { fence, deadline, promised: sentAt + ttl, confirmed: true };
                    this._believe(phase, { ...grant, passes: reply.reserved ? passes : 0 }, now);
                    return;
                }
                case 'busy':
                    this._stillBusy(phase, reply, sentAt, now);
                    return;
                case 'refused':
                    this._become({ kind: 'idle' });
            }
        }
    }

    private _stillBusy(phase: Waiting, reply: BusyReply, sentAt: number, now: number): void {
        const known: Waiting = { ...phase, busy: { sentAt, fence: reply.clock, ticket: reply.ticket } };
        if (phase.plain) {
            this.phase = known;
            this.giveUp();
        } else if (phase.message !== undefined) this._trustGrant(known, now);
        else if (phase.again) this._attempt(known, now);
        else this._sleep(known, delayOf(reply, this.rules), now);
    }

    private _sleep(phase: Waiting, delay: number, now: number): void {
        const { hasTimer, heartbeat } = this.rules;
        this.phase = { ...phase, wakeAt: hasTimer ? now + Math.min(heartbeat, delay) : Infinity };
    }

    private _trustGrant(phase: Waiting, now: number): void {
        const { message, busy, failed } = phase;
        const { comparesFence, ttl, wantsEnoughLeft } = this.rules;
        const looked = { ...phase, message: undefined };
        if (message !== undefined && busy !== undefined && !failed) {
            const { fence, spare } = message;
            const deadline = this._deadline(busy.sentAt, message.ttl, now);
            const newer = fence > busy.fence || !comparesFence;
            const enough = deadline - now >= message.ttl / 2 || !wantsEnoughLeft;
            if (newer && enough) {
                const grant = { fence, deadline, promised: now + ttl, passes: spare, confirmed: false };
                this._believe(looked, grant, now);
                return;
            }
        }
        this._attempt(looked, now);
    }

    private _deadline(sentAt: number, ttl: number, now: number): number {
        return ttl + (this.rules.countsFromSend ? sentAt : now);
    }

    private _believe(phase: Waiting, grant: Grant, now: number): void {
        const { id, astray, busy, share } = phase;
        // An answer may take longer than the lease lasts; a message was looked at before.
        if (grant.confirmed && grant.deadline <= now) {
            this._failed({ ...phase, astray: true }, now);
            return;
        }
        const { confirmsFirst, passes, reserves } = this.rules;
        this._become({
            kind: 'held',
            ...grant,
            id,
            holder: holderOf(id, grant.fence),
            passes: astray ? 0 : reserves ? grant.passes : passes,
            astray,
            contended: busy !== undefined,
            share,
            unsure: false,
            downgrading: false,
            renewing: false,
            stopped: false,
        });
        if (!grant.confirmed && confirmsFirst) this.renew(now);
    }

    private _renewed(phase: Held, sentAt: number, reply: Reply, now: number): void {
        const { ttl } = this.rules;
        const deadline = Math.max(phase.deadline, this._deadline(sentAt, ttl, now));
        const promised = Math.max(phase.promised, sentAt + ttl);
        this.phase = { ...phase, deadline, promised, confirmed: true };
        if (reply === 'gone') this.lose();
    }

    /** An attempt has no answer, or one that came too late. */
    private _failed(phase: Waiting, now: number): void {
        this.phase = { ...phase, attempting: false, failed: true, again: false, message: undefined };
        if (phase.plain) this.giveUp();
        else this._sleep(this.phase, this.rules.pause, now);
    }
}

function sharedOf({ share, unsure }: Held): Shared {
    return unsure ? undefined : share !== undefined;
}

/** Whether a command gives something back: it is tried until it is answered. */
function isGiving({ kind }: Command): boolean {
    return kind === 'release' || kind === 'give up';
}
