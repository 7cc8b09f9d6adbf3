-- Which of the sharers an acquisition is. A holder of our own that was chosen is that lease, handed over.
local function member_of(id)
    local name = string.match(id, '^([^\r]*)\r') or id
    return string.match(name, '^(%S+:%d+:[%w_-]+:%w+:)%d*$') or name
end

-- What is stored of its attempt: each acquisition has one.
local function attempt_of()
    return 0
end
