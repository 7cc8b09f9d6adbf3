import type { ClientModel } from './ClientModel';
import type { Share } from '../../src/engine/port/LockStore';
import { delayOf, windowOf } from './Command';
import type { Answer, Command, Shared } from './Command';
import type { Told } from './Phase';
import type { World } from './World';

/**
 * A text that two worlds share only if the same can happen in both, but for the names of the clients. Instants count from now
 * and only as far as they matter, fences and tickets by their order, acquisitions back from the present one, and what nobody
 * reads any more is left out.
 */
export function canonical(world: World): string {
    const [order, ...others] = orders(world.clients);
    let least = new Canonical(world, order ?? []).text;
    for (const other of others) {
        const { text } = new Canonical(world, other);
        if (text < least) least = text;
    }
    return least;
}

/** The clients without their names: heaviest last, those of the same weight in every order. */
function orders(clients: readonly ClientModel[]): (readonly ClientModel[])[] {
    const [one, other] = clients;
    if (one !== undefined && other !== undefined && clients.length === 2) {
        const more = weight(one) - weight(other);
        if (more !== 0) return [more < 0 ? clients : [other, one]];
    }
    if (clients.length < 2) return [clients];
    const weights = clients.map(weight);
    const least = Math.min(...weights);
    return clients.flatMap((first, at) => {
        if (weights[at] !== least) return [];
        return orders(clients.filter((client) => client !== first)).map((others) => [first, ...others]);
    });
}

class Canonical {
    readonly text: string;
    private readonly _now: number;
    private readonly _fences: readonly number[];
    private readonly _tickets: readonly number[];

    constructor(
        private readonly _world: World,
        private readonly _clients: readonly ClientModel[],
    ) {
        this._now = _world.now;
        this._fences = fencesOf(_world).sort(ascending);
        this._tickets = ticketsOf(_world).sort(ascending);
        let text = this._server();
        for (const client of this._clients) text += this._client(client);
        this.text = text;
    }

    private _server(): string {
        const { server, holder, foreignUntil, lastFence, lastHolder, voided, options } = this._world;
        let text =
            this._fence(lastFence) +
            this._fence(this._world.lastAlone) +
            digit(this._fences.filter((fence) => fence <= voided).length) +
            this._left(foreignUntil) +
            flags(
                server.clock !== undefined,
                (server.clock?.value ?? Infinity) < lastFence,
                server.queue.value.length > 0,
            );
        if (holder !== undefined) text += this._holder(holder) + this._left(server.key?.expires);
        text += this._sharers();
        if (options.yields) text += this._left(server.freeUntil);
        if (options.client.chosenHolder) text += this._holder(lastHolder);
        for (const { id, score } of server.queue.value) {
            if (score < 0) continue;
            const record = server.waiters.value.find((one) => one.id === id);
            text += `/${this._id(id)}${this._ticket(score)}${record === undefined ? '-' : this._left(record.lease)}`;
            text += this._share(record?.share);
        }
        return text;
    }

    private _sharers(): string {
        const { server } = this._world;
        if (!server.tellsSharers) return '';
        const { members } = server.sharers.value;
        const told = members.map(
            ({ end, fence, member, permits }) =>
                `+${this._holder(member)}${this._left(end)}${this._fence(fence)}${digit(permits)}`,
        );
        return told.sort().join('');
    }

    /** Which of those that may be asked for; one that has come to share the key is a reader. */
    private _share(share: Share | undefined): string {
        const { shares } = this._world.options;
        return shares.length === 1 && !this._world.options.downgrades ? '' : digit(shares.indexOf(share) + 1);
    }

    private _client(client: ClientModel): string {
        const { name, connected, listening, sent, answers, late, inbox, leftovers } = client;
        const { server, options } = this._world;
        let text = flags(connected, listening, server.channels.has(name)) + this._phase(client);
        if (client.followAt !== Infinity) text += `f${this._left(client.followAt)}`;
        for (const command of sent) text += `>${this._command(command, true)}`;
        for (const answer of answers) text += `<${this._answer(answer, client)}`;
        for (const command of late) text += `~${this._command(command, false)}`;
        for (const command of leftovers) text += `_${this._command(command, false)}`;
        for (const message of inbox) {
            text +=
                message.kind === 'first'
                    ? `(${digit(Math.min(message.taken, options.client.heartbeat))}`
                    : `)${this._grant(client, message)}`;
        }
        for (const { id, score } of server.queue.value) {
            if (score > 0) continue;
            const isAwaited = [...sent, ...late].some((one) => one.kind === 'acquire' && one.id === id);
            if (isAwaited) text += `x${this._id(id)}`;
        }
        return text;
    }

