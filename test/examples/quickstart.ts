import { ConfigParams } from 'pip-services4-components-node';
import { RedisLock } from '../../src';

export async function quickstart(host: string, port: number): Promise<void> {
    const lock = new RedisLock();
    lock.configure(ConfigParams.fromTuples('connection.host', host, 'connection.port', port));
    await lock.open(null);

    await lock.acquireLock(null, 'order:42', 10000, 5000); // ttl and timeout in ms
    try {
        console.log('only one process at a time is here');
    } finally {
        await lock.releaseLock(null, 'order:42');
    }
    await lock.close(null);
}
