export type { LockContext } from './context';
export { RedisConnector } from './RedisConnector';
export type { BorrowedClient, RedisClients, ServerAddress } from './clients';
export type { Topology } from './RedisConnector';
