export { DefaultRedisLockFactory } from './DefaultRedisLockFactory';
