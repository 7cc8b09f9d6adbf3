--@include clock
--@include holder
--@include queue
--@include messages
--@include sharing

-- Gives the key to those at the head of the line for whom there is room, up to and without `me`. Those who cannot be
-- reached are passed over. The one that got it has a claim window to show that it is there.
--
-- Returns for how long it was given, 0: nobody got it; the state of the key; whether somebody is before `me`.
--
-- First everything is written, then it is told: what was told cannot be taken back when a later write is refused. The
-- key is overwritten, never deleted in between: in a slot that is about to leave this server, a key that was deleted
-- cannot be written again. So a key that is 'free' may still be there, and so it may be afterwards.
local function hand_off(lock, state, me)
    local window, count = 0, 0
    while true do
        local id, request, channel = first_waiter(lock.queue, lock.waiters)
        if not id or id == me then
            return window, state, false
        end
        local ttl, spare, permits = read_request(request)
        local goes_on = false
        if permits then
            local span
            span, state, count, goes_on = sharing().let_in(lock, state, me, count)
            window = math.max(window, span)
        elseif state == 'free' then
            window = math.min(tonumber(ttl), CLAIM_WINDOW)
            local fence = draw(spare)
            redis.call('SET', lock.key, holder_of(id, fence), 'PX', whole(window))
            leave(lock.queue, lock.waiters, id)
            -- The server writes first to the client to which it published last.
            tell_first(lock, window)
            if reaches(channel, 'grant', whole(window) .. '+' .. spare, whole(fence), id, lock.key) then
                return window, 'taken', true
            end
            window = 0
            goes_on = true
        end
        if not goes_on then
            -- For one that is dead nobody waits who could share the key. (Clients take no notice of such a message.)
            if not me or reaches(channel, 'there', 0, 0, id, lock.key) then
                return window, state, true
            end
            leave(lock.queue, lock.waiters, id)
        end
    end
end
