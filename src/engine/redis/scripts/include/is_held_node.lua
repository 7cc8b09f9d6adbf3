-- As in holds_node.lua: by its name and any attempt, as it is, or by this attempt.
local is_held = type(current) == 'string' and (string.sub(current, 1, #holder + 1) == holder .. '#' or current == holder
    or string.find(holder, '#%d+:$') ~= nil and string.sub(current, 1, #holder) == holder)
