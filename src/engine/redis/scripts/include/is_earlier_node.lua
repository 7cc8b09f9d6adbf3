-- Whether a later attempt has the place among those who share: see is_later_node.lua.
local function is_earlier(sharers, id)
    local attempt = -(tonumber(redis.call('ZSCORE', sharers, member_of(id) .. '\ra')) or 0)
    return attempt > attempt_of(id)
end
