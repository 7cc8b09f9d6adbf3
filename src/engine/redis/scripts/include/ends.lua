--@include shared
--@include now_ms

-- The latest end of those who share the key, also one that is over; 0: nobody does.
local function last_end(sharers)
    return math.max(tonumber(redis.call('ZRANGE', sharers, -1, -1, 'WITHSCORES')[2]) or 0, 0)
end

-- The end of a member; nil: it has no place.
local function end_of(sharers, member)
    return tonumber(redis.call('ZSCORE', sharers, member))
end
