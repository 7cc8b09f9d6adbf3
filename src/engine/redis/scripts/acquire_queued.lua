-- Asks for a key that others may have or wait for: try, enqueue, heartbeat, claim and resend in one.
--
-- KEYS  clock; per item: key, queue, waiters, sharers
-- ARGV  channel; per item: id, request, ticket
--
-- channel  on which the waiters of this command hear; '': they poll
-- request  how long, and whether it is to be shared, see queue.lua
-- ticket   place in line: as in the last answer; 0: none yet; '': a plain try, which takes no place
--
-- Answers, per item
--   fence     granted
--   {fence}   the acquisition has the key already; no fences are reserved behind it
--   {remaining, clock, ticket, rank, window, holder, limit}   busy
--             remaining   of the key, ms; -1: it never expires. For permits of a shared key: until the first ends
--             clock       every later grant has a greater fence
--             rank        how many are before this one
--             window      how long others that were given the key in this step may take to claim it, ms; 0: none was
--             holder      '': the key is left free for others
--             limit       another one than this was named last for the permits that are out; 0: none was
--   -1        refused: the acquisition was given up; or, on a node, a later attempt of it has the key; or it shares the
--             key by now

--@include acquisition
--@include hand_off
--@include is_of
--@include is_later
--@include lock
--@include answers

-- Every number that is drawn later is greater.
local function last_drawn()
    return reserved > 0 and reserved or tonumber(redis.call('GET', KEYS[1])) or micros() - 1
end

-- The key is this acquisition's: its answer was lost, or it claims what a message told. What it has already is never
-- shortened, nor is a key that never expires.
local function keep(lock, id, current, request)
    local key = lock.key
    local ttl, spare = read_request(request)
    local left = redis.call('PTTL', key)
    leave(lock.queue, lock.waiters, acquisition_of(id))
    -- (Also when the holder of another process, with its fence, was chosen: a lease that was handed over.)
    local random, fence = string.match(current, '^%S+:%d+:([%w_-]+):[%w#]+:(%d+)$')
    fence = random and #random == 8 and tonumber(fence)
    if not fence or acquisition_of(id) ~= id then
        -- What the key holds does not tell its fence, or another attempt of the acquisition has it.
        fence = draw(spare)
        if left < 0 then
            redis.call('SET', key, holder_of(id, fence))
        else
            redis.call('SET', key, holder_of(id, fence), 'PX', whole(math.max(tonumber(ttl), left)))
        end
        return spare > 0 and fence or { fence }
    end
    if left >= 0 and left < tonumber(ttl) then
        redis.call('PEXPIRE', key, ttl)
    end
    return { fence }
end

-- The acquisition, or its owner, has a place already among those who share the key, until `over`. Nil: it is over.
local function keep_place(lock, id, over, request)
    local share = sharing()
    local member = share.member_of(id)
    local ttl, spare, permits = read_request(request)
    if over <= share.now_ms() then
        share.drop(lock.sharers, member)
        return nil
    end
--@include is_earlier
    if not permits or is_earlier then
        return -1
    end
    leave(lock.queue, lock.waiters, acquisition_of(id))
    local fence = -(tonumber(redis.call('ZSCORE', lock.sharers, member .. '\rf')) or 0)
    local more, answer = {}, { fence }
    local attempt = share.attempt_of(id)
    if fence == 0 or attempt > 0 then
        fence = draw(spare)
        more = { whole(-fence), member .. '\rf' }
        if attempt > 0 then
            more = { more[1], more[2], -attempt, member .. '\ra' }
        end
        answer = spare > 0 and fence or { fence }
    end
    share.set_place(lock, true, member, math.max(over, share.now_ms() + ttl), more)
    hand_off(lock, 'shared')
    return answer
end

local function take(lock, state, id, request, in_line)
    local ttl, spare, permits, limit = read_request(request)
    local fence = draw(spare)
    if in_line then
        leave(lock.queue, lock.waiters, acquisition_of(id))
    end
    if not permits then
        redis.call('SET', lock.key, holder_of(id, fence), 'PX', ttl)
        tell_first(lock, tonumber(ttl))
        return fence
    end
    local share = sharing()
    share.admit(lock, state == 'shared', id, share.now_ms() + ttl, fence, permits, limit)
    if hand_off(lock, 'shared') == 0 then
        tell_first(lock)
    end
    return fence
end

-- Takes or keeps the place in line, and shows that the waiter lives. Returns its ticket.
local function enqueue(lock, me, request, ticket)
    redis.call('ZADD', lock.queue, whole(ticket), me)
    local lease = whole(micros() / 1000 + (ARGV[1] == '' and POLLER_LEASE or WAITER_LEASE))
    redis.call('HSET', lock.waiters, me, lease .. ' ' .. request .. ' ' .. ARGV[1])
    redis.call('PEXPIRE', lock.queue, QUEUE_LIFE)
    redis.call('PEXPIRE', lock.waiters, QUEUE_LIFE)
    return ticket
end

-- Until there may be room, ms, and another limit that was named.
local function outlook(lock, state, request)
    local _, _, permits, limit = read_request(request)
    if not limit or state ~= 'shared' then
        return redis.call('PTTL', lock.key), 0
    end
    local share = sharing()
    local named = -(tonumber(redis.call('ZSCORE', lock.sharers, '\rl')) or 0)
    -- (Where there is room for it, others are before it.)
    local left = share.time_to_wait(lock, not share.has_room(lock, permits, limit) and limit or nil)
    return left, named == limit and 0 or named
end

local function acquire(lock, id, request, wait)
    local queue, waiters = lock.queue, lock.waiters
    local me = acquisition_of(id)
    local place = tonumber(redis.call('ZSCORE', queue, me))
    if place and place < 0 then
        if -place > micros() then
            return -1
        end
        place = nil
    end
    local current = redis.call('GET', lock.key)
    local shares = string.find(request, '*', 1, true)
    if current and not shares and is_of(current, me) then
        if is_later(current, id) then
            return -1
        end
        return keep(lock, id, current, request)
    end
    local state = state_of(lock, current)
    local over = state == 'shared' and sharing().end_of(lock.sharers, sharing().member_of(id))
    -- (An owner that shares the key, and wants it alone, waits as others do.)
    if over and (shares or not string.find(id, '\r', 1, true)) then
        local kept = keep_place(lock, id, over, request)
        if kept then
            return kept
        end
    end
    local ticket = tonumber(wait)
    if ticket and not place then
        ticket = enqueue(lock, me, request, ticket > 0 and ticket or draw(0))
    end
    local window, pause = 0, 0
    if state == 'free' then
        pause = (tonumber(redis.call('HGET', waiters, 'yield')) or 0) - micros() / 1000
    end
    if state ~= 'taken' and pause <= 0 then
        local waits
        window, state, waits = hand_off(lock, state, me)
        if not waits and (state == 'free' or shares and sharing().fits(lock, request)) then
            return take(lock, state, id, request, ticket or place)
        end
        current = window > 0 and redis.call('GET', lock.key) or current
    end
    if ticket and place then
        ticket = enqueue(lock, me, request, place)
    end
    local remaining, other = math.ceil(pause), 0
    if current then
        remaining, other = outlook(lock, state, request)
    end
    local rank = ticket and redis.call('ZCOUNT', queue, 0, '(' .. whole(ticket)) or 0
    return { remaining, last_drawn(), ticket or 0, rank, window, current or '', other }
end

local answers = {}
for i = 1, (#KEYS - 1) / 4 do
    answers[i] = answer_of(pcall(acquire, lock_at(i), ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]))
end
return answers
