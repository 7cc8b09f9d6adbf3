--@include acquisition

-- Whether the key was given to this attempt; or to any attempt, where the id is that of an acquisition.
local function is_of(value, id)
    local attempt = string.match(value, '^.*:') or ''
    return attempt == id or acquisition_of(attempt) == id
end
