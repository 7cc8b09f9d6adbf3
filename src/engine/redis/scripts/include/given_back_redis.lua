-- Which `members` of the `sharers` the give-up of an acquisition gives back.
local member = share.member_of(id)
if not string.find(id, '\r', 1, true) and redis.call('ZSCORE', sharers, member) then
    members = { member }
end
