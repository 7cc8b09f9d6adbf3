import type { RedisClients } from '../connect/serverClients';
import { LocalGrants } from '../engine/local/LocalGrants';
import { LockError } from '../engine/port/errors';
import type { AcquireAnswer, AcquireRequest, Callback, LockStore } from '../engine/port/LockStore';
import { QuorumStore } from '../engine/quorum/QuorumStore';
import { ClusterServers } from '../engine/redis/servers/ClusterServers';
import { SingleServer } from '../engine/redis/servers/SingleServer';
import { RedisStore } from '../engine/redis/RedisStore';
import { systemClock } from '../engine/time/Clock';
import type { Clock } from '../engine/time/Clock';
import type { LockSettings } from './LockSettings';

/** What the settings say about the store. */
export type StoreSettings = Pick<
    LockSettings,
    | 'acks'
    | 'acksTimeout'
    | 'commandTimeout'
    | 'connectTimeout'
    | 'driftFactor'
    | 'keyPrefix'
    | 'localGrants'
    | 'nodeTimeout'
    | 'retryTimeout'
    | 'ttl'
    | 'wait'
    | 'yieldAfter'
> & {
    /** It is asked for nothing but renewals. */
    readonly renewsOnly?: boolean;
};

/**
 * A node of a quorum that is asked for nothing but renewals. A renewal asks a node for a vote that it has lost: by another connection that
 * might arrive after the release of the lease.
 */
class RenewingNode extends RedisStore {
    override acquire({ key }: AcquireRequest, callback: Callback<AcquireAnswer>): void {
        callback(new LockError('LOCK_ABORTED', `${key} is only to be renewed.`, { key }));
    }
}

/** The store for what is configured. */
export function storeOf(clients: RedisClients, settings: StoreSettings, clock?: Clock): LockStore {
    const { localGrants } = settings;
    const store = redisStoreOf(clients, settings, clock);
    return localGrants > 0 ? new LocalGrants(store, clock ?? systemClock, localGrants) : store;
}

function redisStoreOf(clients: RedisClients, settings: StoreSettings, clock: Clock | undefined): LockStore {
    const { acks, acksTimeout, commandTimeout, connectTimeout, keyPrefix, retryTimeout, wait, yieldAfter } = settings;
    const yielding = yieldAfter > 0 ? { after: yieldAfter, pause: retryTimeout } : undefined;
    const store = { drift: settings.driftFactor, keyPrefix, yielding };
    const server = {
        commandTimeout,
        connectTimeout,
        wait,
        acks: acks > 0 ? { replicas: acks, timeout: acksTimeout } : undefined,
        refresh: clients.refresh,
    };
    switch (clients.topology) {
        case 'single':
        case 'sentinel': {
            const { borrowed, client, topology } = clients;
            const role = topology === 'sentinel' ? 'master' : 'standalone';
            return new RedisStore(new SingleServer(client, { ...server, borrowed, role }, clock), store);
        }
        case 'cluster': {
            const { connect, seeds } = clients;
            return new RedisStore(new ClusterServers({ ...server, connect, seeds }, clock), store);
        }
        case 'quorum': {
            return new QuorumStore(
                clients.clients.map((client) => {
                    const node = new SingleServer(
                        client,
                        { ...server, persistent: true, settled: settings.ttl },
                        clock,
                    );
                    const Node = settings.renewsOnly === true ? RenewingNode : RedisStore;
                    return new Node(node, { ...store, node: true });
                }),
                { longestTtl: settings.ttl, nodeTimeout: settings.nodeTimeout, openTimeout: connectTimeout },
                clock,
            );
        }
    }
}
