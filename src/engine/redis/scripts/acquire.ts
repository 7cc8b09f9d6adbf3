import { grantFunctions, holdFunctions } from './grant';
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
 * ARGV once: the channel on which those who wait are told; empty: they poll. Per item: holder; id of this acquisition, empty:
 * the holder (unless the caller chose that); ttl, ms, or `<ttl>+<spare>`: so many fences below that of the grant are reserved
 * with it; wait: `<ticket>` to wait in line (0: a new one), or `<ticket> <before>` to do so as soon as that holder has given
 * the key back, which it does in this step; empty for a plain try.
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
local decide

local function step(key, queue, waiters, memory, holder, id, ttl, wait)
    local clock = micros()
    local attempt = id == '' and holder or id
    local seen = redis.call('HMGET', memory, 'f', 'e', 'r')
    local last, kept, mark = seen[1], seen[2], seen[3]
    -- The last holder that released, if nobody waits and nobody gave up.
    local quiet, current = mark, nil
    if not mark then
        if kept then
            current = redis.call('GET', key)
        end
        -- (Of a slot that is about to leave this server they cannot be asked for.)
        if not current and redis.pcall('EXISTS', queue, waiters) == 0 then
            quiet = kept and redis.call('HGET', memory, 'p') or ''
        end
    end
    if quiet and not current then
        -- What is usual.
        local time, spare = asked(ttl)
        local fence = next_fence(last, clock) + spare
        local now = math.floor(clock / 1000)
        if take(key, memory, kept, now, holder, attempt, time, fence, not mark and quiet) then
            return fence
        end
    end
    decide = decide or otherwise()
    return decide(key, queue, waiters, memory, holder, attempt, ttl, wait, seen, quiet, current)
end
`;

const TAKE = `
-- Holds a key if it is absent, else false. Where what follows is refused to the user, the key is absent again.
local function take(key, memory, kept, now, holder, id, ttl, fence, mark)
    if not redis.call('SET', key, holder, 'PX', ttl, 'NX') then
        return false
    end
    local done, refusal = pcall(remember, memory, kept, now, holder, id, tonumber(ttl), fence, mark)
    if not done then
        if redis.pcall('DEL', key) ~= 1 then
            redis.call('SET', key, holder, 'PX', 1)
        end
        if mark then
            -- The memory may not be kept for as long as it says.
            redis.pcall('HDEL', memory, 'e', 'r')
        end
        error(refusal, 0)
    end
    return true
end
`;

/** Makes the function for what is not usual: somebody has the key, waits for it, or has given up. */
const otherwise = (scope: Scope): string => `
local function otherwise()
${grantFunctions(scope)}
-- Takes or keeps the place in the queue and lengthens the waiter's lease.
local function enqueue(queue, waiters, memory, holder, id, ttl, wait, last, clock, now)
    local ticket = tonumber(string.match(wait, '^%d+'))
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

return function(key, queue, waiters, memory, holder, attempt, ttl, wait, seen, quiet, current)
    local clock = micros()
    local now = math.floor(clock / 1000)
    local text, spare = asked(ttl)
    local time = tonumber(text)
    local last, kept, mark = seen[1], seen[2], seen[3]
    if current == nil then
        current = redis.call('GET', key)
    end
    local known = redis.call('HMGET', memory, 'h', 't')
    -- Without a memory the clock stands in: every grant so far has a smaller fence, every later one a greater.
    local fence, granted = tonumber(last) or clock, known[1]
    local id = acquisition_of(attempt)
    local record = not quiet and redis.call('HGET', waiters, id)
    if record and tonumber(string.match(record, '^x(%d+)$') or 0) > now then
        return -1
    end
    if current == holder then
        if not quiet then
            leave(queue, waiters, id)
        end
        local left = redis.call('PTTL', key)
        if granted ~= holder then
            fence = next_fence(last, clock) + spare
            hold(key, memory, kept, now, holder, attempt, math.max(time, left), fence)
            return fence
        end
        -- From now on it is this acquisition's: one that was given up before cannot take it away.
        local had = redis.call('HGET', memory, 'a')
        local having = joined(had, attempt)
        if having ~= had then
            redis.call('HSET', memory, 'a', having)
        end
        if left < time then
            keep(memory, kept, now, time)
            redis.call('PEXPIRE', key, text)
        end
        return fence
    end
    local released = 0
    if current and current == string.match(wait, '^%d+ (.*)$') then
        -- In a slot that is about to leave this server, a key that is deleted cannot be set again: that comes last.
        redis.call('HSET', memory, mark and 'r' or 'p', current)
        current, released = nil, 1
    end
    local lined = not current and not quiet and redis.call('EXISTS', queue) == 1
    local ticket, handed = 0, 0
    if wait ~= '' and (current or lined) then
        if mark then
            unmark(memory, mark)
        end
        ticket = enqueue(queue, waiters, memory, holder, id, ttl, wait, known[2], clock, now)
    end
    local pause = lined and (tonumber(redis.call('HGET', memory, 'y')) or 0) - now or 0
    if not current and pause <= 0 then
        local least = next_fence(last, clock)
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
end
`;

export const acquireScript = scriptOf('redis');

/** The same on a node of a quorum. */
export const acquireNodeScript = scriptOf('node');

function scriptOf(scope: Scope): Script<AcquireReply> {
    const body = holdFunctions(scope) + TAKE + otherwise(scope) + BODY;
    return new Script('acquire', { keys: 4, args: 4, common: ['channel'] }, body, parse);
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
