-- Takes a key that is free, for which nobody waits and of which nothing was given up. It changes nothing in any other
-- case. This is the usual command: it makes no function, because that takes as long as a call of a command.
--
-- KEYS  clock; per item: key, queue
-- ARGV  per item: id, ttl
--
-- id    of the acquisition, one of our own: the key then holds the id and the fence
-- ttl   ms
--
-- Answers, per item
--   fence           granted
--   {holder, ttl}   not free. Holder '' and ttl -2: nobody has the key, but somebody waits or has given up.
--                   ttl -1: the key never expires.

local items = (#KEYS - 1) / 2
local fence
local answers = {}
for i = 1, items do
    local key = KEYS[2 * i]
    if redis.call('EXISTS', key, KEYS[2 * i + 1]) > 0 then
        local holder = redis.pcall('GET', key)
        answers[i] = holder and holder.err or { holder or '', redis.call('PTTL', key) }
    else
        if not fence then
            local count = items
--@include draw
            fence = first
        end
        redis.call('SET', key, ARGV[2 * i - 1] .. string.format('%.0f', fence), 'PX', ARGV[2 * i])
        answers[i] = fence
        fence = fence + 1
    end
end
return answers
