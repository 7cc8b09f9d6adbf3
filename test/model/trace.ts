import type { Share } from '../../src/engine/port/LockStore';
import type { Message } from '../../src/testing/LockModel';
import type { Command } from './Command';
import type { Violation } from './Explorer';
import type { Move, WorldOptions } from './Move';
import { World } from './World';

/** How it came to a violation, a move a line, with who holds the key and who believes so after it. */
export function tellTrace(options: WorldOptions, { what, moves, calm }: Violation): string {
    let world = World.start(options);
    const lines = [...moves, ...calm].map((move, at) => {
        const before = world;
        world = before.apply(move);
        const told = `${String(at + 1).padStart(3)}  ${describe(before, move, world)}`;
        const rest = at === moves.length ? ['     From here on nothing fails, and nobody new comes.'] : [];
        return [...rest, `${told.padEnd(90)} ${situation(world)}`].join('\n');
    });
    return [...lines, `  =  ${what}`].join('\n');
}

function describe(before: World, move: Move, after: World): string {
    if (!('at' in move)) {
        switch (move.kind) {
            case 'tick':
                return `time passes: ${after.now}`;
            case 'foreign set':
                return 'a foreign client sets the key';
            case 'foreign del':
                return 'the foreign client deletes its key';
            case 'wipe':
                return move.what === 'all' ? 'FLUSHALL' : `the ${move.what} key is lost`;
        }
    }
    const client = before.clients[move.at];
    if (client === undefined) return '';
    const { name } = client;
    const answered = `: ${reply(after)}`;
    switch (move.kind) {
        case 'wait':
        case 'try':
            return `${name} asks for ${asked(before.options.shares[move.share])}, ${move.kind === 'wait' ? 'to wait' : 'once'}: ${named(after.clients[move.at]?.id ?? '')}`;
        case 'execute':
        case 'execute yielding':
            return `the server runs ${name}'s ${command(client.sent[0])}${answered}`;
        case 'execute refused':
            return `the server accepts ${move.accepts} writes of ${name}'s ${command(client.sent[0])}${answered}`;
        case 'execute late':
            return `the server runs ${name}'s ${command(client.late[0])}, from an earlier connection${answered}`;
        case 'answer':
            return `${name} gets the answer to its ${command(client.answers[0]?.command)}`;
        case 'message':
            return `${name} gets a message: ${message(client.inbox[0])}`;
        case 'lose':
            return `a message to ${name} is lost: ${message(client.inbox[0])}`;
        case 'timer':
            return `a timer of ${name} fires`;
        case 'clean up':
            return `${name} sends its ${command(client.leftovers[0])} again`;
        case 'connect':
            return `${name} is connected again`;
        case 'renew':
        case 'release':
        case 'downgrade':
        case 'pass on':
        case 'give up':
        case 'stop':
        case 'resume':
        case 'crash':
        case 'crash half-open':
        case 'disconnect':
        case 'disconnect half-open':
        case 'disconnect commands':
        case 'disconnect messages':
            return `${name}: ${move.kind}`;
    }
}

function command(sent: Command | undefined): string {
    if (sent === undefined) return '';
    switch (sent.kind) {
        case 'acquire':
            return `acquire${queued(sent)} of ${named(sent.id)} (sent at ${sent.sentAt})`;
        case 'renew':
            return `renewal of ${sent.holder} (sent at ${sent.sentAt})`;
        case 'downgrade':
            return `downgrade of ${sent.holder} (sent at ${sent.sentAt})`;
        case 'release':
            return `release${queued(sent)} of ${sent.holder}${sent.buries ? ', which is buried' : ''}`;
        case 'give up':
            return `give-up of ${named(sent.id)}${sent.underWay ? ', which is buried' : ''}`;
        case 'hand on':
            return 'request to hand the key on if nobody has it';
    }
}

function asked(share: Share | undefined): string {
    if (share === undefined) return 'the key';
    return share.limit === Infinity ? 'a share' : `${share.permits} of ${share.limit}`;
}

function queued(sent: { readonly queued: boolean }): string {
    return sent.queued ? ' (queued)' : '';
}

function named(id: string): string {
    return id.replace('\r', ' ');
}

function message(told: Message | undefined): string {
    if (told === undefined) return '';
    const id = named(told.id);
    return told.kind === 'first' ? `${id} is the first in line` : `granted to ${id} with fence ${told.fence}`;
}

function reply({ reply: answer }: World): string {
    if (typeof answer !== 'object') return answer ?? '';
    if ('done' in answer) return answer.done ? 'shared' : 'gone';
    if (!('kind' in answer)) return `${answer.released ? 'released' : 'gone'}${answer.window > 0 ? ', handed on' : ''}`;
    switch (answer.kind) {
        case 'granted':
            return `granted with fence ${answer.fence}`;
        case 'busy':
            return `busy, clock ${answer.clock}`;
        case 'taken':
            return `taken by ${answer.holder === '' ? 'nobody, but there is a queue' : answer.holder}`;
        case 'refused':
            return 'given up before';
    }
}

function situation(world: World): string {
    const { holder, server, believers } = world;
    const { members } = server.sharers.value;
    const sharers = members.map(({ end, member, permits }) => ` ${member}${permits > 1 ? `*${permits}` : ''}-${end}`);
    const key = holder === undefined ? 'free' : `${holder} until ${server.key?.expires}${sharers.join('')}`;
    return `| ${key}${believers.length === 0 ? '' : `, believed by ${believers.join(' and ')}`}`;
}
