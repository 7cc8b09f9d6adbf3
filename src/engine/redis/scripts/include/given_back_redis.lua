-- Which sharer the give-up of an acquisition gives back; nil: none.
local function given_back(sharers, id)
    local member = member_of(id)
    return not string.find(id, '\r', 1, true) and redis.call('ZSCORE', sharers, member) and member
end
