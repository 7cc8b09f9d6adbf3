-- An acquisition asks the nodes again and again; each attempt has an id of its own: `…counter#<number>:`. The acquisition has one place in line.
local function acquisition_of(id)
    return (string.gsub(id, '#%d+:$', ':'))
end

-- Whether the key was given to this attempt; or to any attempt, where the id is that of an acquisition.
local function is_of(value, id)
    local attempt = string.match(value, '^.*:') or ''
    return attempt == id or acquisition_of(attempt) == id
end

-- Whether giving up the attempt, or the acquisition, gives the key back, too. In front of a `#` stands a holder that was chosen: another acquisition
-- of that owner may rely on what one of the acquisition's attempts has, so only that attempt itself gives it back.
local function takes_back(value, id)
    return is_of(value, id) and (string.match(value, '^.*:') == id or not string.find(id, '#', 1, true))
end

local function number_of(text)
    return tonumber(string.match(text, '#(%d+):%d*$')) or 0
end

-- Whether a later attempt has the key. What arrives of an earlier one must not put its name there: the command that takes the earlier one back, which may
-- follow it, would take the vote of the later one.
local function is_later(value, id)
    return number_of(value) > number_of(id)
end
