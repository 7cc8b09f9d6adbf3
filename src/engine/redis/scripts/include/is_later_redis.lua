-- All attempts are one.
local function is_later()
    return false
end
