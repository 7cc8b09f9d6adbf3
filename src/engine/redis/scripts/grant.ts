/**
 * How long a waiter that was made the holder has to show that it is there, ms. It is what a frozen waiter can cost those
 * behind it.
 */
export const CLAIM_WINDOW = 2000;

/** How long a waiter is taken to be alive after it was last heard of, ms. */
export const WAITER_LEASE = 30_000;

/** How long the memory of a lock outlives its last lease at least, ms: beyond that the server's clock carries the order on. */
export const MEMORY = 600_000;

/** Lua: the clock of the server, and how long the memory of a lock is kept. */
export const CLOCK = `
-- The clock in µs, one for all items of a list.
local clock_read
local function micros()
    if not clock_read then
        local time = redis.call('TIME')
        clock_read = time[1] * 1000000 + time[2]
    end
    return clock_read
end

-- As text. The items of a list often say the same number.
local texts = {}
local function whole(number)
    local text = texts[number]
    if not text then
        text = string.format('%.0f', number)
        texts[number] = text
    end
    return text
end

-- Until when the memory has to be kept for a lease that ends in so many ms: with some to spare, so that most leases need
-- not change it. Nil: it is kept so long already. \`kept\` is until when, its field e.
local function longer(kept, now, ttl)
    local needed = now + ttl + ${MEMORY}
    if needed > (tonumber(kept) or 0) then
        return needed + ${MEMORY / 2}
    end
end

-- Keeps the memory beyond such a lease. Returns until when it is kept now.
local function keep(memory, kept, now, ttl)
    local instant = longer(kept, now, ttl)
    if not instant then
        return kept
    end
    redis.call('HSET', memory, 'e', whole(instant))
    redis.call('PEXPIRE', memory, whole(instant - now))
    return instant
end
`;

/**
 * Lua functions that the scripts of a lock share.
 *
 * The keys of one lock: `key` holds the id of its holder, a plain string with an expiry. `queue` is a sorted set of waiting
 * acquisitions by ticket. `waiters` is a hash of acquisition to `<lease> <ttl> <channel> <holder>`, where lease is the
 * instant (server ms) from which its waiter is taken to be dead, ttl is as in the request, and the holder is left out when it
 * is the acquisition's id; or to `x<instant>`, a tombstone: whatever arrives of that acquisition before that instant is
 * refused. `memory` is a hash: f last fence, h the holder it was given to, a the acquisition, t last ticket, r or p last holder
 * that released, n hand-offs in a row, y until when (server ms) the key is left free for others, e until when the memory is
 * kept.
 *
 * Field r is a mark besides: while it is there, empty where nobody has released yet, it is certain that nobody waits, that there
 * is no tombstone, and that the memory is kept beyond the present lease; so that neither queue nor waiters need be looked at.
 * Whoever begins to wait, or lays a tombstone, makes it p, if it says who; who takes the key while there is neither makes it
 * r again. Queue and waiters also end by themselves: without r one has to look.
 *
 * Times are the server's, tickets and fences are at least its clock in µs, so that they rise even when the memory is lost.
 */
const HOLD = `
local function after(last, clock)
    return math.max((tonumber(last) or 0) + 1, clock)
end

-- What is asked for: \`<ttl>\`, or \`<ttl>+<spare>\` when so many fences below that of the grant are to be nobody else's.
-- Returns the ttl as text: a number would be made one for the server, by what takes longer than half a command.
local function asked(ttl)
    if tonumber(ttl) then
        return ttl, 0
    end
    local time, spare = string.match(ttl, '^(%d+)%+(%d+)$')
    return time, tonumber(spare)
end

-- Writes down who holds the key. \`mark\`: the last holder that released, where that is to become field r.
local function remember(memory, kept, now, holder, id, ttl, fence, mark)
    if not mark then
        redis.call('HSET', memory, 'f', whole(fence), 'h', holder, 'a', id)
        keep(memory, kept, now, ttl)
        return
    end
    local instant = longer(kept, now, ttl)
    redis.call('HSET', memory, 'f', whole(fence), 'h', holder, 'a', id, 'e', whole(instant or kept), 'r', mark)
    if instant then
        redis.call('PEXPIRE', memory, whole(instant - now))
    end
end
`;

