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
--
-- Items of one key that follow each other are read and written together.

local items = (#KEYS - 1) / 4
local fence, time
local answers = {}
local item = 1
while item <= items do
    local key, queue, sharers = KEYS[4 * item - 2], KEYS[4 * item - 1], KEYS[4 * item + 1]
    local current = redis.pcall('GET', key)
    -- As in state.lua.
    local longest = 0
    if current == '(shared)' then
        longest = tonumber(redis.call('ZRANGE', sharers, -1, -1, 'WITHSCORES')[2]) or 0
    end
    local is_open = (not current or longest > 0) and redis.call('EXISTS', queue) == 0
    -- How many permits are out, where a limit asks for it; and how many of them were given here.
    local out, given = nil, 0
    local places, notes, granted, latest, soonest, named = {}, {}, 0, 0, math.huge, nil
    local from = item
    repeat
        local id = ARGV[2 * item - 1]
        local ttl, permits, limit = string.match(ARGV[2 * item], '^(%d+)%+?%d*%*(%d+)/?(%d*)$')
--@include place
        local has_room = is_open
        if is_open and limit ~= '' then
            if current and not out then
                if not time then
                    local now = redis.call('TIME')
                    time = now[1] * 1000 + math.floor(now[2] / 1000)
                end
                -- As in room.lua.
                local over = redis.call('ZRANGEBYSCORE', sharers, 1, time, 'LIMIT', 0, 1000)
                for _, one in ipairs(over) do
                    redis.call('ZREM', sharers, one, one .. '\rf', one .. '\rp', one .. '\ra')
                end
                out = redis.call('ZCOUNT', sharers, 1, '+inf')
                local permitted = redis.call('ZRANGEBYSCORE', sharers, -1e12, '(0', 'WITHSCORES')
                for at = 1, #permitted, 2 do
                    if string.sub(permitted[at], -2) == '\rp' then
                        out = out - permitted[at + 1]
                    end
                end
                longest = out > 0 and longest or 0
            end
            has_room = (out or 0) + given + permits <= tonumber(limit)
        end
        if has_room then
            if not fence then
                local count = items
--@include draw
                fence = first
                time = time or now[1] * 1000 + math.floor(now[2] / 1000)
            end
            local over = time + ttl
            places[#places + 1] = over
            places[#places + 1] = member
            places[#places + 1] = string.format('%.0f', -fence)
            places[#places + 1] = member .. '\rf'
            notes[item] = more
            latest = math.max(latest, over)
            soonest = math.min(soonest, over)
            granted = granted + 1
            named = limit ~= '' and limit or named
            given = given + permits
            answers[item] = fence
            fence = fence + 1
        elseif not is_open then
            answers[item] = current and current.err or { current or '', redis.call('PTTL', key) }
        else
            local now = time or 0
            local present = redis.call('ZRANGEBYSCORE', sharers, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
            local left = math.min(soonest, tonumber(present[2]) or math.huge) - now
            local holder = redis.call('ZSCORE', sharers, member) and id or '(shared)'
            answers[item] = { holder, left < math.huge and left or redis.call('PTTL', key) }
        end
        item = item + 1
    until item > items or item == from + 500 or KEYS[4 * item - 2] ~= key
    if granted > 0 then
        if not current then
            redis.call('DEL', sharers)
        end
        if 2 * redis.call('ZADD', sharers, 'NX', unpack(places)) < #places then
            -- Some have a place already.
            for at = from, item - 1 do
                local id = ARGV[2 * at - 1]
--@include member_name
                local known = type(answers[at]) == 'number' and redis.call('ZSCORE', sharers, member .. '\rf')
                if known and tonumber(known) ~= -answers[at] then
                    answers[at] = { id, redis.call('PTTL', key) }
                    notes[at] = nil
                    granted = granted - 1
                end
            end
            latest = tonumber(redis.call('ZRANGE', sharers, -1, -1, 'WITHSCORES')[2])
        end
        local more = named and granted > 0 and { -named, '\rl' } or {}
        for _, note in pairs(notes) do
            for at = 1, #note do
                more[#more + 1] = note[at]
            end
        end
        if #more > 0 then
            redis.call('ZADD', sharers, unpack(more))
        end
        if latest - latest % 60000 > longest then
            redis.call('PEXPIREAT', sharers, latest + 120000)
            local over = redis.call('ZRANGEBYSCORE', sharers, 1, time, 'LIMIT', 0, 1000)
            for _, one in ipairs(over) do
                redis.call('ZREM', sharers, one, one .. '\rf', one .. '\rp', one .. '\ra')
            end
        end
        if not current then
            redis.call('SET', key, '(shared)', 'PXAT', latest)
        elseif latest > longest then
            redis.call('PEXPIREAT', key, latest)
        end
    end
end
return answers
