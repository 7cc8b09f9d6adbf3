export { DefaultRedisLockFactory } from './build';
export { RedisConnector } from './connect';
export type { LockContext } from './connect';
export { LockError, Locker, RedisStore, SingleServer, SystemClock } from './engine';
export type {
    AcquireAnswer,
    AcquireRequest,
    Busy,
    Clock,
    Granted,
    Lease,
    LockErrorCode,
    LockEvent,
    LockInfo,
    LockLoad,
    LockObserver,
    LockStore,
    LockSubject,
    LockerLeaseOptions,
    LockerOptions,
    RedisServers,
    RedisStoreOptions,
    ReleaseAnswer,
    RenewAnswer,
    ServerEvents,
    SingleServerOptions,
    StepDone,
    StepRequest,
    StoreListener,
    Timer,
    WaitMode,
} from './engine';
export { DIAGNOSTICS_CHANNEL, RedisLock } from './lock';
export type { ILock, LeaseOptions } from './lock';
