-- An acquisition asks the nodes again and again; each attempt has an id of its own: `…counter#<number>:`. The
-- acquisition has one place in line.
local function acquisition_of(id)
    return (string.gsub(id, '#%d+:$', ':'))
end
