--@include queue
--@include sharers

-- How many permits are out. Looks at each member that has more than one.
local function permits_out(sharers)
    sweep(sharers)
    local out = redis.call('ZCOUNT', sharers, 1, '+inf')
    local more = redis.call('ZRANGEBYSCORE', sharers, -1e12, '(0', 'WITHSCORES')
    for i = 1, #more, 2 do
        if string.sub(more[i], -2) == '\rp' then
            out = out - more[i + 1]
        end
    end
    return out
end

-- Whether there is room on a shared key. (None for who wants it alone.)
local function has_room(lock, permits, limit)
    return permits and (not limit or permits_out(lock.sharers) + permits <= limit)
end

local function fits(lock, request)
    local _, _, permits, limit = read_request(request)
    return has_room(lock, permits, limit)
end

-- For how long there is no room on a shared key if nothing is given back, ms.
local function time_to_wait(lock, limit)
    if not limit then
        return math.max(redis.call('PTTL', lock.key), 0)
    end
    local first = redis.call('ZRANGEBYSCORE', lock.sharers, '(' .. now_ms(), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    return first[2] and first[2] - now_ms() or 0
end
