import { Script, isList } from './Script';

/**
 * Finds out which commands the user may not run: inside a script servers before 7.2 do not say which one they refuse. Each is
 * called in a way that changes nothing, even where it is allowed.
 *
 * KEYS key, queue, waiters, memory. ARGV none.
 *
 * Answers, per item: the names of the commands that are refused.
 */
const BODY = `
local function step(key, queue, waiters, memory)
    local calls = {
        { 'get', key }, { 'set', key, '', 'PX', 'x' }, { 'del', memory .. ':none' }, { 'pttl', key },
        { 'pexpire', key, 'x' }, { 'exists', key }, { 'time' },
        { 'hget', memory, 'f' }, { 'hset', memory, 'f', '', 'x' }, { 'hdel', waiters, '' }, { 'hmget', memory, 'f' },
        { 'hlen', waiters }, { 'hgetall', waiters }, { 'hincrby', memory, 'n', 'x' },
        { 'zadd', queue, 'x', '' }, { 'zrem', queue, '' }, { 'zrange', queue, 0, 0 }, { 'zrank', queue, '' },
        { 'zscore', queue, '' }, { 'zcard', queue },
    }
    local refused = {}
    for _, call in ipairs(calls) do
        local answer = redis.pcall(unpack(call))
        local why = type(answer) == 'table' and answer.err or ''
        if string.find(why, 'NOPERM') or string.find(why, 'run this command') then
            refused[#refused + 1] = call[1]
        end
    end
    return refused
end
`;

export const permissionsScript = new Script('permissions', { keys: 4, args: 0 }, BODY, (answer) =>
    isList(answer) ? answer.map(String) : undefined,
);
