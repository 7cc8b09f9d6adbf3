-- Gives back what somebody has of a key: the key itself, which goes to the first waiter in the same step, or a place
-- among those who share it, or a place in line.
--
-- KEYS  clock; per item: key, queue, waiters, sharers
-- ARGV  pause; per item: holder, id, underway, keep
--
-- pause      ms for which a key that others wait for is left free, so that those who poll for it with a plain SET get
--            a chance; '': none
-- holder     releases the key, or its place there, if this holder has it; '': see id
-- id         of an acquisition that is given up: it leaves the line, and without a holder it gives the key back, too,
--            if it has it. A key under a holder that was chosen is left alone then: it may be another lease of the
--            same owner. With a holder, of the acquisition that is released: once that is buried, it is a hand-on.
--            Both '': hands on a key that nobody has, or that has room for the first in line.
-- underway   1: attempts of that acquisition may still arrive, and its release, too: they are refused
-- keep       ms for which what is released stays taken all the same; '' or 0: none
--
-- Answers, per item: {released, window, waiting}
--   released   1: the key was given back; 0: it was not this holder's, or this acquisition's, or was given back before
--   window     how long the key is kept for those it was granted, or is left free, ms; 0: neither
--   waiting    how many wait for a key that was given back and is taken all the same, without a window; else 0

--@include acquisition
--@include hand_off
--@include takes_back
--@include holds
--@include lock
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
local function yield(lock, pause)
    if not first_waiter(lock.queue, lock.waiters) then
        return false
    end
    redis.call('HSET', lock.waiters, 'yield', whole(micros() / 1000 + pause))
    redis.call('DEL', lock.key)
    tell_first(lock, pause)
    return true
end

-- Hands the key on, or deletes it. A hand-off that is refused (out of memory, say) ends in a deletion: a release
-- always frees. Returns the window.
local function free(lock, current)
    local done, window = pcall(hand_off, lock, 'free')
    if done and window > 0 then
        return window
    end
    local deleted = redis.pcall('DEL', lock.key)
    if type(deleted) == 'number' then
        if not done then
            tell_first(lock, 0)
        end
        return 0
    end
    if redis.pcall('GET', lock.key) == current then
        error(deleted)
    end
    -- It was given to a waiter that cannot be reached, and can be neither given on nor deleted: it runs out.
    return CLAIM_WINDOW
end

-- Gives back a place among those who share the key, or lets it end after `keep` ms. The key ends with the last of those
-- who share it.
--
-- Returns whether the place was there; the state of the key; whether the key ends sooner than before.
local function leave_place(lock, holder, id, keep)
    local share, sharers = sharing(), lock.sharers
    local members = {}
    if holder ~= '' then
--@include sharers_of
    elseif id ~= '' then
--@include given_back
    end
    local before = share.last_end(sharers)
    local ours = false
    for _, member in ipairs(members) do
        local over = share.end_of(sharers, member)
        local lives = over and over > share.now_ms()
        ours = ours or lives
        -- (What cannot be written for want of memory ends when it would have ended.)
        if lives and keep > 0 then
            pcall(share.set_place, lock, true, member, share.now_ms() + keep, {})
        else
            share.drop(sharers, member)
        end
    end
    local longest = share.last_end(sharers)
    if longest > share.now_ms() then
        redis.call('PEXPIREAT', lock.key, whole(longest))
        return ours, 'shared', longest < before
    end
    redis.call('DEL', sharers)
    return ours, 'over', true
end

-- Those who share the key go on; there may be room for others now. Returns the window.
local function admit_more(lock, tells)
    local done, window = pcall(hand_off, lock, 'shared')
    if done and window > 0 then
        return window
    end
    -- (A waiter that could not be given its share for want of memory may ask.)
    if tells or not done then
        tell_first(lock)
    end
    return 0
end

-- Whether a release comes late: another one of the same acquisition was done, and since then its owner may have been
-- granted the key once more.
local function is_late(queue, holder, id)
    local place = holder ~= '' and id ~= '' and tonumber(redis.call('ZSCORE', queue, id))
    return place and place < 0 and -place > micros()
end

local function give_back(lock, holder, id, underway, keep)
    local key, queue, waiters = lock.key, lock.queue, lock.waiters
    local current = redis.call('GET', key)
    if is_late(queue, holder, id) then
        -- It is no more than a look whether the key can be handed on.
        holder, id, underway = '', '', '0'
    end
    local state = state_of(lock, current)
    local ours, sooner
    if state == 'shared' then
        ours, state, sooner = leave_place(lock, holder, id, keep)
    elseif holder ~= '' then
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
    local stays = state == 'shared' or ours and keep > 0 and state == 'taken'
    if state == 'shared' then
        window = admit_more(lock, was_first or sooner)
    elseif stays then
        redis.call('PEXPIRE', key, keep)
        tell_first(lock, keep)
    elseif (ours or state == 'over') and pause and yield(lock, pause) then
        window = pause
    elseif ours or state == 'over'
        or not current and (tonumber(redis.call('HGET', waiters, 'yield')) or 0) * 1000 <= micros() then
        window = free(lock, current)
    elseif was_first then
        tell_first(lock, math.max(redis.call('PTTL', key), 0))
    end
    -- Last: a release frees the key, also where this is refused.
    if underway == '1' and acquisition_of(id) == id then
        bury(queue, id)
    end
    local waiting = ours and stays and window == 0 and redis.call('ZCOUNT', queue, 0, '+inf') or 0
    return { ours and 1 or 0, window, waiting }
end

local answers = {}
for i = 1, (#KEYS - 1) / 4 do
    answers[i] = answer_of(
        pcall(
            give_back, lock_at(i),
            ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i], tonumber(ARGV[4 * i + 1]) or 0
        )
    )
end
return answers
