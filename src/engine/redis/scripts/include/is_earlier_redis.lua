-- All attempts are one.
local function is_earlier()
    return false
end
