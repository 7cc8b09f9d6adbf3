import type { Message } from '../../src/engine/redis/scripts/grant';
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
            return `${name} asks for the key, ${move.kind === 'wait' ? 'to wait' : 'once'}: ${after.clients[move.at]?.id}`;
        case 'execute':
            return `the server runs ${name}'s ${command(client.sent[0])}${answered}`;
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
        case 'pass on':
        case 'exchange':
        case 'give up':
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
        case 'renew':
            return `${sent.kind} of ${sent.id} (sent at ${sent.sentAt})`;
        case 'release':
            return `${sent.givesUp ? 'give-up' : 'release'} of ${sent.id}`;
        case 'hand on':
            return 'request to hand the key on if nobody has it';
    }
}

function message(told: Message | undefined): string {
    if (told === undefined) return '';
    return told.kind === 'head' ? `${told.id} is the first in line` : `granted to ${told.id} with fence ${told.fence}`;
}

function reply({ reply: answer }: World): string {
    if (typeof answer !== 'object') return answer ?? '';
    switch (answer.kind) {
        case 'granted':
            return `granted with fence ${answer.fence}`;
        case 'busy':
            return `busy, last fence ${answer.fence}`;
        case 'refused':
        case 'released':
        case 'already':
        case 'gone':
            return answer.kind;
    }
}

function situation(world: World): string {
    const { holder, server, believers } = world;
    const key = holder === undefined ? 'free' : `${holder} until ${server.key?.expires}`;
    return `| ${key}${believers.length === 0 ? '' : `, believed by ${believers.join(' and ')}`}`;
}
