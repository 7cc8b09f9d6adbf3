import { grantFunctions } from './grant';
import type { Scope } from './grant';
import { Script, isList, isNumber } from './Script';

export type AcquireReply =
    | {
          readonly kind: 'granted';
          /** The last of those that are reserved with it. */
          readonly fence: number;
          /** The key was given back in this very step. */
          readonly released: boolean;
      }
    | {
          readonly kind: 'busy';
          /** Remaining ttl of the present holder; -1: its key never expires. */
          readonly remaining: number;
          /** Of the last grant that we made; a grant told of later has a greater one. */
          readonly fence: number;
          /** Place in time; hand it in again with the next attempt. 0 when not waiting. */
          readonly ticket: number;
          /** Live waiters before this one. */
          readonly rank: number;
          /** The holder came without us: by another edition's SET. */
          readonly foreign: boolean;
          /** The holder was granted the key in this very step, and has `remaining` to claim it. */
          readonly handedOn: boolean;
          /** Empty: none, the key is left free for others for so long. */
          readonly holder: string;
          readonly released: boolean;
      }
    /** A tombstone lies on this acquisition: it was given up before this attempt arrived. */
    | { readonly kind: 'refused' };

/**
 * One step is try, enqueue, heartbeat, claim and resend in one.
 *
 * KEYS key, queue, waiters, memory.
 * ARGV holder; id of this acquisition (the holder, unless the caller chose that); ttl, ms, or `<ttl>+<spare>`: so many
 * fences below that of the grant are reserved with it; wait: `<ticket> <channel>` to wait in line (ticket 0: a new one; no
 * channel: it polls), or `<ticket> <channel> <before>` to do so as soon as that holder has given the key back, which it does
 * in this step; empty for a plain try.
 *
 * Answers, per item:
 *   fence: granted. Absent key: to the first live waiter, so only if that is us or if there is none. Held by us: ttl is
 *     lengthened, never shortened, and the fence is the same as before.
 *   {0, remaining, fence, ticket, rank, foreign, holder, handed on, released}: busy, see AcquireReply. The holder is empty
 *     while the key is left free for others than us.
 *   {1, fence}: granted, and the holder before has given it back in this step; released above is 1 then too.
 *   -1: refused by a tombstone.
 * What is usual is a number, which costs least.
 */
const BODY = `
-- Takes or keeps the place in the queue and lengthens the waiter's lease.
local function enqueue(queue, waiters, memory, holder, id, ttl, wait, last, clock, now)
    local given, channel = string.match(wait, '^(%d+) (%S*)')
    local ticket = tonumber(given)
    if ticket == 0 then
        ticket = tonumber(redis.call('ZSCORE', queue, id) or after(last, clock))
    end
    if ticket > (tonumber(last) or 0) then
        redis.call('HSET', memory, 't', whole(ticket))
    end
    redis.call('ZADD', queue, whole(ticket), id)
    local record = { whole(now + LEASE), ttl, channel, holder == id and '' or holder }
    redis.call('HSET', waiters, id, table.concat(record, ' '))
    redis.call('PEXPIRE', queue, SIDE)
    redis.call('PEXPIRE', waiters, SIDE)
    return ticket
end

local function step(key, queue, waiters, memory, holder, id, ttl, wait)
    local clock = micros()
    local now = math.floor(clock / 1000)
    local time, spare = asked(ttl)
    local current = redis.call('GET', key)
    if not current and redis.call('EXISTS', queue, waiters) == 0 then
        -- What is usual: the key is free, nobody waits, and nobody gave up.
        local known = redis.call('HMGET', memory, 'f', 'e')
        local fence = next_fence(known[1], clock) + spare
        hold(key, memory, known[2], now, holder, id, time, fence)
        return fence
    end
    local known = redis.call('HMGET', memory, 'f', 'h', 't', 'y', 'a', 'e')
    local kept = known[6]
    -- Without a memory the clock stands in: every grant so far has a smaller fence, every later one a greater.
    local fence, granted = tonumber(known[1]) or clock, known[2]
    local attempt = id
    id = acquisition_of(attempt)
    local record = redis.call('HGET', waiters, id)
    if record and tonumber(string.match(record, '^x(%d+)$') or 0) > now then
        return -1
    end
    if current == holder then
        leave(queue, waiters, id)
        local left = redis.call('PTTL', key)
        if granted ~= holder then
            fence = next_fence(known[1], clock) + spare
            hold(key, memory, kept, now, holder, attempt, math.max(time, left), fence)
            return fence
        end
        -- From now on it is this acquisition's: one that was given up before cannot take it away.
        local having = joined(known[5], attempt)
        if having ~= known[5] then
            redis.call('HSET', memory, 'a', having)
        end
        if left < time then
            keep(memory, kept, now, time)
            redis.call('PEXPIRE', key, time)
        end
        return fence
    end
    local released = 0
    if current and current == string.match(wait, '^%d+ %S* (.*)$') then
        -- In a slot that is about to leave this server, a key that is deleted cannot be set again: that comes last.
        redis.call('HSET', memory, 'r', current)
        current, released = nil, 1
    end
    local lined = redis.call('EXISTS', queue) == 1
    local ticket, handed = 0, 0
    if wait ~= '' and (current or lined) then
        ticket = enqueue(queue, waiters, memory, holder, id, ttl, wait, known[3], clock, now)
    end
    local pause = (tonumber(known[4]) or 0) - now
    if not current and not (lined and pause > 0) then
        local least = next_fence(known[1], clock)
        local first, its_holder, its_fence, _
        if lined then
            first, its_holder, _, its_fence = grant(key, queue, waiters, memory, kept, least, now, id)
        end
        if not first or first == id then
            fence = least + spare
            hold(key, memory, kept, now, holder, attempt, time, fence)
            if lined then
                tell_head(key, queue, waiters, now, time)
            elseif record then
                -- It waited in a queue that was lost.
                leave(queue, waiters, id)
            end
            return released == 1 and { 1, fence } or fence
        end
        current, granted, handed, fence = its_holder, its_holder, 1, its_fence
    elseif released == 1 then
        redis.call('DEL', key)
    end
    local remaining = current and redis.call('PTTL', key) or pause
    local rank = 0
    if wait ~= '' then
        first_waiter(queue, waiters, now)
        rank = redis.call('ZRANK', queue, id) or 0
        keep(memory, kept, now, math.max(remaining, 0))
    end
    return { 0, remaining, fence, ticket, rank, current and granted ~= current and 1 or 0, current or '', handed, released }
end
`;

export const acquireScript = scriptOf('redis');

/** The same on a node of a quorum. */
export const acquireNodeScript = scriptOf('node');

function scriptOf(scope: Scope): Script<AcquireReply> {
    return new Script('acquire', 4, 4, grantFunctions(scope) + BODY, parse);
}

function parse(answer: unknown): AcquireReply | undefined {
    if (answer === -1) return { kind: 'refused' };
    if (isNumber(answer) && answer > 0) return { kind: 'granted', fence: answer, released: false };
    if (isList(answer)) {
        const [kind, first, fence, ticket, rank, foreign, holder, handed, released] = answer;
        if (kind === 1 && isNumber(first)) return { kind: 'granted', fence: first, released: true };
        if (isNumber(first) && isNumber(fence) && isNumber(ticket) && isNumber(rank) && typeof holder === 'string') {
            return {
                kind: 'busy',
                remaining: first,
                fence,
                ticket,
                rank,
                foreign: foreign === 1,
                handedOn: handed === 1,
                holder,
                released: released === 1,
            };
        }
    }
    return undefined;
}
