--@include micros

local function now_ms()
    return math.floor(micros() / 1000)
end
