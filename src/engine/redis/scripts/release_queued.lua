-- Gives back what somebody has of a key: the key itself, which goes to the first waiter in the same step, or a place
-- in line.
--
-- KEYS  clock; per item: key, queue, waiters
-- ARGV  pause; per item: holder, id, underway
--
-- pause      ms for which a key that others wait for is left free, so that those who poll for it with a plain SET get
--            a chance; '': none
-- holder     releases the key, if this holder has it; '': see id
-- id         of an acquisition that is given up: it leaves the line, and without a holder it gives the key back, too,
--            if it has it. A key under a holder that was chosen is left alone then: it may be another lease of the
--            same owner. Both '': hands on a key that nobody has.
-- underway   1: attempts of that acquisition may still arrive, and are refused
--
-- Answers, per item: {released, window}
--   released   1: the key was given back; 0: it was not this holder's, or this acquisition's
--   window     the first waiter was granted the key, or it was left free, for so many ms; 0: neither

--@include hand_off
--@include takes_back
--@include holds
--@include answers

-- Tombstones that are over are swept a few at a time.
local function bury(queue, id)
    local over = redis.call('ZRANGEBYSCORE', queue, whole(-micros()), '(0', 'LIMIT', 0, 64)
    if #over > 0 then
        redis.call('ZREM', queue, unpack(over))
    end
    redis.call('ZADD', queue, whole(-micros() - 1000 * QUEUE_LIFE), id)
    redis.call('PEXPIRE', queue, QUEUE_LIFE)
end

-- Leaves the key free for others, while somebody waits.
local function yield(key, queue, waiters, pause)
    if not first_waiter(queue, waiters) then
        return false
    end
    redis.call('HSET', waiters, 'yield', whole(micros() / 1000 + pause))
    redis.call('DEL', key)
    tell_first(key, queue, waiters, pause)
    return true
end

-- Hands the key on, or deletes it. A hand-off that is refused (out of memory, say) ends in a deletion: a release
-- always frees. Returns the window.
local function free(key, queue, waiters, current)
    local done, holder, window = pcall(hand_off, key, queue, waiters)
    if done and holder then
        return window
    end
    local deleted = redis.pcall('DEL', key)
    if type(deleted) == 'number' then
        if not done then
            tell_first(key, queue, waiters, 0)
        end
        return 0
    end
    if redis.pcall('GET', key) == current then
        error(deleted)
    end
    -- It was given to a waiter that cannot be reached, and can be neither given on nor deleted: it runs out.
    return CLAIM_WINDOW
end

local function give_back(key, queue, waiters, holder, id, underway)
    local current = redis.call('GET', key)
    local ours
    if holder ~= '' then
        ours = current and holds(current, holder)
    else
        ours = current and id ~= '' and takes_back(current, id)
    end
    local was_first = false
    if id ~= '' and acquisition_of(id) == id then
        was_first = first_waiter(queue, waiters) == id
        leave(queue, waiters, id)
    end
    local window = 0
    local pause = tonumber(ARGV[1])
    if ours and pause and yield(key, queue, waiters, pause) then
        window = pause
    elseif ours or not current and (tonumber(redis.call('HGET', waiters, 'yield')) or 0) * 1000 <= micros() then
        window = free(key, queue, waiters, current)
    elseif was_first then
        tell_first(key, queue, waiters, math.max(redis.call('PTTL', key), 0))
    end
    -- Last: a release frees the key, also where this is refused.
    if underway == '1' and acquisition_of(id) == id then
        bury(queue, id)
    end
    return { ours and 1 or 0, window }
end

local answers = {}
for i = 1, (#KEYS - 1) / 3 do
    answers[i] = answer_of(
        pcall(
            give_back, KEYS[3 * i - 1], KEYS[3 * i], KEYS[3 * i + 1],
            ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
        )
    )
end
return answers
