-- Whether this holder has the key.
local function holds(value, holder)
    return value == holder
end
