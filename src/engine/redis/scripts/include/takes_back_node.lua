--@include is_of

-- Whether giving up the attempt, or the acquisition, gives the key back, too. In front of a `#` stands a holder that
-- was chosen: another acquisition of that owner may rely on what one of the acquisition's attempts has, so only that
-- attempt itself gives it back.
local function takes_back(value, id)
    return is_of(value, id) and (string.match(value, '^.*:') == id or not string.find(id, '#', 1, true))
end
