--@include clock
--@include acquisition
--@include holder
--@include queue
--@include messages

-- Gives the key to the first waiter that can be reached, up to and without `me`. Returns its holder, and for how long
-- it has the key: it has that time to show that it is there. Nil: there is none, and nobody who heard of it has the
-- key.
--
-- First everything is written, then it is told: what was told cannot be taken back when a later write is refused. The
-- key is overwritten, never deleted in between: in a slot that is about to leave this server, a key that was deleted
-- cannot be written again.
local function hand_off(key, queue, waiters, me)
    while true do
        local id, request, channel = first_waiter(queue, waiters)
        if not id or id == me then
            return nil
        end
        local ttl, spare = read_request(request)
        local window = math.min(tonumber(ttl), CLAIM_WINDOW)
        local fence = draw(spare)
        local holder = holder_of(id, fence)
        redis.call('SET', key, holder, 'PX', whole(window))
        leave(queue, waiters, id)
        -- The server writes first to the client to which it published last.
        tell_first(key, queue, waiters, window)
        if reaches(channel, 'grant', whole(window) .. '+' .. spare, whole(fence), id, key) then
            return holder, window
        end
    end
end
