export { Locker } from './engine/Locker';
export { RedisStore } from './engine/RedisStore';
