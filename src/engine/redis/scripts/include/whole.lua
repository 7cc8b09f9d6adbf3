-- As text: Lua's own has only 14 digits.
local function whole(number)
    return string.format('%.0f', number)
end
