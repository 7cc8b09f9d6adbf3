--@include whole

-- What the key holds when it is given to an acquisition: the holder that the caller has chosen, or the id and the
-- fence.
local function holder_of(id, fence)
    return string.match(id, '^([^\r]*)\r') or id .. whole(fence)
end
