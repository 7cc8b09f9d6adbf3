-- Writes to a node of a quorum the fence of a grant that it has, when other nodes gave a greater one: so the next one
-- that it gives is greater, too. Only while that attempt has the key: what comes late would push the clock of a node
-- that was restarted.
--
-- KEYS  clock; per item: key, sharers
-- ARGV  per item: id of the attempt, fence
--
-- Answers, per item
--   1   the node has the fence
--   0   the key is not this attempt's, and it does not share it

--@include shared
--@include ends
--@include answers

local function raise(lock, id, fence)
    local key, sharers = lock.key, lock.sharers
    local current = redis.call('GET', key)
    local shares = current == SHARED and last_end(sharers) > 0
    local name, number = string.match(id, '^(.*)#(%d+):$')
    local member = (name or string.sub(id, 1, -2)) .. ':'
    if shares then
        local over = end_of(sharers, member)
        local attempt = -(tonumber(redis.call('ZSCORE', sharers, member .. '\ra')) or 0)
        if not over or over <= now_ms() or attempt ~= (tonumber(number) or 0) then
            return 0
        end
    elseif not current or string.sub(current, 1, #id) ~= id then
        return 0
    end
    if (tonumber(redis.call('GET', KEYS[1])) or 0) < tonumber(fence) then
        redis.call('SET', KEYS[1], fence, 'PX', CLOCK_LIFE)
    end
    if shares then
        redis.call('ZADD', sharers, '-' .. fence, member .. '\rf')
    else
        redis.call('SET', key, id .. fence, 'KEEPTTL')
    end
    return 1
end

local answers = {}
for i = 1, (#KEYS - 1) / 2 do
    local lock = { key = KEYS[2 * i], sharers = KEYS[2 * i + 1] }
    answers[i] = answer_of(pcall(raise, lock, ARGV[2 * i - 1], ARGV[2 * i]))
end
return answers
