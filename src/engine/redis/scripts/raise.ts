import { Script } from './Script';

/**
 * Lets a node of a quorum remember the fence that its grant has, when other nodes gave a greater one: so that the next one
 * that it gives is greater too. Only while that holder has the key: what came late would give a node that was restarted a
 * memory that is out of date, in which it would believe instead of its clock.
 *
 * KEYS key, memory.
 * ARGV holder; fence.
 *
 * Answers, per item: 1 remembered · 0 the key is not that holder's.
 */
const BODY = `
local function step(key, memory, holder, fence)
    local last = redis.call('HGET', memory, 'f')
    if not last or redis.call('GET', key) ~= holder then
        return 0
    end
    if tonumber(last) < tonumber(fence) then
        redis.call('HSET', memory, 'f', fence)
    end
    return 1
end
`;

export const raiseScript = new Script('raise', { keys: 2, args: 2 }, BODY, (answer) =>
    answer === 0 || answer === 1 ? answer === 1 : undefined,
);
