import type { Message } from '../../src/engine/redis/scripts/grant';
import { delayOf, windowOf } from './Command';
import type { Answer, Busy, Command, Release, Reply } from './Command';
import type { Held, Phase, Waiting } from './Phase';
import type { ClientRules } from './rules';

/**
 * One process with one connection and at most one acquisition at a time, by the rules of Waiters, KeepAlive, Cleanup and
 * RedisStore. Like ScriptModel it changes in place and copies share what is inside.
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

    holderOf(id: string): string {
        return this.rules.chosenHolder ? this.name : id;
    }

    believes(now: number): boolean {
        return this.phase.kind === 'held' && now < this.phase.deadline;
    }

    /** Something is to be done by its own clock. */
    isDue(now: number): boolean {
        return this.connected && (this.followAt <= now || this._isToLook(now));
    }

    /** Something is to be done at once, by it, the network or the server. */
    isBusy(now: number): boolean {
        const { phase, connected, sent, answers, inbox, leftovers } = this;
        if (phase.kind === 'crashed') return false;
        const underWay = connected ? sent.length + answers.length + leftovers.length : 0;
        return underWay + inbox.length > 0 || this.isDue(now);
    }

    start(plain: boolean, now: number, before?: string): void {
        this.started += 1;
        const phase: Waiting = {
            kind: 'waiting',
            id: `${this.name}${this.started}`,
            plain,
            attempting: false,
            busy: undefined,
            failed: false,
            again: false,
            message: undefined,
            wakeAt: Infinity,
        };
        this._attempt(phase, now, before);
    }

    /** The server has executed a command of the present connection. */
    executed(command: Command, reply: Reply): void {
        // A release that is sent again does harm, if any, only to a later acquisition of the same holder.
        const matters = command.kind === 'release' ? this.rules.chosenHolder : command.id === this.id;
        if (matters || this._isToFollow(reply)) this.answers = [...this.answers, { command, reply }];
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
        if (command.id !== this.id) return;
        if (command.kind === 'acquire' && this.phase.kind === 'waiting') {
            this._acquired({ ...this.phase, attempting: false, failed: false }, command.sentAt, reply, now);
        } else if (command.kind === 'renew' && this.phase.kind === 'held') {
            this._renewed({ ...this.phase, renewing: false }, command.sentAt, reply, now);
        }
    }

    /** The first message arrives. */
    heard(now: number): void {
        const [message, ...inbox] = this.inbox;
        this.inbox = inbox;
        const { phase } = this;
        if (message === undefined || phase.kind !== 'waiting') return;
        if (message.kind === 'grant') {
            const told = { ...phase, message: { fence: message.fence, ttl: message.ttl } };
            if (phase.attempting) this.phase = told;
            else this._trustGrant(told, now);
        } else if (phase.attempting || phase.busy === undefined) this.phase = { ...phase, again: true };
        else if (now - phase.busy.sentAt > this.rules.fresh) this._attempt(phase, now);
        else this._sleep(phase, message.taken, now);
    }

    renew(now: number): void {
        if (this.phase.kind !== 'held') return;
        this.phase = { ...this.phase, renewing: true };
        this._send({ kind: 'renew', id: this.phase.id, sentAt: now });
    }

    /** Of a lease. */
    release(): void {
        if (this.phase.kind === 'held')
            this._end({ kind: 'release', id: this.phase.id, givesUp: false, tombstone: false });
    }

    /** To another caller, who begins with the next fence. */
    passOn(): void {
        const { phase } = this;
        if (phase.kind !== 'held') return;
        this.phase = { ...phase, fence: phase.fence + 1, passes: phase.passes - 1, confirmed: false };
    }

    /** Gives a lease back in the step in which another caller asks for one. */
    exchange(now: number): void {
        if (this.phase.kind !== 'held') return;
        const before = this.phase.id;
        this._become({ kind: 'idle' });
        this.start(false, now, before);
    }

    /** The deadline of a lease has passed. */
    lose(): void {
        if (this.phase.kind !== 'held') return;
        const { id } = this.phase;
        // A renewal without an answer may have arrived; without any, the key runs out by itself.
        if (this.rules.keepsAlive) this._end({ kind: 'release', id, givesUp: true, tombstone: false });
        else this._become({ kind: 'idle' });
    }

    /** Of a waiter. */
    giveUp(underWay = this.phase.kind === 'waiting' && this.phase.attempting): void {
        if (this.phase.kind !== 'waiting') return;
        this._end({ kind: 'release', id: this.phase.id, givesUp: true, tombstone: underWay });
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
        const undone = unanswered.flatMap((one): Command[] => {
            if (one.kind === 'release') return [{ ...one, givesUp: true }];
            if (one.kind !== 'acquire' || one.before === undefined) return [];
            return [{ kind: 'release', id: one.before, givesUp: true, tombstone: false }];
        });
        this.leftovers = [...this.leftovers, ...undone];
        this.late = [...this.late, ...this.sent];
        this.sent = [];
        this.answers = [];
        const { phase } = this;
        if (phase.kind === 'held') this.phase = { ...phase, renewing: false };
        else if (phase.kind === 'waiting' && phase.attempting) this._failed({ ...phase, attempting: false }, now);
    }

    disconnectMessages(): void {
        this.listening = false;
        this.inbox = [];
    }

    /** Messages may have been lost: whoever waits looks again. */
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

    /** A new phase, in which what is on its way to the last one changes nothing. */
    private _become(phase: Phase): void {
        this.phase = phase;
        this.inbox = [];
        const matters = ({ command, reply }: Answer): boolean => command.kind === 'release' || this._isToFollow(reply);
        this.answers = this.answers.filter(matters);
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

    private _end(command: Release): void {
        this._become({ kind: 'idle' });
        // What is given up without a connection may be tried again much later; a release is sent first of all.
        if (this.connected || !command.givesUp) this._send(command);
        else this.leftovers = [...this.leftovers, command];
    }

    private _attempt(phase: Waiting, now: number, before?: string): void {
        const { id, plain, busy } = phase;
        this.phase = phase;
        // It attempts when it is connected again.
        if (!this.connected) return;
        this.phase = { ...phase, attempting: true };
        this._send({ kind: 'acquire', id, sentAt: now, ticket: plain ? undefined : (busy?.ticket ?? 0), before });
    }

    private _acquired(phase: Waiting, sentAt: number, reply: Reply, now: number): void {
        if (typeof reply === 'string') return;
        switch (reply.kind) {
            case 'released':
            case 'already':
            case 'gone':
                return;
            case 'granted':
                this._believe(phase, reply.fence, this._deadline(sentAt, this.rules.ttl, now), true, now);
                return;
            case 'busy':
                this._stillBusy(phase, { ...reply, sentAt }, now);
                return;
            case 'refused':
                this._become({ kind: 'idle' });
        }
    }

    private _stillBusy(phase: Waiting, busy: Busy & { sentAt: number }, now: number) {
        const { sentAt, fence, ticket } = busy;
        const known: Waiting = { ...phase, busy: { sentAt, fence, ticket } };
        if (phase.plain) this._become({ kind: 'idle' });
        else if (phase.message !== undefined) this._trustGrant(known, now);
        else if (phase.again) this._attempt({ ...known, again: false }, now);
        else this._sleep(known, delayOf(busy, this.rules), now);
    }

    private _sleep(phase: Waiting, delay: number, now: number): void {
        const { hasTimer, heartbeat } = this.rules;
        this.phase = { ...phase, wakeAt: hasTimer ? now + Math.min(heartbeat, delay) : Infinity };
    }

    private _trustGrant(phase: Waiting, now: number): void {
        const { message, busy, failed } = phase;
        const { comparesFence, wantsEnoughLeft } = this.rules;
        const looked = { ...phase, message: undefined };
        if (message !== undefined && busy !== undefined && !failed) {
            const deadline = this._deadline(busy.sentAt, message.ttl, now);
            const newer = message.fence > busy.fence || !comparesFence;
            const enough = deadline - now >= message.ttl / 2 || !wantsEnoughLeft;
            if (newer && enough) {
                this._believe(looked, message.fence, deadline, false, now);
                return;
            }
        }
        this._attempt(looked, now);
    }

    private _deadline(sentAt: number, ttl: number, now: number): number {
        return ttl + (this.rules.countsFromSend ? sentAt : now);
    }

    private _believe(phase: Waiting, fence: number, deadline: number, confirmed: boolean, now: number): void {
        // An answer may take longer than the lease lasts; a message was looked at before.
        if (confirmed && deadline <= now) this._failed(phase, now);
        else {
            const { passes } = this.rules;
            const held = { id: phase.id, fence: fence - passes, deadline, confirmed, renewing: false, passes };
            this._become({ kind: 'held', ...held });
        }
    }

    private _renewed(phase: Held, sentAt: number, reply: Reply, now: number): void {
        const deadline = Math.max(phase.deadline, this._deadline(sentAt, this.rules.ttl, now));
        this.phase = { ...phase, deadline, confirmed: true };
        if (reply === 'gone') this.lose();
    }

    /** An attempt has no answer, or one that came too late. */
    private _failed(phase: Waiting, now: number): void {
        const failed: Waiting = { ...phase, failed: true, again: false, message: undefined };
        this.phase = failed;
        if (phase.busy === undefined) this.giveUp(true);
        else this._sleep(failed, this.rules.pause, now);
    }
}
