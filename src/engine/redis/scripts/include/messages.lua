--@include whole
--@include queue

local sharing

-- The start of this server that channels name, asked for once a command; empty where that is refused.
local start
local function here()
    if not start then
        local info = redis.pcall('INFO', 'server')
        start = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
    end
    return start
end

-- Publishes a message to a waiter. Returns whether somebody may have heard it.
-- A channel is `redis-lock:@<start of a server>:<name>`, with `{tag}` behind it where it is a sharded channel, too. A
-- waiter without a channel polls. Where PUBLISH is refused nobody can tell. One that listens to another server, which
-- was the master before this one, is on its way here.
local function reaches(channel, kind, ms, fence, id, key)
    if channel == '' then
        return true
    end
    local message = table.concat({ kind, ms, fence, id, key }, '\n')
    local listeners = string.sub(channel, -1) == '}' and redis.pcall('SPUBLISH', channel, message)
    if type(listeners) ~= 'number' then
        listeners = redis.pcall('PUBLISH', channel, message)
    end
    if type(listeners) ~= 'number' or listeners > 0 then
        return true
    end
    local heard_at = string.match(channel, '^redis%-lock:@(%x+):')
    return heard_at ~= nil and string.sub(here(), 1, #heard_at) ~= heard_at
end

-- Tells the first waiter that it is the first, and for how long the key is taken, ms. Waiters that cannot be reached
-- are dropped.
-- taken: ms; nil: the key is shared, and for as long as there is no room for the waiter.
local function tell_first(lock, taken)
    while true do
        local id, request, channel = first_waiter(lock.queue, lock.waiters)
        if not id then
            return
        end
        local left = taken
        if not left then
            local _, _, permits, limit = read_request(request)
            local share = sharing()
            left = share.has_room(lock, permits, limit) and 0 or share.time_to_wait(lock, limit)
        end
        if reaches(channel, 'first', whole(left), 0, id, lock.key) then
            return
        end
        leave(lock.queue, lock.waiters, id)
    end
end
