-- An acquisition asks the nodes again and again; each attempt has an id of its own: `…counter#<number>:`. The
-- acquisition has one place in line.
local function acquisition_of(id)
    return (string.gsub(id, '#%d+:$', ':'))
end

-- Whether the key was given to this attempt; or to any attempt, where the id is that of an acquisition.
local function is_of(value, id)
    local attempt = string.match(value, '^.*:') or ''
    return attempt == id or acquisition_of(attempt) == id
end
