import { CLOCK } from './grant';
import { Script } from './Script';

export type RenewReply = 'renewed' | 'gone';

/**
 * Lengthens a lease that is still this holder's. Never shortens it, so that a renewal that arrives late does no harm, and
 * never re-creates it.
 *
 * KEYS key, memory.
 * ARGV holder; ttl, ms.
 *
 * Answers, per item: 1 renewed · 0 the key is absent or somebody else's.
 */
const BODY = `${CLOCK}
local function step(key, memory, holder, ttl)
    if redis.call('GET', key) ~= holder then
        return 0
    end
    local longest = math.max(tonumber(ttl), redis.call('PTTL', key))
    redis.call('PEXPIRE', key, longest)
    local kept = redis.call('HGET', memory, 'e')
    if kept then
        keep(memory, kept, math.floor(micros() / 1000), longest)
    end
    return 1
end
`;

export const renewScript: Script<RenewReply> = new Script('renew', { keys: 2, args: 2 }, BODY, (answer) =>
    answer === 1 ? 'renewed' : answer === 0 ? 'gone' : undefined,
);
