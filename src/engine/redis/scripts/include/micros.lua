-- The time of the server, µs. It is read once: the expiry of keys stands still inside a command, too.
local time
local function micros()
    if not time then
        local now = redis.call('TIME')
        time = now[1] * 1000000 + now[2]
    end
    return time
end
