import { grantFunctions, holdFunctions } from './grant';
import type { Scope } from './grant';
import { Script, isList, isNumber } from './Script';

export interface ReleaseReply {
    readonly kind: 'released' | 'already' | 'gone';
    /** The first waiter has so many ms to claim the key, which it was granted or which was left free; 0: neither. */
    readonly handedOn: number;
}

const KINDS = ['gone', 'released', 'already'] as const;

/**
 * Gives up what somebody has of the key: the key itself, which goes to the first live waiter in the same step, or a place in
 * the queue. Serves release, cancel and give-up alike.
 *
 * KEYS key, queue, waiters, memory.
 * ARGV once: yield, `<n> <pause>`, after n hand-offs in a row to leave the key free for so many ms, so that those who poll for
 * it with a plain SET get a chance, else empty. Per item: holder (empty: only to grant a key that is absent); which: empty to
 * release whatever the holder has, or `<tombstone> <id>`, an acquisition to give up: what another acquisition of the same
 * holder has is left alone then; tombstone is 1 when attempts of that acquisition may still be under way, else 0.
 *
 * Answers, per item: {kind, window}. Kind 1: released; 2: this holder was the last that released the key (a resend); 0: it
 * did not hold the key. Window: for how long the key was granted to a waiter in this step, ms; 0: it was not. What is usual,
 * {1, 0}, is 1, which costs least.
 */
const BODY = `
local give

local function step(key, queue, waiters, memory, holder, which)
    local current = redis.call('GET', key)
    if holder ~= '' and current == holder and which == '' then
        if redis.call('HSET', memory, 'r', holder) == 0 then
            -- What is usual: the mark was there.
            redis.call('DEL', key)
            return 1
        end
        local unmarked = redis.pcall('HDEL', memory, 'r')
        if unmarked ~= 1 then
            -- Refused to the user: rather no memory than one that says that nobody waits. The clock carries its order on.
            redis.call('DEL', memory)
            error(unmarked)
        end
    end
    give = give or otherwise()
    return give(key, queue, waiters, memory, holder, which, current)
end
`;

/** Makes the function for what is not usual: somebody waits, or gives up, or the key is another's. */
const otherwise = (scope: Scope): string => `
local function otherwise()
${holdFunctions(scope)}${grantFunctions(scope)}
-- Tombstones stand in a hash that waiters keep alive; when they are many, old ones are swept out now and then.
local function bury(queue, waiters, id, now)
    redis.call('HSET', waiters, id, 'x' .. whole(now + SIDE))
    redis.call('PEXPIRE', waiters, SIDE)
    local size = redis.call('HLEN', waiters)
    if size % 64 == 0 and size > 2 * redis.call('ZCARD', queue) then
        local all = redis.call('HGETALL', waiters)
        for i = 1, #all, 2 do
            if tonumber(string.match(all[i + 1], '^x(%d+)$') or now) < now then
                redis.call('HDEL', waiters, all[i])
            end
        end
    end
end

-- For how long the key is to be left free now, when it was handed on often enough in a row.
local function yields(key, queue, waiters, memory, now)
    local most, pause = string.match(yield, '^(%d+) (%d+)$')
    if not most or redis.call('EXISTS', queue) == 0 then
        return nil
    end
    if redis.call('HINCRBY', memory, 'n', 1) <= tonumber(most) then
        return nil
    end
    redis.call('HSET', memory, 'n', 0, 'y', whole(now + pause))
    tell_head(key, queue, waiters, now, tonumber(pause))
    return tonumber(pause)
end

return function(key, queue, waiters, memory, holder, which, current)
    local clock = micros()
    local now = math.floor(clock / 1000)
    local tombstone, id = string.match(which, '^([01]) (.*)$')
    id = id or ''
    local known = redis.call('HMGET', memory, 'f', 'r', 'a', 'y', 'h', 'e', 'p')
    local kept, mark = known[6], known[2]
    local last = mark or known[7]
    local fence = next_fence(known[1], clock)
    local _, window
    -- Where the memory was lost, only a holder that is an acquisition's own id tells whose the key is.
    local its = current == holder and id ~= '' and has_it(memory, known[3], id) or id == holder and known[5] ~= holder
    local ours = holder ~= '' and current == holder and (id == '' or its)
    if ours then
        redis.call('HSET', memory, mark and 'r' or 'p', holder)
        mark = mark and holder
        kept = keep(memory, kept, now, 0)
        local free = yields(key, queue, waiters, memory, now)
        if not free then
            _, _, window = grant(key, queue, waiters, memory, kept, fence, now)
        end
        -- Only then: in a slot that is about to leave this server, a key that is deleted cannot be set again.
        if not window then
            redis.call('DEL', key)
        end
        window = window or free
    else
        local waits = id ~= '' and acquisition_of(id) == id
        local rank = waits and redis.call('ZRANK', queue, id)
        -- Without a rank where the queue was lost. A tombstone stays.
        if rank or waits and string.find(redis.call('HGET', waiters, id) or '', '^%d') then
            leave(queue, waiters, id)
        end
        if not current and (tonumber(known[4]) or 0) <= now then
            _, _, window = grant(key, queue, waiters, memory, kept, fence, now)
        elseif rank == 0 then
            tell_head(key, queue, waiters, now, math.max(redis.call('PTTL', key), 0))
        end
    end
    if tombstone == '1' then
        if mark then
            unmark(memory, mark)
        end
        bury(queue, waiters, id, now)
    end
    return { ours and 1 or holder ~= '' and last == holder and 2 or 0, window or 0 }
end
end
`;

export const releaseScript = scriptOf('redis');

/** The same on a node of a quorum. */
export const releaseNodeScript = scriptOf('node');

function scriptOf(scope: Scope): Script<ReleaseReply> {
    return new Script('release', { keys: 4, args: 2, common: ['yield'] }, otherwise(scope) + BODY, parse);
}

function parse(answer: unknown): ReleaseReply | undefined {
    if (answer === 1) return { kind: 'released', handedOn: 0 };
    if (isList(answer)) {
        const [code, handedOn] = answer;
        const kind = typeof code === 'number' ? KINDS[code] : undefined;
        if (kind !== undefined && isNumber(handedOn)) return { kind, handedOn };
    }
    return undefined;
}
