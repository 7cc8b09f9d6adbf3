-- Lengthens a lease of one who shares a key. Never shortens it, so a renewal that arrives late does no harm. Never
-- re-creates it.
--
-- KEYS  per item: key, sharers
-- ARGV  per item: holder, ttl
--
-- Answers, per item
--   1   renewed
--   0   the key is absent or another's, or this holder has no place there

--@include whole
--@include sharers
--@include answers

local function renew(lock, holder, ttl)
    local sharers = lock.sharers
    if redis.call('GET', lock.key) ~= SHARED or last_end(sharers) == 0 then
        return 0
    end
    local members
--@include sharers_of
    local renewed = 0
    for _, member in ipairs(members) do
        local over = end_of(sharers, member)
        if over and over > now_ms() then
            set_place(lock, true, member, math.max(over, now_ms() + ttl), {})
            renewed = 1
        end
    end
    return renewed
end

local answers = {}
for i = 1, #KEYS / 2 do
    local lock = { key = KEYS[2 * i - 1], sharers = KEYS[2 * i] }
    answers[i] = answer_of(pcall(renew, lock, ARGV[2 * i - 1], ARGV[2 * i]))
end
return answers
