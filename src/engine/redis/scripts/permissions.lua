-- Finds out which commands the user may not run: inside a script, servers before 7.2 do not say which one they refuse. Each command is called in a way
-- that changes nothing, even where it is allowed.
--
-- KEYS  clock, key, queue, waiters
--
-- Answers: the names of the commands that are refused

local clock, key, queue, waiters = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local calls = {
    { 'get', key }, { 'set', clock, '', 'PX', 'x' }, { 'del', waiters .. ':none' }, { 'pttl', key }, { 'pexpire', key, 'x' }, { 'exists', key },
    { 'getrange', key, 0, 0 }, { 'time' }, { 'hget', waiters, '' }, { 'hset', waiters, 'f', '', 'x' }, { 'hdel', waiters, '' },
    { 'zadd', queue, 'x', '' }, { 'zrem', queue, '' }, { 'zrangebyscore', queue, 0, 0 }, { 'zcount', queue, 0, 0 }, { 'zscore', queue, '' },
}
local refused = {}
for _, call in ipairs(calls) do
    local answer = redis.pcall(unpack(call))
    local why = type(answer) == 'table' and answer.err or ''
    if string.find(why, 'NOPERM') or string.find(why, 'run this command') or string.find(why, 'no permissions') then
        refused[#refused + 1] = call[1]
    end
end
return { refused }
