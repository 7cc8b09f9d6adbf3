import { grantFunctions } from './grant';
import type { Scope } from './grant';
import { Script, isList, isNumber } from './Script';

export type AcquireReply =
    | { readonly kind: 'granted'; readonly fence: number }
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
      }
    /** A tombstone lies on this acquisition: it was given up before this attempt arrived. */
    | { readonly kind: 'refused' };

/**
 * One step is try, enqueue, heartbeat, claim and resend in one.
 *
 * KEYS key, queue, waiters, memory.
 * ARGV holder; id of this acquisition (the holder, unless the caller chose that); ttl, ms; wait: `<ticket> <channel>` to wait
 * in line (ticket 0: a new one; no channel: it polls), empty for a plain try.
 *
 * Answers, per item:
 *   {1, fence}: granted. Absent key: to the first live waiter, so only if that is us or if there is none. Held by us: ttl is
 *     lengthened, never shortened, and the fence is the same as before.
 *   {0, remaining, fence, ticket, rank, foreign, holder, handed on}: busy, see AcquireReply. The holder is empty while the
 *     key is left free for others than us.
 *   {-1}: refused by a tombstone.
 */
const BODY = `
-- Takes or keeps the place in the queue and lengthens the waiter's lease.
local function enqueue(queue, waiters, memory, holder, id, ttl, wait, last, clock, now)
    local asked, channel = string.match(wait, '^(%d+) (.*)$')
    local ticket = tonumber(asked)
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
    ttl = tonumber(ttl)
    local current = redis.call('GET', key)
    if not current and redis.call('EXISTS', queue, waiters) == 0 then
        -- What is usual: the key is free, nobody waits, and nobody gave up.
        local known = redis.call('HMGET', memory, 'f', 'e')
        local fence = next_fence(known[1], clock)
        hold(key, memory, known[2], now, holder, id, ttl, fence)
        return { 1, fence }
    end
    local known = redis.call('HMGET', memory, 'f', 'h', 't', 'y', 'a', 'e')
    local kept = known[6]
    -- Without a memory the clock stands in: every grant so far has a smaller fence, every later one a greater.
    local fence, granted = tonumber(known[1]) or clock, known[2]
    local attempt = id
    id = acquisition_of(attempt)
    local record = redis.call('HGET', waiters, id)
    if record and tonumber(string.match(record, '^x(%d+)$') or 0) > now then
        return { -1 }
    end
    if current == holder then
        leave(queue, waiters, id)
        local left = redis.call('PTTL', key)
        if granted ~= holder then
            fence = next_fence(known[1], clock)
            hold(key, memory, kept, now, holder, attempt, math.max(ttl, left), fence)
            return { 1, fence }
        end
        -- From now on it is this acquisition's: one that was given up before cannot take it away.
        local having = joined(known[5], attempt)
        if having ~= known[5] then
            redis.call('HSET', memory, 'a', having)
        end
        if left < ttl then
            keep(memory, kept, now, ttl)
            redis.call('PEXPIRE', key, ttl)
        end
        return { 1, fence }
    end
    local lined = redis.call('EXISTS', queue) == 1
    local ticket, handed = 0, 0
    if wait ~= '' and (current or lined) then
        ticket = enqueue(queue, waiters, memory, holder, id, ttl, wait, known[3], clock, now)
    end
    local pause = (tonumber(known[4]) or 0) - now
    if not current and not (lined and pause > 0) then
        fence = next_fence(known[1], clock)
        local first, its_holder
        if lined then
            first, its_holder = grant(key, queue, waiters, memory, kept, fence, now, id)
        end
        if not first or first == id then
            hold(key, memory, kept, now, holder, attempt, ttl, fence)
            if lined then
                tell_head(key, queue, waiters, now, ttl)
            elseif record then
                -- It waited in a queue that was lost.
                leave(queue, waiters, id)
            end
            return { 1, fence }
        end
        current, granted, handed = its_holder, its_holder, 1
    end
    local remaining = current and redis.call('PTTL', key) or pause
    local rank = 0
    if wait ~= '' then
        first_waiter(queue, waiters, now)
        rank = redis.call('ZRANK', queue, id) or 0
        keep(memory, kept, now, math.max(remaining, 0))
    end
    return { 0, remaining, fence, ticket, rank, current and granted ~= current and 1 or 0, current or '', handed }
end
`;

export const acquireScript = scriptOf('redis');

/** The same on a node of a quorum. */
export const acquireNodeScript = scriptOf('node');

function scriptOf(scope: Scope): Script<AcquireReply> {
    return new Script('acquire', 4, 4, grantFunctions(scope) + BODY, parse);
}

function parse(answer: unknown): AcquireReply | undefined {
    if (isList(answer)) {
        const [kind, first, fence, ticket, rank, foreign, holder, handed] = answer;
        if (kind === 1 && isNumber(first)) return { kind: 'granted', fence: first };
        if (kind === -1) return { kind: 'refused' };
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
            };
        }
    }
    return undefined;
}
