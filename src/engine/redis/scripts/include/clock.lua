--@include whole

local drawn, reserved = 0, 0

-- The next number of the clock. `spare` numbers behind it are reserved with it. One write serves all items of a
-- command.
local function draw(spare)
    if drawn + 1 + spare > reserved then
        local count = spare + #KEYS
--@include draw
        drawn, reserved = first - 1, first + count - 1
    end
    local number = drawn + 1
    drawn = number + spare
    return number
end
