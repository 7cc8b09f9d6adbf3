import { GRANT } from './grant';
import { Script } from './Script';

export type ReleaseReply = 'released' | 'already' | 'gone';

const REPLIES: Readonly<Record<number, ReleaseReply>> = { 0: 'gone', 1: 'released', 2: 'already' };

/**
 * Gives up what somebody has of the key: the key itself, which goes to the first live waiter in the same step, or a place in
 * the queue. Serves release, cancel and give-up alike.
 *
 * KEYS key, queue, waiters, memory.
 * ARGV holder; id: empty to release whatever the holder has, or an acquisition to give up: what another acquisition of the
 * same holder has is left alone then; tombstone: 1 when attempts of that acquisition may still be under way, else empty.
 *
 * Answers, per item: 1 released · 2 this holder was the last that released the key (a resend) · 0 it did not hold the key.
 */
const BODY = `${GRANT}
-- Tombstones stand in a hash that waiters keep alive; when they are many, old ones are swept out now and then.
local function bury(queue, waiters, id, now)
    redis.call('HSET', waiters, id, 'x' .. whole(now + SIDE))
    redis.call('PEXPIRE', waiters, SIDE)
    local size = redis.call('HLEN', waiters)
    if size % 64 == 0 and size > 2 * redis.call('ZCARD', queue) then
        local all = redis.call('HGETALL', waiters)
        for i = 1, #all, 2 do
            if tonumber(string.match(all[i + 1], '^x(%d+)$') or now) < now then
                redis.call('HDEL', waiters, all[i])
            end
        end
    end
end

local function step(key, queue, waiters, memory, holder, id, tombstone)
    local clock = micros()
    local now = math.floor(clock / 1000)
    local current = redis.call('GET', key)
    local known = redis.call('HMGET', memory, 'f', 'r', 'a')
    local fence = after(known[1], clock)
    local ours = current == holder and (id == '' or id == holder or id == known[3])
    if ours then
        redis.call('DEL', key)
        redis.call('HSET', memory, 'r', holder)
        redis.call('PEXPIRE', memory, MEMORY)
        grant(key, queue, waiters, memory, fence, now)
    else
        local rank = id ~= '' and redis.call('ZRANK', queue, id)
        if rank then
            leave(queue, waiters, id)
        end
        if not current then
            grant(key, queue, waiters, memory, fence, now)
        elseif rank == 0 then
            tell_head(key, queue, waiters, now, redis.call('PTTL', key))
        end
    end
    if tombstone == '1' then
        bury(queue, waiters, id, now)
    end
    return ours and 1 or known[2] == holder and 2 or 0
end
`;

export const releaseScript: Script<ReleaseReply> = new Script('release', 4, 3, BODY, (answer) => {
    const reply = typeof answer === 'number' ? REPLIES[answer] : undefined;
    if (reply === undefined) throw releaseScript.unexpected(answer);
    return reply;
});
