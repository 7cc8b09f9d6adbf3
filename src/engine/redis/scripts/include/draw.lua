-- Draws `count` numbers of the clock, KEYS[1]: the greatest fence or ticket that was ever given on this server, or for
-- this slot. The `first` of them is greater than every number before, and not less than the time of the server, µs: so
-- it is, too, when the clock was lost. The clock is written before a number is used.
local now = redis.call('TIME')
local first = now[1] * 1000000 + now[2]
--@include hint
local last = tonumber(redis.call('SET', KEYS[1], string.format('%.0f', first + count - 1), 'KEEPTTL', 'GET') or 0)
if last >= first then
    first = last + 1
    redis.call('SET', KEYS[1], string.format('%.0f', last + count), 'KEEPTTL')
end
-- To set an expiry takes longer than all the rest: once a minute is enough.
if last < first - first % 60000000 then
    redis.call('PEXPIRE', KEYS[1], CLOCK_LIFE)
end
