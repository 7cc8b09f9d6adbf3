-- Finds out which commands the user may not run: inside a script, servers before 7.2 do not say which one they refuse.
-- Each command is called in a way that changes nothing, even where it is allowed.
--
-- KEYS  clock, key, queue, waiters
--
-- Answers: of each command that failed its name, and what the server said

local clock, key, queue, waiters = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local calls = {
    { 'get', key }, { 'set', clock, '', 'PX', 'x' }, { 'del', waiters .. ':none' }, { 'pttl', key },
    { 'pexpire', key, 'x' }, { 'pexpireat', key, 'x' }, { 'exists', key },
    { 'getrange', key, 0, 0 }, { 'time' }, { 'hget', waiters, '' }, { 'hset', waiters, 'f', '', 'x' },
    { 'hdel', waiters, '' },
    { 'zadd', queue, 'x', '' }, { 'zrem', queue, '' }, { 'zrangebyscore', queue, 0, 0 }, { 'zcount', queue, 0, 0 },
    { 'zscore', queue, '' }, { 'zrange', queue, 0, 0 },
}
local failed = {}
for _, call in ipairs(calls) do
    local answer = redis.pcall(unpack(call))
    if type(answer) == 'table' and answer.err then
        failed[#failed + 1] = call[1]
        failed[#failed + 1] = answer.err
    end
end
return { failed }
