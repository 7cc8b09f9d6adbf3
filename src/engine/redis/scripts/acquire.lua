-- Takes a key that is free, for which nobody waits and of which nothing was given up. It changes nothing in any other case.
--
-- KEYS  clock; per item: key, queue
-- ARGV  per item: id, ttl
--
-- id    of the acquisition, one of our own: the key then holds the id and the fence
-- ttl   ms
--
-- Answers, per item
--   fence           granted
--   {holder, ttl}   not free. Holder '': nobody has the key, but somebody waits or has given up. ttl -1: the key never expires.

--@include clock
--@include answers

local function take(key, queue, id, ttl)
    if redis.call('EXISTS', key, queue) > 0 then
        return { redis.call('GET', key) or '', redis.call('PTTL', key) }
    end
    local fence = draw(0)
    redis.call('SET', key, id .. whole(fence), 'PX', ttl)
    return fence
end

local answers = {}
for i = 1, (#KEYS - 1) / 2 do
    answers[i] = answer_of(pcall(take, KEYS[2 * i], KEYS[2 * i + 1], ARGV[2 * i - 1], ARGV[2 * i]))
end
return answers
