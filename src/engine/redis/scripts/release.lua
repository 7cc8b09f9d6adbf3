-- Gives back a key for which nobody waits. It only reads and deletes, which a server that is out of memory does, too.
--
-- KEYS  per item: key, queue
-- ARGV  per item: holder
--
-- Answers, per item
--   1    released
--   0    this holder does not have the key
--   -1   somebody waits, or something was given up: nothing was changed

local answers = {}
for i = 1, #ARGV do
    local key = KEYS[2 * i - 1]
    if redis.call('EXISTS', KEYS[2 * i]) > 0 then
        answers[i] = -1
    else
        local current = redis.pcall('GET', key)
        local holder = ARGV[i]
--@include is_held
        if is_held then
            answers[i] = redis.call('DEL', key)
        else
            answers[i] = current and current.err or 0
        end
    end
end
return answers
