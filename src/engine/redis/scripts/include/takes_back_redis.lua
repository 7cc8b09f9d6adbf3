--@include is_of

-- Whether giving up the acquisition gives the key back, too.
local function takes_back(value, id)
    return not string.find(id, '\r', 1, true) and is_of(value, id)
end
