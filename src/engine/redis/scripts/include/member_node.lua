--@include acquisition

-- Which of the sharers an attempt is: those of one acquisition have one place.
local function member_of(id)
    return acquisition_of(id)
end

-- The number of an attempt; 0: it is none, but an acquisition.
local function attempt_of(id)
    return tonumber(string.match(id, '#(%d+):%d*$')) or 0
end