const GRANT = `
local WINDOW, LEASE = ${CLAIM_WINDOW}, ${WAITER_LEASE}
-- How long queue and waiters last after their last use; as text, for the server.
local SIDE = '${2 * WAITER_LEASE}'

local function leave(queue, waiters, id)
    redis.call('ZREM', queue, id)
    redis.call('HDEL', waiters, id)
end

-- The first waiter whose lease runs: its acquisition, what it asks for, channel, holder. Dead ones before it are dropped.
local function first_waiter(queue, waiters, now)
    while true do
        local ids = redis.pcall('ZRANGE', queue, 0, 0)
        -- Of a slot that is about to leave this server no key can be read when its last member is gone.
        if ids.err and not string.find(ids.err, 'non local key') then
            error(ids)
        end
        local id = ids[1]
        if not id then
            return nil
        end
        local record = redis.call('HGET', waiters, id) or ''
        local lease, ttl, channel, holder = string.match(record, '^(%d+) (%S+) (%S*) (.*)$')
        if lease and tonumber(lease) > now then
            return id, ttl, channel, holder == '' and id or holder
        end
        redis.call('ZREM', queue, id)
        if lease then
            redis.call('HDEL', waiters, id)
        end
    end
end

-- The start of this server that channels name, asked for once a command; empty where that is refused.
local start
local function here()
    if not start then
        local info = redis.pcall('INFO', 'server')
        start = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
    end
    return start
end

-- Whether somebody may have heard: \`redis-lock:@<start of a server>:<name>\`, and \`{tag}\` after it when it is a sharded
-- channel too. A waiter without a channel polls; where PUBLISH is refused nobody can tell; and one that listened to
-- another server, which was the master before this one, is just on its way here.
local function reaches(channel, message)
    if channel == '' then
        return true
    end
    local listeners = string.sub(channel, -1) == '}' and redis.pcall('SPUBLISH', channel, message)
    if type(listeners) ~= 'number' then
        listeners = redis.pcall('PUBLISH', channel, message)
    end
    if type(listeners) ~= 'number' or listeners > 0 then
        return true
    end
    local heard_at = string.match(channel, '^redis%-lock:@(%x+):')
    return heard_at ~= nil and string.sub(here(), 1, #heard_at) ~= heard_at
end

-- Tells the first waiter, unless that is \`me\`, that it is the first, and that the key is taken for so long.
local function tell_head(key, queue, waiters, now, taken, me)
    while true do
        local id, _, channel = first_waiter(queue, waiters, now)
        if not id or id == me or reaches(channel, table.concat({ 'head', whole(taken), '0', id, key }, '\\n')) then
            return
        end
        leave(queue, waiters, id)
    end
end

-- From now on somebody waits, or is refused. \`released\` is what the mark says.
local function unmark(memory, released)
    redis.call('HDEL', memory, 'r')
    if released ~= '' then
        redis.call('HSET', memory, 'p', released)
    end
end

-- The key comes last: where a command is refused to the user, nothing of the lock has changed.
local function hold(key, memory, kept, now, holder, id, ttl, fence)
    remember(memory, kept, now, holder, id, ttl, fence)
    redis.call('SET', key, holder, 'PX', ttl)
end

-- The key is absent: makes the first waiter that can be reached the holder, with a fence that is \`least\` at least. Returns
-- its acquisition and holder, for how long it has the key, and the fence. When that is \`me\` it only leaves the queue: the
-- caller goes on.
local function grant(key, queue, waiters, memory, kept, least, now, me)
    while true do
        local id, ttl, channel, holder = first_waiter(queue, waiters, now)
        if not id then
            return nil
        end
        leave(queue, waiters, id)
        if id == me then
            return id, holder
        end
        local time, spare = asked(ttl)
        local window, fence = math.min(tonumber(time), WINDOW), least + spare
        -- The server writes first to whom it has had something to say last: that is to be the one that is granted.
        tell_head(key, queue, waiters, now, window, me)
        if reaches(channel, table.concat({ 'grant', whole(window), whole(fence), id, key }, '\\n')) then
            hold(key, memory, kept, now, holder, id, window, fence)
            return id, holder, window, fence
        end
    end
end
`;

