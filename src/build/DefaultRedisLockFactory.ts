import { Descriptor, Factory } from 'pip-services4-components-node';
import { RedisLock } from '../lock/RedisLock';

/** Makes Redis locks for a container: `pip-services:lock:redis:*:1.0`. */
export class DefaultRedisLockFactory extends Factory {
    constructor() {
        super();
        this.registerAsType(new Descriptor('pip-services', 'lock', 'redis', '*', '1.0'), RedisLock);
    }
}
