local function number_of(text)
    return tonumber(string.match(text, '#(%d+):%d*$')) or 0
end

-- Whether a later attempt has the key. What arrives of an earlier one must not put its name there: the command that
-- takes the earlier one back, which may follow it, would take the vote of the later one.
local function is_later(value, id)
    return number_of(value) > number_of(id)
end