/** Where the locks are: on one Redis, or on each node of a quorum. */
export type Scope = 'redis' | 'node';

const FENCE: Readonly<Record<Scope, string>> = {
    redis: `
local next_fence = after
`,
    // NodeSet that have seen the same grants choose the same fence, so that it need not be written to any of them again; and
    // so do those whose clocks differ a little, for a key that is not remembered.
    node: `
local function next_fence(last, clock)
    return last and tonumber(last) + 1 or math.ceil(clock / 100000) * 100000
end
`,
};

const ACQUISITION: Readonly<Record<Scope, string>> = {
    redis: `
local function acquisition_of(id)
    return id
end

-- Of one holder it has the key that came last.
local function joined(_, attempt)
    return attempt
end

local function has_it(_, its, id)
    return its == id
end
`,
    // Of an acquisition that is tried again and again each attempt is told apart, \`<acquisition>#<number>\`: a late one, and
    // what takes it back, must not touch what a later one got. It has one place in line.
    node: `
local function acquisition_of(id)
    return string.match(id, '^(.*)#%d+$') or id
end

-- Of one holder two acquisitions may have the key, \`<first>\\n<second>\`: when one of them is taken back, because other
-- nodes refused it say, it stays the other's.
local function parts(its)
    return string.match(its or '', '^([^\\n]*)\\n?(.*)$')
end

local function joined(its, attempt)
    local first, second = parts(its)
    if first == '' or acquisition_of(first) == acquisition_of(attempt) then
        first = attempt
    else
        second = attempt
    end
    return second == '' and first or first .. '\\n' .. second
end

local function has_it(memory, its, id)
    local function is(part)
        return part ~= '' and (part == id or acquisition_of(id) == id and acquisition_of(part) == id)
    end
    local first, second = parts(its)
    if is(first) and second == '' then
        return true
    end
    if is(first) then
        redis.call('HSET', memory, 'a', second)
    elseif is(second) then
        redis.call('HSET', memory, 'a', first)
    end
    return false
end
`,
};

/** Lua functions: a key that is absent, and for which nobody waits, needs no others. */
export function holdFunctions(scope: Scope): string {
    return CLOCK + HOLD + FENCE[scope];
}

/**
 * Lua functions for all the rest; they follow those above. A script makes them when the first of its items needs them: making
 * a function takes a tenth of what a call of a command does, and most commands need none of these.
 */
export function grantFunctions(scope: Scope): string {
    return GRANT + ACQUISITION[scope];
}

/** What a message on a waiter's channel says. A grant is a fact about the past, not a proof that it still holds. */
export type Message =
    | {
          readonly kind: 'grant';
          readonly key: string;
          readonly id: string;
          readonly ttl: number;
          readonly fence: number;
      }
    | { readonly kind: 'head'; readonly key: string; readonly id: string; readonly taken: number };

/** Reads a message that the functions above wrote; anything else is undefined. */
export function parseMessage(text: string): Message | undefined {
    const match = /^(grant|head)\n(-?\d+)\n(\d+)\n([^\n]*)\n([^]*)$/.exec(text);
    const [, kind, time, fence, id, key] = match ?? [];
    if (id === undefined || key === undefined) return undefined;
    return kind === 'grant'
        ? { kind, key, id, ttl: Number(time), fence: Number(fence) }
        : { kind: 'head', key, id, taken: Number(time) };
}
