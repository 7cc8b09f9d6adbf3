-- Whether a later attempt has the place among those who share: see is_later_node.lua.
local last_attempt = -(tonumber(redis.call('ZSCORE', lock.sharers, member .. '\ra')) or 0)
local is_earlier = last_attempt > share.attempt_of(id)
