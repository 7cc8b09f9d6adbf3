export type { LockContext } from './context';
export { RedisConnector } from './RedisConnector';
