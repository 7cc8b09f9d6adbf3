--@include whole
--@include shared
--@include ends

-- The sharers are a sorted set that counts only while the key is shared: member -> end of its lease (server time, ms).
-- Scores below 0 tell more of a member: `<member>\rf` minus its fence, `<member>\rp` one less its permits, if they are
-- more than one, `<member>\ra` minus the number of its attempt, on a node. `\rl`: minus the limit that was named last.
--
-- The key outlives those who share it, whatever is refused: it is lengthened first and shortened last.

local function drop(sharers, member)
    redis.call('ZREM', sharers, member, member .. '\rf', member .. '\rp', member .. '\ra')
end

-- Drops those whose lease is over.
local function sweep(sharers)
    local over
    repeat
        over = redis.call('ZRANGEBYSCORE', sharers, 1, now_ms(), 'LIMIT', 0, 64)
        for _, member in ipairs(over) do
            drop(sharers, member)
        end
    until #over < 64
end

-- Gives a member its place until `over`, or another end. `more`: scores and names, as above. Who begins to share a key
-- first deletes what an earlier time has left.
local function set_place(lock, is_shared, member, over, more)
    local longest = 0
    if is_shared then
        longest = last_end(lock.sharers)
        redis.call('PEXPIREAT', lock.key, whole(math.max(over, longest)))
    else
        redis.call('DEL', lock.sharers)
    end
    redis.call('ZADD', lock.sharers, whole(over), member, unpack(more))
    -- Their own expiry is for the case that the key is deleted by hand. Once a minute is enough.
    if over - over % 60000 > longest then
        redis.call('PEXPIREAT', lock.sharers, whole(over + 120000))
        if longest > 0 then
            sweep(lock.sharers)
        end
    end
    if not is_shared then
        redis.call('SET', lock.key, SHARED, 'PXAT', whole(over))
    end
end
