import { Script, isList } from './Script';

/**
 * Tries the commands that scripts need: inside a script servers before 7.2 do not say which one they refuse. Each is called in
 * a way that changes nothing, even where it is allowed.
 *
 * KEYS key, queue, waiters, memory. ARGV none.
 *
 * Answers, per item: of each command that failed its name and what the server said.
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
    local failed = {}
    for _, call in ipairs(calls) do
        local answer = redis.pcall(unpack(call))
        if type(answer) == 'table' and answer.err then
            failed[#failed + 1] = call[1]
            failed[#failed + 1] = answer.err
        end
    end
    return failed
end
`;

export const permissionsScript = new Script('permissions', { keys: 4, args: 0 }, BODY, (answer) =>
    isList(answer) ? answer.map(String) : undefined,
);
