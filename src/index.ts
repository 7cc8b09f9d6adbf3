// A change of what is exported here, or of its signatures, shows in test/api/surface.txt.

export { DefaultRedisLockFactory } from './build/DefaultRedisLockFactory';
export type { BorrowedClient } from './connect/clients';
export type { LockContext } from './connect/context';
export type { Lease } from './engine/lease/Lease';
export { Locker } from './engine/locker/Locker';
export type { LockerOptions } from './engine/locker/LockerOptions';
export type { LockEvent, LockObserver } from './engine/port/LockObserver';
export type { LockInfo, LockStore } from './engine/port/LockStore';
export { LockError, LockErrorCode } from './engine/port/errors';
export { QuorumStore } from './engine/quorum/QuorumStore';
export type { QuorumStoreOptions } from './engine/quorum/QuorumStore';
export { RedisStore } from './engine/redis/RedisStore';
export type { RedisStoreOptions } from './engine/redis/RedisStore';
export { ClusterServers } from './engine/redis/servers/ClusterServers';
export type { ClusterServersOptions } from './engine/redis/servers/ClusterServersOptions';
export { SingleServer } from './engine/redis/servers/SingleServer';
export type { SingleServerOptions } from './engine/redis/servers/SingleServer';
export type { ILock } from './lock/ILock';
export { DIAGNOSTICS_CHANNEL } from './lock/LockTelemetry';
export { RedisLock } from './lock/RedisLock';
export type { ForceReleaseOptions, LeaseOptions } from './lock/RedisLock';
