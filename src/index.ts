export { DefaultRedisLockFactory } from './build';
export { RedisConnector } from './connect';
export type { BorrowedClient, LockContext, RedisClients, ServerAddress, Topology } from './connect';
export { LockError, Locker, ClusterServers, QuorumStore, RedisStore, SingleServer, SystemClock } from './engine';
export type {
    Acks,
    AcquireAnswer,
    AcquireRequest,
    Asker,
    Busy,
    Clock,
    ClusterServersOptions,
    Granted,
    Lease,
    LockErrorCode,
    LockErrorDetails,
    LockEvent,
    LockInfo,
    LockLoad,
    LockObserver,
    LockStore,
    LockSubject,
    LockerForceReleaseOptions,
    LockerLeaseOptions,
    LockerOptions,
    QuorumNode,
    QuorumStoreOptions,
    RedisServers,
    RedisStoreOptions,
    ReleaseAnswer,
    ReleaseRequest,
    Replicated,
    RenewAnswer,
    Renewal,
    ServerEvents,
    SingleServerOptions,
    Command,
    CommandRequest,
    StoreListener,
    Timer,
    WaitMode,
} from './engine';
export { DIAGNOSTICS_CHANNEL, RedisLock } from './lock';
export type { ForceReleaseOptions, ILock, LeaseOptions } from './lock';
