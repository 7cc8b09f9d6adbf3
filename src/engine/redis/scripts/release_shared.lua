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

local time
local answers = {}
for i = 1, #ARGV do
    local key, queue, sharers, holder = KEYS[4 * i - 3], KEYS[4 * i - 2], KEYS[4 * i], ARGV[i]
    if redis.call('EXISTS', queue) > 0 then
        answers[i] = -1
    else
        local current = redis.pcall('GET', key)
        answers[i] = type(current) == 'table' and current.err or 0
        if current == '(shared)' then
--@include sharers_of
            if not time then
                local now = redis.call('TIME')
                time = now[1] * 1000 + math.floor(now[2] / 1000)
            end
            for _, member in ipairs(members) do
                local over = tonumber(redis.call('ZSCORE', sharers, member))
                if over then
                    redis.call('ZREM', sharers, member, member .. '\rf', member .. '\rp', member .. '\ra')
                    local longest = tonumber(redis.call('ZRANGE', sharers, -1, -1, 'WITHSCORES')[2]) or 0
                    if longest <= time then
                        redis.call('DEL', key, sharers)
                    elseif longest < over then
                        redis.call('PEXPIREAT', key, longest)
                    end
                    if over > time then
                        answers[i] = 1
                    end
                end
            end
        end
    end
end
return answers
