export type { ILock } from './ILock';
export { DIAGNOSTICS_CHANNEL } from './LockTelemetry';
export { RedisLock } from './RedisLock';
export type { ForceReleaseOptions, LeaseOptions } from './RedisLock';
