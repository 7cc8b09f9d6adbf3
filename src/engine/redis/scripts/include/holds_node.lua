-- Whether this holder has the key. Each node gives a fence of its own, so only what is before it is compared.
local function holds(value, holder)
    return string.sub(value, 1, #holder) == holder
end
