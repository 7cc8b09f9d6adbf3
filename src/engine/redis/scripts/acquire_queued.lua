-- Asks for a key that others may have or wait for: try, enqueue, heartbeat, claim and resend in one.
--
-- KEYS  clock; per item: key, queue, waiters
-- ARGV  channel; per item: id, request, ticket
--
-- channel  on which the waiters of this command hear; '': they poll
-- request  `<ttl>`, or `<ttl>+<spare>`, see queue.lua
-- ticket   place in line: as in the last answer; 0: none yet; '': a plain try, which takes no place
--
-- Answers, per item
--   fence     granted
--   {fence}   the acquisition has the key already; no fences are reserved behind it
--   {remaining, clock, ticket, rank, window, holder}   busy
--             remaining   of the holder, ms; -1: its key never expires
--             clock       every later grant has a greater fence
--             rank        how many are before this one
--             window      the holder was granted the key in this step, and has so many ms to claim it; 0: it was not
--             holder      '': the key is left free for others
--   -1        refused: the acquisition was given up; or, on a node, a later attempt of it has the key

--@include hand_off
--@include is_later
--@include answers

-- Every number that is drawn later is greater.
local function last_drawn()
    return reserved > 0 and reserved or tonumber(redis.call('GET', KEYS[1])) or micros() - 1
end

-- The key is this acquisition's: its answer was lost, or it claims what a message told. What it has already is never
-- shortened, nor is a key that never expires.
local function keep(key, queue, waiters, id, current, request)
    local ttl, spare = read_request(request)
    local left = redis.call('PTTL', key)
    leave(queue, waiters, acquisition_of(id))
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

local function take(key, queue, waiters, id, request, in_line)
    local ttl, spare = read_request(request)
    local fence = draw(spare)
    if in_line then
        leave(queue, waiters, acquisition_of(id))
    end
    redis.call('SET', key, holder_of(id, fence), 'PX', ttl)
    tell_first(key, queue, waiters, tonumber(ttl))
    return fence
end

-- Takes or keeps the place in line, and shows that the waiter lives. Returns its ticket.
local function enqueue(queue, waiters, me, request, ticket)
    redis.call('ZADD', queue, whole(ticket), me)
    redis.call('HSET', waiters, me, whole(micros() / 1000 + WAITER_LEASE) .. ' ' .. request .. ' ' .. ARGV[1])
    redis.call('PEXPIRE', queue, QUEUE_LIFE)
    redis.call('PEXPIRE', waiters, QUEUE_LIFE)
    return ticket
end

local function acquire(key, queue, waiters, id, request, wait)
    local me = acquisition_of(id)
    local place = tonumber(redis.call('ZSCORE', queue, me))
    if place and place < 0 then
        if -place > micros() then
            return -1
        end
        place = nil
    end
    local current = redis.call('GET', key)
    if current and is_of(current, me) then
        if is_later(current, id) then
            return -1
        end
        return keep(key, queue, waiters, id, current, request)
    end
    local ticket = tonumber(wait)
    if ticket and not place then
        ticket = enqueue(queue, waiters, me, request, ticket > 0 and ticket or draw(0))
    end
    local window, pause = 0, 0
    if not current then
        pause = (tonumber(redis.call('HGET', waiters, 'yield')) or 0) - micros() / 1000
        if pause <= 0 then
            current, window = hand_off(key, queue, waiters, me)
            if not current then
                return take(key, queue, waiters, id, request, ticket or place)
            end
        end
    end
    if ticket and place then
        ticket = enqueue(queue, waiters, me, request, place)
    end
    local remaining = current and redis.call('PTTL', key) or math.ceil(pause)
    local rank = ticket and redis.call('ZCOUNT', queue, 0, '(' .. whole(ticket)) or 0
    return { remaining, last_drawn(), ticket or 0, rank, window, current or '' }
end

local answers = {}
for i = 1, (#KEYS - 1) / 3 do
    answers[i] = answer_of(
        pcall(
            acquire, KEYS[3 * i - 1], KEYS[3 * i], KEYS[3 * i + 1],
            ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
        )
    )
end
return answers
