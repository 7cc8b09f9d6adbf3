-- The id, and the fence if a holder tells it.
local function read_holder(holder)
    local name, fence = string.match(holder, '^(.*:)(%d+)$')
    return name or holder, tonumber(fence)
end
