-- Gives back a place among those who share a key, while nobody waits. It only reads, deletes and sets expiries, which a
-- server that is out of memory does, too.
--
-- KEYS  per item: key, queue, waiters, sharers
-- ARGV  per item: holder
--
-- Answers, per item
--   1    released
--   0    this holder has no place there
--   -1   somebody waits, or something was given up: nothing was changed
--
-- Items of one key that follow each other are read and written together.

local time
local answers = {}
local item = 1
while item <= #ARGV do
    local key, queue, sharers = KEYS[4 * item - 3], KEYS[4 * item - 2], KEYS[4 * item]
    local answer, is_shared
    if redis.call('EXISTS', queue) > 0 then
        answer = -1
    else
        local current = redis.pcall('GET', key)
        answer = type(current) == 'table' and current.err or 0
        is_shared = current == '(shared)'
    end
    local changed = 0
    if is_shared then
        if not time then
            local now = redis.call('TIME')
            time = now[1] * 1000 + math.floor(now[2] / 1000)
        end
        -- A sharer that is there after this is not over.
        local over = redis.call('ZRANGEBYSCORE', sharers, 1, time, 'LIMIT', 0, 1000)
        for _, one in ipairs(over) do
            changed = changed + redis.call('ZREM', sharers, one, one .. '\rf', one .. '\rp', one .. '\ra')
        end
    end
    repeat
        local holder = ARGV[item]
        answers[item] = answer
        if is_shared then
            local members
--@include sharers_of
            for _, member in ipairs(members) do
                local gone = redis.call('ZREM', sharers, member, member .. '\rf', member .. '\rp', member .. '\ra')
                if gone > 0 then
                    changed = changed + gone
                    answers[item] = 1
                end
            end
        end
        item = item + 1
    until item > #ARGV or KEYS[4 * item - 3] ~= key
    if changed > 0 then
        local longest = tonumber(redis.call('ZRANGE', sharers, -1, -1, 'WITHSCORES')[2]) or 0
        if longest > 0 then
            redis.call('PEXPIREAT', key, longest)
        else
            redis.call('DEL', key, sharers)
        end
    end
end
return answers
