-- Tells who has a key and who waits for it, in order. It changes nothing.
--
-- KEYS  per item: key, queue, waiters, sharers
-- ARGV  per item: most
--
-- most   bytes of the key to look at; '': all
--
-- Answers, per item: {holder, remaining, now, {waiter, waited, request, …}, {holder, remaining, permits, fence, …}}
--   holder      what the key holds; '': the key is free
--   remaining   ms; -1: the key never expires; -2: it is free
--   now         time of the server, µs
--   waiter      id of the acquisition
--   waited      ms: a ticket is about the time of the server when it was drawn
--   request     see queue.lua
-- Then, of each who shares the key: holder, remaining, permits, and the fence; 0: it is not known.
-- Those whose lease has run out are left out.

--@include whole
--@include shared
--@include now_ms
--@include answers

local function line(lock)
    local tickets = redis.call('ZRANGEBYSCORE', lock.queue, 0, '+inf', 'WITHSCORES')
    local waiting = {}
    for i = 1, #tickets, 2 do
        local record = redis.call('HGET', lock.waiters, tickets[i]) or ''
        local lease, request = string.match(record, '^(%d+) (%S+) ')
        if lease and tonumber(lease) * 1000 > micros() then
            waiting[#waiting + 1] = tickets[i]
            waiting[#waiting + 1] = math.max(0, math.floor((micros() - tickets[i + 1]) / 1000))
            waiting[#waiting + 1] = request
        end
    end
    return waiting
end

-- What the key would hold if the member had it alone. A holder that was chosen has no fence.
local function holder_of(member, fence, attempt)
    if fence == 0 or not string.find(member, '^%S+:%d+:[%w_-]+:%w+:$') and not attempt then
        return member
    end
    return (attempt and string.sub(member, 1, -2) .. '#' .. whole(attempt) .. ':' or member) .. whole(fence)
end

local function all_sharers(sharers)
    local all = redis.call('ZRANGE', sharers, 0, -1, 'WITHSCORES')
    local noted, found = {}, {}
    for i = 1, #all, 2 do
        local score = tonumber(all[i + 1])
        if score < 0 then
            noted[all[i]] = -score
        elseif score > now_ms() then
            local member = all[i]
            local fence = noted[member .. '\rf'] or 0
            found[#found + 1] = holder_of(member, fence, noted[member .. '\ra'])
            found[#found + 1] = score - now_ms()
            found[#found + 1] = 1 + (noted[member .. '\rp'] or 0)
            found[#found + 1] = fence
        end
    end
    return found
end

local function inspect(lock, most)
    local holder
    if most == '' then
        holder = redis.call('GET', lock.key) or ''
    else
        holder = redis.call('GETRANGE', lock.key, 0, most)
    end
    local found = holder == SHARED and all_sharers(lock.sharers) or {}
    return { holder, redis.call('PTTL', lock.key), micros(), line(lock), found }
end

local answers = {}
for i = 1, #KEYS / 4 do
    local lock = { key = KEYS[4 * i - 3], queue = KEYS[4 * i - 2], waiters = KEYS[4 * i - 1], sharers = KEYS[4 * i] }
    answers[i] = answer_of(pcall(inspect, lock, ARGV[i]))
end
return answers
