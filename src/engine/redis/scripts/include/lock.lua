-- The keys of an item, behind the clock.
local function lock_at(item)
    local first = 4 * item - 2
    return { key = KEYS[first], queue = KEYS[first + 1], waiters = KEYS[first + 2], sharers = KEYS[first + 3] }
end
