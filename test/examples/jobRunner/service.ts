import { Context } from 'pip-services4-components-node';
import { ProcessContainer } from 'pip-services4-container-node';
import { DefaultRedisLockFactory } from '../../../src';
import { JobRunnerFactory } from './JobRunnerFactory';

/**
 * A microservice whose jobs run on one host at a time.
 *
 *     node obj/test/examples/jobRunner/service.js -c config/jobs.yml
 */
const container = new ProcessContainer('job-runner', 'Jobs that run on one host at a time');
container.addFactory(new DefaultRedisLockFactory());
container.addFactory(new JobRunnerFactory());
container.run(process.argv);

// The container itself leaves at once on SIGINT and does not know SIGTERM: held locks would stay until their ttl is over.
process.removeAllListeners('SIGINT');
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());

async function stop(): Promise<void> {
    await container.close(Context.fromTraceId('job-runner'));
    process.exit(0);
}
