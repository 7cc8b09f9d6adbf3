-- The locks are on a node of a quorum.

-- The smallest number that the clock may give. The last argument is what the client has seen of the clocks of all nodes, moved on by its own clock:
-- so all nodes give the same fence. A client whose clock is wrong must not push ours far ahead.
local function least()
    local hint = tonumber(ARGV[#ARGV]) or 0
    return hint <= micros() + 1000000 and math.max(hint, micros()) or micros()
end