    private _phase(client: ClientModel): string {
        const { phase } = client;
        const { options } = this._world;
        switch (phase.kind) {
            case 'idle':
                return 'i';
            case 'crashed':
                return 'c';
            case 'waiting': {
                const { plain, attempting, astray, busy, failed, again, message, wakeAt } = phase;
                let text = `w${flags(plain, attempting, failed, again, astray)}${this._left(wakeAt)}${this._share(phase.share)}`;
                if (busy !== undefined) text += this._age(busy.sentAt) + this._ticket(busy.ticket);
                if (message !== undefined) text += `m${this._grant(client, message)}`;
                return text;
            }
            case 'held': {
                const { astray, confirmed, contended, renewing, stopped, fence, deadline, passes, promised } = phase;
                const isValid = fence > this._world.voided;
                const { downgrading, share, unsure } = phase;
                let text = `h${flags(confirmed, renewing, isValid)}${flags(astray, contended, stopped)}`;
                text += this._share(share) + (options.downgrades ? flags(downgrading, unsure) : '');
                const times = this._left(deadline) + (this._mayStop || stopped ? this._left(promised) : '');
                const named = this._holder(phase.holder);
                return text + times + named + (client.rules.passes === 0 ? '' : digit(passes) + this._fence(fence));
            }
        }
    }

    /** Whether it matters until when somebody that is stopped relies on its lease. */
    private get _mayStop(): boolean {
        const { faults, options } = this._world;
        return faults < options.faults && options.kinds.includes('stop');
    }

    private _command(command: Command, heard: boolean): string {
        const id = this._id(command.id);
        switch (command.kind) {
            case 'acquire': {
                const { ticket, sentAt, queued } = command;
                const text = `a${id}${flags(queued)}${ticket === undefined ? '-' : this._ticket(ticket)}`;
                return text + this._share(command.share) + (heard ? this._age(sentAt) : '');
            }
            case 'renew':
            case 'downgrade': {
                const kind = command.kind === 'renew' ? `n${shared(command.shared)}` : 'd';
                return `${kind}${id}${this._holder(command.holder)}${heard ? this._age(command.sentAt) : ''}`;
            }
            case 'release': {
                const kind = `r${shared(command.shared)}`;
                return `${kind}${id}${this._holder(command.holder)}${flags(command.queued, command.buries)}`;
            }
            case 'give up':
                return `g${id}${flags(command.underWay)}`;
            case 'hand on':
                return 'o';
        }
    }

    /** A message of a grant: whether it is newer than an answer is all that matters of the fence in that. */
    private _grant({ phase, answers }: ClientModel, { fence, ttl, spare }: Told): string {
        let text = digit(ttl) + digit(spare) + this._fence(fence);
        if (phase.kind === 'waiting') text += flags(fence > (phase.busy?.fence ?? 0));
        for (const { reply } of answers) {
            if (typeof reply === 'object' && 'clock' in reply) text += flags(fence > reply.clock);
        }
        return text;
    }

    private _answer({ command, reply }: Answer, { rules }: ClientModel): string {
        const asked = this._command(command, true) + (rules.follows ? digit(windowOf(reply)) : '');
        if (typeof reply === 'string') return asked + reply;
        if ('done' in reply) return asked + flags(reply.done);
        if (!('kind' in reply)) return asked;
        switch (reply.kind) {
            case 'refused':
                return `${asked}x`;
            case 'granted':
                return `${asked}g${flags(reply.reserved)}${this._fence(reply.fence)}`;
            case 'taken':
                return `${asked}t${reply.holder === '' ? '' : this._holder(reply.holder)}`;
            case 'busy': {
                const delay = Math.min(delayOf(reply, rules), rules.heartbeat);
                return `${asked}b${this._ticket(reply.ticket)}${digit(delay)}`;
            }
        }
    }

    /** Whose acquisition, and which: 0 is the present one of that client. */
    private _id(id: string): string {
        const own = id.slice(id.indexOf('\r') + 1);
        for (const [at, { name, started }] of this._clients.entries()) {
            const number = own.startsWith(name) ? own.slice(name.length, -1) : '';
            if (number >= '0' && number <= '9~') return digit(at) + digit(started - Number(number));
        }
        return id;
    }

