-- The `members` of the `sharers` that a `holder` is: an attempt; the name of an acquisition, whichever attempt it was;
-- a holder that was chosen, in front of a `#`.
local members = {}
local name, number = string.match(holder, '^(.*)#(%d+):%d*$')
if not name then
    local named = string.match(holder, '^(.*:)%d+$') or holder .. ':'
    if redis.call('ZSCORE', sharers, named) then
        members[1] = named
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
