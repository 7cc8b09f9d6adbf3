export type { LockContext } from './context';
export { RedisConnector } from './RedisConnector';
export type { BorrowedClient, RedisClients, ServerAddress, Topology } from './RedisConnector';
