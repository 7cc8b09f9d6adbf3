export type { ILock } from './ILock';
export { DIAGNOSTICS_CHANNEL } from './LockTelemetry';
export { RedisLock } from './RedisLock';
export type { LeaseOptions } from './RedisLock';
