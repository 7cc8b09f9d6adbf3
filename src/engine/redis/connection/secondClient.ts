import type { Redis, RedisOptions } from 'ioredis';
import type { Refresh } from './ClientLink';

/** The options of a second client, whatever those of the first one are. */
const SECOND = {
    protocol: 2,
    disableClientInfo: true,
    disconnectTimeout: 50,
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
} as const satisfies RedisOptions;

/** A client of the same server, not connected. */
export function secondClient(first: Redis): Redis {
    return first.duplicate(SECOND);
}

/** What a second client has of the first before each connection. @param refresh does the same for the first one. */
export function secondRefresh(first: Redis, refresh: Refresh | undefined): Refresh {
    return async (second) => {
        await refresh?.(first);
        // The owner of the first client may have changed them.
        Object.assign(second.options, first.options, SECOND);
    };
}
