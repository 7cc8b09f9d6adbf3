-- The last argument is what the client has seen of the clocks of all nodes, moved on by its own clock: so all nodes
-- give the same fence. A client whose clock is wrong must not push ours far ahead.
local hint = tonumber(ARGV[#ARGV]) or 0
if hint > first and hint <= first + 1000000 then
    first = hint
end
