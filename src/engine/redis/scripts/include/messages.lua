--@include whole
--@include queue

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

-- Tells the first waiter that it is the first, and that the key is taken for so many ms. Waiters that cannot be
-- reached are dropped.
local function tell_first(key, queue, waiters, taken)
    while true do
        local id, _, channel = first_waiter(queue, waiters)
        if not id or reaches(channel, 'first', whole(taken), 0, id, key) then
            return
        end
        leave(queue, waiters, id)
    end
end
