--@include micros

-- The queue is a sorted set of acquisitions. A score above 0 is a ticket: the acquisition waits. A score below 0 is a
-- tombstone: the acquisition was given up, and until minus the score (server time, µs) whatever arrives of it is
-- refused. The waiters are a hash: acquisition -> `<lease> <request> <channel>`. At the lease (server time, ms) the
-- waiter is taken to be dead.

-- What is asked for: `<ttl>`; `<ttl>+<spare>` to reserve that number of fences behind the one of the grant. Behind
-- that `*<permits>` where the key is to be shared, `*<permits>/<limit>` where no more than the limit are to be out.
local function read_request(request)
    local ttl, spare, permits, limit = string.match(request, '^(%d+)%+?(%d*)%*?(%d*)/?(%d*)$')
    return ttl, tonumber(spare) or 0, tonumber(permits), tonumber(limit)
end

local function leave(queue, waiters, id)
    redis.call('ZREM', queue, id)
    redis.call('HDEL', waiters, id)
end

-- The first waiter whose lease has not run out: acquisition, request, channel. Those before it are dropped.
local function first_waiter(queue, waiters)
    while true do
        local found = redis.pcall('ZRANGEBYSCORE', queue, 0, '+inf', 'LIMIT', 0, 1)
        -- In a slot that is about to leave this server, a queue cannot be read after its last member has left.
        if found.err and not string.find(found.err, 'non local key') then
            error(found)
        end
        local id = found[1]
        if not id then
            return nil
        end
        local lease, request, channel = string.match(redis.call('HGET', waiters, id) or '', '^(%d+) (%S+) (%S*)$')
        if lease and tonumber(lease) * 1000 > micros() then
            return id, request, channel
        end
        leave(queue, waiters, id)
    end
end
