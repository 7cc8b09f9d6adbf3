-- Whether the key was given to this acquisition.
local function is_of(value, id)
    local chosen = string.match(id, '^([^\r]*)\r')
    if chosen then
        return value == chosen
    end
    return string.sub(value, 1, #id) == id
end