    /** What a key holds: an acquisition with its fence, a name that was chosen, or another's. */
    private _holder(holder: string): string {
        const end = holder.indexOf(':') + 1;
        if (end > 0) return this._id(holder.slice(0, end)) + this._fence(Number(holder.slice(end)));
        const at = this._clients.findIndex(({ name }) => name === holder);
        return at < 0 ? holder : digit(at);
    }

    private _fence(fence: number | undefined): string {
        return fence === undefined ? '-' : rank(this._fences, fence);
    }

    private _ticket(ticket: number): string {
        return rank(this._tickets, ticket);
    }

    /** Until an instant: one that has passed has passed. */
    private _left(instant: number | undefined): string {
        if (instant === undefined || instant === Infinity) return '*';
        return digit(Math.max(instant - this._now, 0));
    }

    /** Since an instant: no lease of a longer time ago still runs. */
    private _age(instant: number): string {
        return digit(Math.min(this._now - instant, this._world.options.client.ttl));
    }
}

/** The fences that are compared with each other, also those in what is asked for by holder. */
function fencesOf({ server, holder, lastAlone, lastFence, clients }: World): number[] {
    const fences = [lastFence, lastAlone];
    if (server.tellsSharers) for (const { fence } of server.sharers.value.members) fences.push(fence);
    if (server.key !== undefined && holder !== undefined) addFence(fences, holder);
    for (const { phase, inbox, answers, sent, late, leftovers, rules } of clients) {
        for (const message of inbox) if (message.kind === 'grant') fences.push(message.fence);
        for (const { command, reply } of answers) {
            if ('holder' in command) addFence(fences, command.holder);
            if (typeof reply !== 'object' || !('kind' in reply)) continue;
            if (reply.kind === 'granted') fences.push(reply.fence);
            else if (reply.kind === 'taken') addFence(fences, reply.holder);
        }
        for (const command of sent) if ('holder' in command) addFence(fences, command.holder);
        for (const command of late) if ('holder' in command) addFence(fences, command.holder);
        for (const command of leftovers) if ('holder' in command) addFence(fences, command.holder);
        if (phase.kind === 'waiting' && phase.message !== undefined) fences.push(phase.message.fence);
        if (phase.kind !== 'held') continue;
        addFence(fences, phase.holder);
        for (let more = 0; rules.passes > 0 && more <= phase.passes; more++) fences.push(phase.fence + more);
    }
    return fences;
}

function addFence(fences: number[], holder: string): void {
    const end = holder.indexOf(':');
    if (end >= 0) fences.push(Number(holder.slice(end + 1)));
}

function ticketsOf({ server, clients }: World): number[] {
    const tickets = [0];
    for (const { score } of server.queue.value) if (score > 0) tickets.push(score);
    for (const { phase, sent, late, answers } of clients) {
        if (phase.kind === 'waiting' && phase.busy !== undefined) tickets.push(phase.busy.ticket);
        for (const command of sent) if (command.kind === 'acquire') tickets.push(command.ticket ?? 0);
        for (const command of late) if (command.kind === 'acquire') tickets.push(command.ticket ?? 0);
        for (const { command, reply } of answers) {
            if (command.kind === 'acquire') tickets.push(command.ticket ?? 0);
            if (typeof reply === 'object' && 'ticket' in reply) tickets.push(reply.ticket);
        }
    }
    return tickets;
}

function shared(known: Shared): string {
    return known === undefined ? '?' : known ? '+' : '';
}

const KINDS = ['idle', 'crashed', 'waiting', 'held'] as const;

function weight({ phase, sent, answers, inbox, late, connected }: ClientModel): number {
    const kind = KINDS.indexOf(phase.kind);
    const under = (((kind * 8 + sent.length) * 8 + answers.length) * 8 + inbox.length) * 8 + late.length;
    return under * 2 + (connected ? 1 : 0);
}

function ascending(one: number, other: number): number {
    return one - other;
}

/** How many different ones are smaller. */
function rank(sorted: readonly number[], number: number): string {
    let smaller = 0;
    for (let at = 0; at < sorted.length && sorted[at] !== number; at++) if (sorted[at] !== sorted[at + 1]) smaller += 1;
    return digit(smaller);
}

function flags(...set: boolean[]): string {
    let number = 0;
    for (const flag of set) number = 2 * number + (flag ? 1 : 0);
    return digit(number);
}

/** Numbers here are small; each takes one character. */
function digit(number: number): string {
    return String.fromCharCode(48 + number);
}
