-- All attempts are one.
local is_earlier = false
