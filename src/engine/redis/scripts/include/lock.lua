-- The keys of an item, behind the clock. In a slot that is about to leave this server, a command is refused when one of
-- its keys is not there. So a caller that does not share the key names the waiters again instead of the sharers.
-- These are then found beside the waiters, where they are needed.
local function lock_at(item)
    local first = 4 * item - 2
    local waiters, sharers = KEYS[first + 2], KEYS[first + 3]
    if sharers == waiters then
        sharers = string.sub(waiters, 1, -2) .. 'h'
    end
    return { key = KEYS[first], queue = KEYS[first + 1], waiters = waiters, sharers = sharers }
end
