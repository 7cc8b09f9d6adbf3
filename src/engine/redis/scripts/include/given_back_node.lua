-- Which `members` of the `sharers` the give-up of an attempt, or of an acquisition, gives back: as takes_back_node.lua.
local member = share.member_of(id)
if redis.call('ZSCORE', sharers, member) then
    local attempt = -(tonumber(redis.call('ZSCORE', sharers, member .. '\ra')) or 0)
    if attempt == share.attempt_of(id) or not string.find(id, '#', 1, true) then
        members = { member }
    end
end
