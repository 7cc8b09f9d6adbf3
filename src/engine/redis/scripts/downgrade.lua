-- Makes a lease a shared one, under the same holder and fence. Others who wait to share the key join in the same step.
-- Never shortens it. One that is shared already is lengthened, so it may be sent again.
--
-- KEYS  clock; per item: key, queue, waiters, sharers
-- ARGV  per item: holder, ttl
--
-- Answers, per item: {done, window}
--   done     1: it is shared; 0: this holder does not have the key
--   window   how long the waiters that were granted the key may take to claim it, ms; 0: none was

--@include hand_off
--@include holds
--@include read_holder
--@include lock
--@include answers

local function downgrade(lock, holder, ttl)
    local sharers = lock.sharers
    local share = sharing()
    local over = share.now_ms() + ttl
    local current = redis.call('GET', lock.key)
    local state = state_of(lock, current)
    local done = false
    if state == 'shared' then
        local members
--@include sharers_of
        for _, member in ipairs(members) do
            local present = share.end_of(sharers, member)
            if present and present > share.now_ms() then
                share.set_place(lock, true, member, math.max(over, present), {})
                done = true
            end
        end
    elseif current and holds(current, holder) then
        local id, fence = read_holder(current)
        local member = share.member_of(id)
        local more = {}
        if fence then
            more = { whole(-fence), member .. '\rf' }
        end
        local attempt = share.attempt_of(id)
        if attempt > 0 then
            more[#more + 1] = -attempt
            more[#more + 1] = member .. '\ra'
        end
        share.set_place(lock, false, member, math.max(over, share.now_ms() + redis.call('PTTL', lock.key)), more)
        done = true
    end
    if not done then
        return { 0, 0 }
    end
    return { 1, (hand_off(lock, 'shared')) }
end

local answers = {}
for i = 1, (#KEYS - 1) / 4 do
    answers[i] = answer_of(pcall(downgrade, lock_at(i), ARGV[2 * i - 1], ARGV[2 * i]))
end
return answers
