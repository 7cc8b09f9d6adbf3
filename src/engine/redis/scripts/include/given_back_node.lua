-- Which sharer the give-up of an attempt, or of an acquisition, gives back; nil: none. As in takes_back_node.lua.
local function given_back(sharers, id)
    local member = member_of(id)
    if not redis.call('ZSCORE', sharers, member) then
        return nil
    end
    local attempt = -(tonumber(redis.call('ZSCORE', sharers, member .. '\ra')) or 0)
    return (attempt == attempt_of(id) or not string.find(id, '#', 1, true)) and member
end
