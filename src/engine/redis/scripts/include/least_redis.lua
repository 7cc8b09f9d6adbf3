-- The locks are on one Redis.

-- The smallest number that the clock may give.
local function least()
    return micros()
end
