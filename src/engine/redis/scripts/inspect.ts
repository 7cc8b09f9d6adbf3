import { Script, isList, isNumber } from './Script';

export interface InspectReply {
    /** Undefined: the key is free. */
    readonly holder: string | undefined;
    /** ms; -1: the key never expires; -2: it is free. */
    readonly remaining: number;
    /** Of the last grant that we made, 0 when it is not remembered. */
    readonly fence: number;
    /** The present holder came without us. */
    readonly foreign: boolean;
    /** Of the server, µs. A fence is its clock when it was granted, unless the clock went back. */
    readonly clock: number;
    readonly waiters: readonly { readonly holder: string; /** ms */ readonly waited: number }[];
}

/**
 * Tells who holds a key and who waits for it, in order. Changes nothing.
 *
 * KEYS key, queue, waiters, memory. ARGV none.
 *
 * Answers, per item: {holder or '', remaining, fence, foreign, {waiter, waited, waiter, waited, …}, clock}. A ticket
 * is the server's clock when it was drawn, so the age of a ticket is the time waited. Waiters whose lease ran out are left
 * out.
 */
const BODY = `
local function step(key, queue, waiters, memory)
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local current = redis.call('GET', key)
    local known = redis.call('HMGET', memory, 'f', 'h')
    local tickets = redis.call('ZRANGE', queue, 0, -1, 'WITHSCORES')
    local line = {}
    for i = 1, #tickets, 2 do
        local record = redis.call('HGET', waiters, tickets[i]) or ''
        local lease, holder = string.match(record, '^(%d+) %S+ %S* (.*)$')
        if lease and tonumber(lease) > now / 1000 then
            line[#line + 1] = holder == '' and tickets[i] or holder
            line[#line + 1] = math.max(0, math.floor((now - tonumber(tickets[i + 1])) / 1000))
        end
    end
    local foreign = current and current ~= known[2]
    return { current or '', redis.call('PTTL', key), tonumber(known[1]) or 0, foreign and 1 or 0, line, now }
end
`;

export const inspectScript = new Script<InspectReply>('inspect', { keys: 4, args: 0 }, BODY, (answer) => {
    if (isList(answer)) {
        const [holder, remaining, fence, foreign, list, clock] = answer;
        if (typeof holder === 'string' && isNumber(remaining) && isNumber(fence) && isList(list) && isNumber(clock)) {
            const held = remaining === -2 ? undefined : holder;
            return { holder: held, remaining, fence, foreign: foreign === 1, clock, waiters: pairs(list) };
        }
    }
    return undefined;
});

function pairs(list: readonly unknown[]): { holder: string; waited: number }[] {
    return list.flatMap((holder, at) =>
        at % 2 === 0 ? [{ holder: String(holder), waited: Number(list[at + 1]) }] : [],
    );
}
