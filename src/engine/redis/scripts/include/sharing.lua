--@include shared
--@include whole
--@include micros
--@include queue
--@include messages

-- What is done where a key is shared, or somebody waits to share it. The functions are made when they are needed: to
-- make one takes as long as a call of a command.
local made
function sharing()
    if made then
        return made
    end
--@include now_ms
--@include sharers
--@include room
--@include member
--@include let_in
    made = {
        now_ms = now_ms, last_end = last_end, end_of = end_of, drop = drop, set_place = set_place,
        has_room = has_room, fits = fits, time_to_wait = time_to_wait, member_of = member_of, attempt_of = attempt_of,
        admit = admit, let_in = let_in,
    }
    return made
end

-- 'free'; 'shared': others may share it, too; 'taken': it is one holder's, or nobody knows who shares it.
local function state_of(lock, current)
    if not current then
        return 'free'
    end
    return current == SHARED and sharing().last_end(lock.sharers) > 0 and 'shared' or 'taken'
end
