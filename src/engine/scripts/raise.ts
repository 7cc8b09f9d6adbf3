import { Script } from './Script';

/**
 * Lets a node of a quorum remember the fence that its grant has, when other nodes gave a greater one: so that the next one
 * that it gives is greater too. Only while the key is held by that acquisition: what came late would give a node that was
 * restarted a memory that is out of date, in which it would believe instead of its clock.
 *
 * KEYS key, memory.
 * ARGV holder; id of the acquisition; fence.
 *
 * Answers, per item: 1 remembered · 0 the key is not held by that acquisition.
 */
const BODY = `
local function step(key, memory, holder, id, fence)
    local known = redis.call('HMGET', memory, 'f', 'a')
    if redis.call('GET', key) ~= holder or known[2] ~= id then
        return 0
    end
    if tonumber(known[1]) < tonumber(fence) then
        redis.call('HSET', memory, 'f', fence)
    end
    return 1
end
`;

export const raiseScript = new Script('raise', 2, 3, BODY, (answer) =>
    answer === 0 || answer === 1 ? answer === 1 : undefined,
);
