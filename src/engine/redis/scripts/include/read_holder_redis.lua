-- The id, and the fence if a holder tells it.
local function read_holder(holder)
    local name, random, fence = string.match(holder, '^(%S+:%d+:([%w_-]+):%w+:)(%d+)$')
    if random and #random == 8 then
        return name, tonumber(fence)
    end
    return holder .. '\r', nil
end
