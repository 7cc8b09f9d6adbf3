-- Each acquisition has one id.
local function acquisition_of(id)
    return id
end
