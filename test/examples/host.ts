import { Context } from 'pip-services4-components-node';
import { ProcessContainer } from 'pip-services4-container-node';
import { DefaultRedisLockFactory } from '../../src';
import { SampleJobFactory } from './SampleJob';

/**
 * A service as it runs in production: the container of a configuration file, with the lock's factory added to it.
 *
 *     node obj/test/examples/host.js -c config/config.yml
 */
const container = new ProcessContainer('sample', 'A job that runs on one host at a time');
container.addFactory(new DefaultRedisLockFactory());
container.addFactory(new SampleJobFactory());
container.run(process.argv);

// The container itself leaves at once on SIGINT and does not know SIGTERM: held locks would stay until their ttl is over.
process.removeAllListeners('SIGINT');
for (const signal of ['SIGINT', 'SIGTERM', 'disconnect'] as const) process.once(signal, () => void stop());

async function stop(): Promise<void> {
    await container.close(Context.fromTraceId('sample'));
    process.exit(0);
}
