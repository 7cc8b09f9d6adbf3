import { LockError } from '../port/errors';
import { globOf } from '../port/glob';
import { nameOf, readHolder } from '../port/holder';
import { byFence, holding, waiterOf } from '../port/LockStore';
import type { LockHolder, LockInfo } from '../port/LockStore';
import { SHARED } from '../port/protocol';
import { FREE } from './scripts/acquire';
import { inspectScript } from './scripts/inspect';
import type { InspectReply } from './scripts/inspect';
import { commandDone } from './servers/RedisServers';
import type { RedisServers } from './servers/RedisServers';
import { PREFIX, keysOf } from './slots';

/** How many bytes of a value are read to find out whether it is one of our holders. A host name has 255 at most. */
const LONGEST_HOLDER = 511;

/** Who has locks on one Redis, and who waits for them. Changes nothing. */
export class LockReader {
    /** @param _isNode it is a node of a quorum, and a fence may be another node's time. */
    constructor(
        private readonly _servers: RedisServers,
        private readonly _prefix: string,
        private readonly _isNode: boolean,
    ) {}

    async inspect(key: string): Promise<LockInfo> {
        return this._infoOf(key, await this._inspect(key, ''));
    }

    /** Locks are found by their holders: a holder that its caller has chosen tells nothing, unless others wait for its key. */
    async *list(pattern: string): AsyncIterable<LockInfo> {
        const fits = globOf(pattern);
        const prefix = this._prefix;
        const seen = new Set<string>();
        for await (const names of this._servers.scan(`${escaped(prefix)}*`)) {
            const keys = new Set<string>();
            for (const name of names) {
                const key = name.slice(prefix.length);
                if (name.startsWith(PREFIX) || key === '' || seen.has(key) || !fits(key)) continue;
                keys.add(key);
            }
            for (const key of keys) seen.add(key);
            const infos = await Promise.all([...keys].map((key) => this._lockOn(key)));
            for (const info of infos) if (info !== undefined) yield info;
        }
    }

    private async _inspect(key: string, most: string): Promise<InspectReply> {
        const request = { script: inspectScript, key, keys: keysOf(this._prefix + key), args: [most] };
        return (await commandDone<InspectReply>((command) => this._servers.run(command), request)).answer;
    }

    /** Undefined: what the key holds is no lock, as far as known. */
    private async _lockOn(key: string): Promise<LockInfo | undefined> {
        try {
            const reply = await this._inspect(key, String(LONGEST_HOLDER));
            const isOurs = reply.holder === SHARED || readHolder(reply.holder) !== undefined;
            const isLock = isOurs || reply.waiters.length > 0;
            return isLock && reply.remaining !== FREE ? this._infoOf(key, reply) : undefined;
        } catch (error) {
            if (error instanceof LockError && error.code === 'WRONG_TYPE') return undefined;
            throw error;
        }
    }

    private _infoOf(key: string, reply: InspectReply): LockInfo {
        const { holder, now, waiters } = reply;
        const remaining = reply.remaining === -1 ? Infinity : Math.max(reply.remaining, 0);
        const describe = (one: string, left: number, permits = 1, known = 0): LockHolder => {
            const fence = readHolder(one)?.fence ?? (known > 0 ? known : undefined);
            const since = this._isNode ? undefined : fence;
            const held = since === undefined ? undefined : Math.max(Math.floor((now - since) / 1000), 0);
            return { holder: one, remaining: left, fence, held, permits };
        };
        const isShared = holder === SHARED;
        const holders = isShared
            ? reply.holders.map((one) => describe(one.holder, one.remaining, one.permits, one.fence)).sort(byFence)
            : [];
        if (!isShared && reply.remaining !== FREE) holders.push(describe(holder, remaining));
        return {
            key,
            ...holding(holders, isShared ? 'shared' : 'exclusive'),
            // It has been lost by whom it is shared: nobody gets it before it runs out.
            ...(isShared && holders.length === 0 ? { holder, remaining, mode: 'shared' } : undefined),
            waiters: waiters.map(({ id, share, waited }) => waiterOf(nameOf(id), waited, share)),
        };
    }
}

/** A text as a pattern of Redis that fits nothing else. */
function escaped(text: string): string {
    return text.replace(/[*?[\]\\^]/g, '\\$&');
}
