-- Takes a place among those who share a key that is free, or that has room for it, for which nobody waits and of which
-- nothing was given up. It changes nothing in any other case. Like `acquire` it makes no function.
--
-- KEYS  clock; per item: key, queue, waiters, sharers
-- ARGV  per item: id, request
--
-- id       of the acquisition, one of our own
-- request  `<ttl>*<permits>`, or `<ttl>*<permits>/<limit>`, see queue.lua
--
-- Answers, per item
--   fence           granted
--   {holder, ttl}   not granted. Holder: what the key holds; the id: the acquisition has a place already; '': nothing,
--                   but somebody waits or has given up, and ttl is -2. ttl -1: the key never expires. For permits of a
--                   shared key: until the first of them ends.

local items = (#KEYS - 1) / 4
local fence, time
local answers = {}
for i = 1, items do
    local key, queue, sharers = KEYS[4 * i - 2], KEYS[4 * i - 1], KEYS[4 * i + 1]
    local id = ARGV[2 * i - 1]
    local ttl, permits, limit = string.match(ARGV[2 * i], '^(%d+)%+?%d*%*(%d+)/?(%d*)$')
--@include place
    local current = redis.pcall('GET', key)
    -- As in sharers.lua.
    local longest = 0
    if current == '(shared)' then
        longest = tonumber(redis.call('ZRANGE', sharers, -1, -1, 'WITHSCORES')[2]) or 0
    end
    local has_room = (not current or longest > 0) and redis.call('EXISTS', queue) == 0
    local holder, left = current or '', nil
    if has_room and longest > 0 and limit ~= '' then
        if not time then
            local now = redis.call('TIME')
            time = now[1] * 1000 + math.floor(now[2] / 1000)
        end
        local over = redis.call('ZRANGEBYSCORE', sharers, 1, time, 'LIMIT', 0, 1000)
        for _, one in ipairs(over) do
            redis.call('ZREM', sharers, one, one .. '\rf', one .. '\rp', one .. '\ra')
        end
        local out = redis.call('ZCOUNT', sharers, 1, '+inf')
        if out == 0 then
            longest = 0
        end
        local permitted = redis.call('ZRANGEBYSCORE', sharers, -1e12, '(0', 'WITHSCORES')
        for at = 1, #permitted, 2 do
            if string.sub(permitted[at], -2) == '\rp' then
                out = out - permitted[at + 1]
            end
        end
        has_room = out + permits <= tonumber(limit)
        if not has_room then
            local soonest = redis.call('ZRANGEBYSCORE', sharers, '(' .. time, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
            left = soonest[2] and soonest[2] - time
            holder = redis.call('ZSCORE', sharers, member) and id or holder
        end
    end
    if has_room then
        if not fence then
            local count = items
--@include draw
            fence = first
            time = time or now[1] * 1000 + math.floor(now[2] / 1000)
        end
        local over = time + ttl
        if not current then
            redis.call('DEL', sharers)
        end
        if redis.call('ZADD', sharers, 'NX', over, member, string.format('%.0f', -fence), member .. '\rf') == 0 then
            has_room, holder = false, id
        else
            if #more > 0 then
                redis.call('ZADD', sharers, unpack(more))
            end
            if over - over % 60000 > longest then
                redis.call('PEXPIREAT', sharers, over + 120000)
                local gone = redis.call('ZRANGEBYSCORE', sharers, 1, time, 'LIMIT', 0, 1000)
                for _, one in ipairs(gone) do
                    redis.call('ZREM', sharers, one, one .. '\rf', one .. '\rp', one .. '\ra')
                end
            end
            if not current then
                redis.call('SET', key, '(shared)', 'PXAT', over)
            elseif over > longest then
                redis.call('PEXPIREAT', key, over)
            end
            answers[i] = fence
            fence = fence + 1
        end
    end
    if not has_room then
        answers[i] = current and current.err or { holder, left or redis.call('PTTL', key) }
    end
end
return answers
