-- The `members` of the `sharers` that a `holder` is: an attempt; the name of an acquisition, whichever attempt it was;
-- a holder that was chosen, in front of a `#`.
members = {}
local name, number = string.match(holder, '^(.*)#(%d+):%d*$')
if not name then
    local unclaimed = string.match(holder, '^(.*:)%d+$')
    if redis.call('ZSCORE', sharers, holder .. ':') then
        members[1] = holder .. ':'
    elseif unclaimed and redis.call('ZSCORE', sharers, unclaimed) then
        members[1] = unclaimed
    else
        for _, member in ipairs(redis.call('ZRANGEBYSCORE', sharers, 1, '+inf')) do
            if string.sub(member, 1, #holder + 1) == holder .. '#' then
                members[#members + 1] = member
            end
        end
    end
elseif tonumber(redis.call('ZSCORE', sharers, name .. ':\ra')) == -number then
    members[1] = name .. ':'
end
