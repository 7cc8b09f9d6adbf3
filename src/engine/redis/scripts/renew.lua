-- Lengthens a lease that is still this holder's. Never shortens it, so a renewal that arrives late does no harm. Never
-- re-creates it. A key that never expires is left so.
--
-- KEYS  per item: key
-- ARGV  per item: holder, ttl
--
-- Answers, per item
--   1   renewed
--   0   the key is absent, or another's

--@include holds
--@include answers

local function renew(key, holder, ttl)
    local current = redis.call('GET', key)
    if not current or not holds(current, holder) then
        return 0
    end
    local left = redis.call('PTTL', key)
    if left >= 0 then
        -- Always a write: replicas are asked whether they have it.
        redis.call('PEXPIRE', key, math.max(left, tonumber(ttl)))
    end
    return 1
end

local answers = {}
for i = 1, #KEYS do
    answers[i] = answer_of(pcall(renew, KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]))
end
return answers
