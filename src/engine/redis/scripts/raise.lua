-- Writes to a node of a quorum the fence of a grant that it has, when other nodes gave a greater one: so the next one
-- that it gives is greater, too. Only while that attempt has the key: what comes late would push the clock of a node
-- that was restarted.
--
-- KEYS  clock; per item: key
-- ARGV  per item: id of the attempt, fence
--
-- Answers, per item
--   1   the node has the fence
--   0   the key is not this attempt's

--@include answers

local function raise(key, id, fence)
    local current = redis.call('GET', key)
    if not current or string.sub(current, 1, #id) ~= id then
        return 0
    end
    if (tonumber(redis.call('GET', KEYS[1])) or 0) < tonumber(fence) then
        redis.call('SET', KEYS[1], fence, 'PX', CLOCK_LIFE)
    end
    redis.call('SET', key, id .. fence, 'KEEPTTL')
    return 1
end

local answers = {}
for i = 1, #KEYS - 1 do
    answers[i] = answer_of(pcall(raise, KEYS[i + 1], ARGV[2 * i - 1], ARGV[2 * i]))
end
return answers
