-- Whether this holder has the key: as it is, or as one of its attempts, or as this attempt. Each node gives a fence of
-- its own, so that is not compared.
local function holds(value, holder)
    return value == holder
        or string.sub(value, 1, #holder + 1) == holder .. '#'
        or string.find(holder, '#%d+:$') ~= nil and string.sub(value, 1, #holder) == holder
end
