import type { ClientModel } from './ClientModel';
import { delayOf, windowOf } from './Command';
import type { Answer, Command } from './Command';
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
function orders(clients: readonly ClientModel[]): ClientModel[][] {
    if (clients.length < 2) return [[...clients]];
    const weights = clients.map(weight);
    const least = Math.min(...weights);
    return clients.flatMap((one, at) => {
        if (weights[at] !== least) return [];
        return orders(clients.filter((client) => client !== one)).map((others) => [one, ...others]);
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
        const memory = server.memory?.value;
        let text =
            this._fence(lastFence) +
            digit(this._fences.filter((fence) => fence <= voided).length) +
            this._fence(memory?.fence) +
            this._left(foreignUntil);
        if (holder !== undefined) {
            text += this._id(holder) + this._left(server.key?.expires) + (memory?.holder === holder ? '=' : '-');
        }
        // Without waiters and tombstones it is as good as marked; whether those are there says what a mark would be.
        text += flags(memory?.released !== undefined, server.queue.value.length + server.waiters.value.length > 0);
        if (options.yieldAfter !== undefined) text += digit(memory?.handOffs ?? 0) + this._left(memory?.freeUntil ?? 0);
        if (options.client.chosenHolder) text += `${this._id(memory?.acquisition ?? '-')}${this._id(lastHolder)}`;
        for (const { id, ticket } of server.queue.value) {
            const record = server.waiters.value.find((one) => one.id === id);
            text += `/${this._id(id)}${this._ticket(ticket)}`;
            text += record?.kind === 'waiter' ? this._left(record.lease) : '-';
        }
        return text;
    }

    private _client(client: ClientModel): string {
        const { name, connected, listening, sent, answers, late, inbox, leftovers } = client;
        const { server, options } = this._world;
        let text = flags(connected, listening, server.channels.includes(name)) + this._phase(client);
        if (client.followAt !== Infinity) text += `f${this._left(client.followAt)}`;
        for (const command of sent) text += `>${this._command(command, true)}`;
        for (const answer of answers) text += `<${this._answer(answer, client)}`;
        for (const command of late) text += `~${this._command(command, false)}`;
        for (const command of leftovers) text += `_${this._command(command, false)}`;
        for (const message of inbox) {
            text +=
                message.kind === 'head'
                    ? `(${digit(Math.min(message.taken, options.client.heartbeat))}`
                    : `)${this._grant(client, message)}`;
        }
        for (const record of server.waiters.value) {
            const isAwaited = [...sent, ...late].some(({ kind, id }) => kind === 'acquire' && id === record.id);
            if (record.kind === 'tombstone' && isAwaited) text += `x${this._id(record.id)}`;
        }
        return text;
    }

    private _phase(client: ClientModel): string {
        const { phase } = client;
        switch (phase.kind) {
            case 'idle':
                return 'i';
            case 'crashed':
                return 'c';
            case 'waiting': {
                const { plain, attempting, busy, failed, again, message, wakeAt } = phase;
                let text = `w${flags(plain, attempting, failed, again)}${this._left(wakeAt)}`;
                if (busy !== undefined) text += this._age(busy.sentAt) + this._ticket(busy.ticket);
                if (message !== undefined) text += `m${this._grant(client, message)}`;
                return text;
            }
            case 'held': {
                const { confirmed, renewing, fence, deadline, passes } = phase;
                const text = `h${flags(confirmed, renewing, fence > this._world.voided)}${this._left(deadline)}`;
                return client.rules.passes === 0 ? text : `${text}${digit(passes)}${this._fence(fence)}`;
            }
        }
    }

    private _command(command: Command, heard: boolean): string {
        const id = this._id(command.id);
        switch (command.kind) {
            case 'acquire': {
                const { ticket, sentAt, before } = command;
                const after = before === undefined ? '' : `e${this._id(before)}`;
                return `a${id}${ticket === undefined ? '-' : this._ticket(ticket)}${heard ? this._age(sentAt) : ''}${after}`;
            }
            case 'renew':
                return `n${id}${heard ? this._age(command.sentAt) : ''}`;
            case 'release':
                return `r${id}${flags(command.givesUp, command.tombstone)}`;
            case 'hand on':
                return 'o';
        }
    }

    /** A message of a grant: whether it is newer than an answer is all that matters of the fence in that. */
    private _grant({ phase, answers }: ClientModel, { fence, ttl }: { fence: number; ttl: number }): string {
        let text = digit(ttl) + this._fence(fence);
        if (phase.kind === 'waiting') text += flags(fence > (phase.busy?.fence ?? 0));
        for (const { reply } of answers)
            if (typeof reply === 'object' && 'fence' in reply) text += flags(fence > reply.fence);
        return text;
    }

    private _answer({ command, reply }: Answer, { rules }: ClientModel): string {
        const asked = this._command(command, true) + (rules.follows ? digit(windowOf(reply)) : '');
        if (typeof reply === 'string') return asked + reply;
        switch (reply.kind) {
            case 'refused':
                return `${asked}x`;
            case 'granted':
                return `${asked}g${this._fence(reply.fence)}`;
            case 'busy': {
                const delay = Math.min(delayOf(reply, rules), rules.heartbeat);
                return `${asked}b${this._ticket(reply.ticket)}${digit(delay)}`;
            }
            case 'released':
            case 'already':
            case 'gone':
                return asked;
        }
    }

    /** Whose, and which: 0 is the present acquisition of that client. */
    private _id(id: string): string {
        const at = this._clients.findIndex(({ name }) => id.startsWith(name));
        const client = this._clients[at];
        if (client === undefined) return id;
        return digit(at) + (id === client.name ? '' : digit(client.started - Number(id.slice(1))));
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

function fencesOf({ server, lastFence, clients }: World): number[] {
    const fences = [lastFence];
    const last = server.memory?.value.fence;
    if (last !== undefined) fences.push(last);
    for (const { phase, inbox, answers, rules } of clients) {
        for (const message of inbox) if (message.kind === 'grant') fences.push(message.fence);
        for (const { reply } of answers) {
            if (typeof reply === 'object' && reply.kind === 'granted') fences.push(reply.fence);
        }
        if (phase.kind === 'waiting' && phase.message !== undefined) fences.push(phase.message.fence);
        if (phase.kind === 'held' && rules.passes > 0) {
            for (let more = 0; more <= phase.passes; more++) fences.push(phase.fence + more);
        }
    }
    return fences;
}

function ticketsOf({ server, clients }: World): number[] {
    const tickets = [0];
    for (const { ticket } of server.queue.value) tickets.push(ticket);
    for (const { phase, sent, late, answers } of clients) {
        if (phase.kind === 'waiting' && phase.busy !== undefined) tickets.push(phase.busy.ticket);
        for (const command of sent) if (command.kind === 'acquire') tickets.push(command.ticket ?? 0);
        for (const command of late) if (command.kind === 'acquire') tickets.push(command.ticket ?? 0);
        for (const { reply } of answers) if (typeof reply === 'object' && 'ticket' in reply) tickets.push(reply.ticket);
    }
    return tickets;
}

const KINDS = ['idle', 'crashed', 'waiting', 'held'] as const;

function weight({ phase, sent, answers, inbox, late, connected }: ClientModel): number {
    const counts = [KINDS.indexOf(phase.kind), sent.length, answers.length, inbox.length, late.length];
    return counts.reduce((sum, count) => sum * 8 + count, connected ? 1 : 0);
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
