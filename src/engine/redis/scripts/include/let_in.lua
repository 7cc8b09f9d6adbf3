-- How many waiters are granted a key at a time. The next one is told that it may ask.
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

-- Gives a waiter its share, for the claim window. Returns what it is to be told.
local function give(lock, state, id, request, channel)
    local ttl, spare, permits, limit = read_request(request)
    local window = math.min(tonumber(ttl), CLAIM_WINDOW)
    local fence = draw(spare)
    admit(lock, state == 'shared', id, now_ms() + window, fence, permits, limit)
    leave(lock.queue, lock.waiters, id)
    return { id = id, channel = channel, spare = spare, fence = fence, window = window }
end

-- Lets in those at the head of the line who want to share the key and for whom there is room, up to and without `me`,
-- as hand_off does. `before` were let in already. Returns for how long; the state of the key; how many were let in by
-- now; whether any was tried.
local function let_in(lock, state, me, before)
    local granted = {}
    while before + #granted < MOST do
        local id, request, channel = first_waiter(lock.queue, lock.waiters)
        if not id or id == me then
            break
        end
        local _, _, permits, limit = read_request(request)
        if not permits or state ~= 'free' and not has_room(lock, permits, limit) then
            break
        end
        local done, grant = pcall(give, lock, state, id, request, channel)
        if not done then
            -- Others have it already, and are to be told.
            if #granted + before > 0 then
                break
            end
            error(grant, 0)
        end
        granted[#granted + 1] = grant
        state = 'shared'
    end
    if #granted == 0 then
        return 0, state, before, false
    end
    tell_first(lock)
    local window = 0
    for _, grant in ipairs(granted) do
        local span = whole(grant.window) .. '+' .. grant.spare
        if reaches(grant.channel, 'grant', span, whole(grant.fence), grant.id, lock.key) then
            window = math.max(window, grant.window)
            before = before + 1
        else
            drop(lock.sharers, member_of(grant.id))
        end
    end
    return window, last_end(lock.sharers) > now_ms() and 'shared' or 'free', before, true
end
