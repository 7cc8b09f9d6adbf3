-- The `member` that an acquisition is among those who share, and what `more` is stored of it.
local member, more = id, {}
if permits ~= '1' then
    more = { 1 - permits, id .. '\rp' }
end
