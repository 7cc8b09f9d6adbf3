--@include whole
--@include micros
--@include least

-- The clock, KEYS[1]: the greatest fence or ticket that was ever given on this server, or for this slot.
local drawn, reserved = 0, 0

-- The next number of the clock. `spare` numbers behind it are reserved with it. The clock is written before a number is used, once for all items
-- of a command: no later command draws the same number.
local function draw(spare)
    if drawn + 1 + spare > reserved then
        local last = tonumber(redis.call('GET', KEYS[1]) or 0)
        drawn = math.max(last, least() - 1)
        reserved = drawn + spare + #KEYS
        redis.call('SET', KEYS[1], whole(reserved), 'PX', CLOCK_LIFE)
    end
    local number = drawn + 1
    drawn = number + spare
    return number
end
