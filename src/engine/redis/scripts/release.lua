-- Gives back a key for which nobody waits. It only reads and deletes, which a server that is out of memory does, too.
--
-- KEYS  per item: key, queue
-- ARGV  per item: holder
--
-- Answers, per item
--   1    released
--   0    this holder does not have the key
--   -1   somebody waits, or something was given up: nothing was changed

--@include answers

local function release(key, queue, holder)
    if redis.call('EXISTS', queue) == 1 then
        return -1
    end
    if redis.call('GET', key) ~= holder then
        return 0
    end
    return redis.call('DEL', key)
end

local answers = {}
for i = 1, #KEYS / 2 do
    answers[i] = answer_of(pcall(release, KEYS[2 * i - 1], KEYS[2 * i], ARGV[i]))
end
return answers
