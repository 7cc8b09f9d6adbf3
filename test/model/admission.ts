import { chosenHolder } from '../../src/engine/port/holder';
import type { Share } from '../../src/engine/port/LockStore';
import type { Command, Reply } from './Command';
import type { ServerModel } from './ServerModel';

interface Admitted {
    readonly id: string;
    /** Its place in line. */
    readonly ticket: number;
    readonly share: Share | undefined;
    readonly fence: number;
}

/** What a step of the server has broken, for those whom it granted the key and for those who wait; undefined: nothing. */
export function broken(before: ServerModel, after: ServerModel, command: Command, reply: Reply): string | undefined {
    const admitted = [...told(before, after), ...answered(before, command, reply)];
    if (admitted.length === 0) return forgotten(after, command, reply);
    admitted.sort((one, other) => one.fence - other.fence);
    return overtaken(admitted, before, after) ?? excess(admitted, before, after) ?? forgotten(after, command, reply);
}

/** Those who waited and were told. */
function told(before: ServerModel, { published }: ServerModel): Admitted[] {
    return published.flatMap(({ message }) => {
        if (message.kind !== 'grant') return [];
        const { fence, id } = message;
        return [{ id, fence, ticket: ticketOf(before, id), share: before.shareOf(id) }];
    });
}

/** Who asked and was granted what it did not have. */
function answered(before: ServerModel, command: Command, reply: Reply): Admitted[] {
    if (command.kind !== 'acquire' || typeof reply !== 'object') return [];
    if (!('kind' in reply) || reply.kind !== 'granted') return [];
    const { id, share, ticket: asked } = command;
    const { key, now } = before;
    const held = key !== undefined && key.expires > now ? key.value : '';
    if (held === chosenHolder(id) || held.startsWith(id)) return [];
    if (before.live.some(({ member }) => member === before.member(id))) return [];
    const place = ticketOf(before, id);
    const ticket = place > 0 ? place : asked !== undefined && asked > 0 ? asked : Infinity;
    return [{ id, fence: reply.fence, share, ticket }];
}

function ticketOf({ queue }: ServerModel, id: string): number {
    return queue.value.find((place) => place.id === id)?.score ?? 0;
}

function overtaken(admitted: readonly Admitted[], before: ServerModel, after: ServerModel): string | undefined {
    // A waiter that was taken to be dead may come back in this very step.
    const waited = new Set(before.line.map(({ id }) => id));
    for (const { id, ticket } of admitted) {
        const earlier = after.line.find((place) => place.score < ticket && place.id !== id && waited.has(place.id));
        if (earlier !== undefined) return `${id} is granted the key before ${earlier.id}, which waits for longer`;
    }
    return undefined;
}

/** Each was admitted under its own limit, in order. */
function excess(admitted: readonly Admitted[], before: ServerModel, after: ServerModel): string | undefined {
    const present = new Set(before.live.map(({ member }) => member));
    let out = 0;
    for (const { member, permits } of after.live) if (present.has(member)) out += permits;
    for (const { id, share } of admitted) {
        if (share === undefined || present.has(before.member(id))) continue;
        out += share.permits;
        if (out > share.limit) return `${id} is admitted, and ${out} permits of ${share.limit} are out`;
    }
    return undefined;
}

/** After a hand-off nobody is at the head of the line for whom there is room, unless it was told to ask. */
function forgotten(after: ServerModel, command: Command, reply: Reply): string | undefined {
    if (!handsOn(command, reply) || after.isTaken || after.queue.value.length === 0) return undefined;
    const { head, published } = after;
    if (head?.fits !== true) return undefined;
    const isTold = published.some(
        ({ message }) => message.kind === 'first' && message.id === head.id && message.taken === 0,
    );
    return isTold ? undefined : `${head.id} is the first in line, there is room for it, and nobody tells it`;
}

function handsOn(command: Command, reply: Reply): boolean {
    if (command.kind === 'renew' || ('queued' in command && !command.queued) || typeof reply !== 'object') return false;
    return 'done' in reply ? reply.done : !('kind' in reply) || reply.kind !== 'refused';
}
