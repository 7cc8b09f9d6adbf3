-- Tells who holds a key and who waits for it, in order. It changes nothing.
--
-- KEYS  per item: key, queue, waiters
-- ARGV  per item: most
--
-- most   bytes of the key to look at; '': all
--
-- Answers, per item: {holder, remaining, now, {waiter, waited, waiter, waited, …}}
--   holder      '': the key is free
--   remaining   ms; -1: the key never expires; -2: it is free
--   now         time of the server, µs
--   waiter      id of the acquisition
--   waited      ms: a ticket is about the time of the server when it was drawn
-- Waiters whose lease has run out are left out.

--@include micros
--@include answers

local function inspect(key, queue, waiters, most)
    local holder
    if most == '' then
        holder = redis.call('GET', key) or ''
    else
        holder = redis.call('GETRANGE', key, 0, most)
    end
    local tickets = redis.call('ZRANGEBYSCORE', queue, 0, '+inf', 'WITHSCORES')
    local line = {}
    for i = 1, #tickets, 2 do
        local lease = string.match(redis.call('HGET', waiters, tickets[i]) or '', '^(%d+) ')
        if lease and tonumber(lease) * 1000 > micros() then
            line[#line + 1] = tickets[i]
            line[#line + 1] = math.max(0, math.floor((micros() - tickets[i + 1]) / 1000))
        end
    end
    return { holder, redis.call('PTTL', key), micros(), line }
end

local answers = {}
for i = 1, #KEYS / 3 do
    answers[i] = answer_of(pcall(inspect, KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i], ARGV[i]))
end
return answers
