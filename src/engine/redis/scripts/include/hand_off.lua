--@include clock
--@include holder
--@include member
--@include queue
--@include room
--@include messages

-- So many waiters are granted a key at a time. The next one is told that it may ask.
local MOST = 64

-- Gives a place among those who share the key to an acquisition, until `over`.
local function admit(lock, is_shared, id, over, fence, permits, limit)
    local member = member_of(id)
    local more = { whole(-fence), member .. '\rf' }
    local function note(score, name)
        more[#more + 1] = whole(score)
        more[#more + 1] = name
    end
    if attempt_of(id) > 0 then
        note(-attempt_of(id), member .. '\ra')
    end
    local present = is_shared and end_of(lock.sharers, member)
    if present and present > now_ms() then
        -- An owner, by another acquisition: its place stays what it is.
        over = math.max(over, present)
    else
        if present then
            drop(lock.sharers, member)
        end
        if permits > 1 then
            note(1 - permits, member .. '\rp')
        end
    end
    if limit then
        note(-limit, '\rl')
    end
    set_place(lock, is_shared, member, over, more)
end

-- Gives a waiter what it asks for, for the claim window. Returns what it is to be told.
local function give(lock, state, id, request, channel)
    local ttl, spare, permits, limit = read_request(request)
    local window = math.min(tonumber(ttl), CLAIM_WINDOW)
    local fence = draw(spare)
    if permits then
        admit(lock, state == 'shared', id, now_ms() + window, fence, permits, limit)
    else
        redis.call('SET', lock.key, holder_of(id, fence), 'PX', whole(window))
    end
    leave(lock.queue, lock.waiters, id)
    return { id = id, channel = channel, spare = spare, fence = fence, window = window, shares = permits ~= nil }
end

-- Gives the key to those at the head of the line for whom there is room, up to and without `me`. Those who cannot be
-- reached are passed over. Whoever got it has a claim window to show that it is there.
--
-- Returns for how long it was given, 0: nobody got it; the state of the key; whether somebody is before `me`.
--
-- First everything is written, then it is told: what was told cannot be taken back when a later write is refused. The
-- key is overwritten, never deleted in between: in a slot that is about to leave this server, a key that was deleted
-- cannot be written again. So a key that is 'free' may still be there, and so it may be afterwards.
local function hand_off(lock, state, me)
    local window, count = 0, 0
    while true do
        local granted, waits = {}, false
        while state ~= 'taken' do
            local id, request, channel = first_waiter(lock.queue, lock.waiters)
            waits = id ~= nil and id ~= me
            if not waits or count + #granted == MOST then
                break
            end
            local _, _, permits, limit = read_request(request)
            if not has_room(lock, state, permits, limit) then
                break
            end
            local done, grant = pcall(give, lock, state, id, request, channel)
            if not done then
                -- Others have it already, and are to be told.
                if #granted + count > 0 then
                    break
                end
                error(grant, 0)
            end
            granted[#granted + 1] = grant
            state = permits and 'shared' or 'taken'
        end
        if #granted == 0 then
            return window, state, waits or state == 'taken'
        end
        -- The server writes first to the client to which it published last.
        tell_first(lock, state == 'taken' and granted[1].window or nil)
        local lost = 0
        for _, grant in ipairs(granted) do
            local span = whole(grant.window) .. '+' .. grant.spare
            if reaches(grant.channel, 'grant', span, whole(grant.fence), grant.id, lock.key) then
                window = math.max(window, grant.window)
            else
                lost = lost + 1
                if grant.shares then
                    drop(lock.sharers, member_of(grant.id))
                else
                    state = 'free'
                end
            end
        end
        count = count + #granted - lost
        if lost == 0 then
            return window, state, waits or state == 'taken'
        end
        if state == 'shared' and last_end(lock.sharers) <= now_ms() then
            state = 'free'
        end
    end
end
