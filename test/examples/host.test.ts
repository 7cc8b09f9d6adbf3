import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { assert } from 'chai';
import { ConfigParams } from 'pip-services4-components-node';
import { RedisLock } from '../../src';
import { sharedServer } from '../fixtures/sharedServer';

suite('The example host', () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        test(`frees its lock at once and leaves with 0 on ${signal}`, async () => {
            const { host, port } = await sharedServer();
            const lock = new RedisLock();
            lock.configure(ConfigParams.fromTuples('connection.host', host, 'connection.port', port));
            await lock.open(null);
            const child = fork(join(__dirname, 'host.js'), ['-c', 'config/config.yml'], {
                stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
                // With trace the container of v4 logs before it closes anything, and asks the context for its trace id.
                env: { ...process.env, REDIS_SERVICE_HOST: host, REDIS_SERVICE_PORT: String(port), LOG_LEVEL: 'trace' },
            });
            const ended = once(child, 'exit');
            // The job asks to enter, so it holds the lock; nobody answers, so it stays.
            await new Promise<void>((resolve) => {
                child.on('message', (message: { kind: string }) => {
                    if (message.kind === 'enter') resolve();
                });
            });
            assert.isFalse(await lock.tryAcquireLock(null, 'sample.job', 1000));
            const waiting = lock.acquire(null, 'sample.job', { timeout: 1500 });
            const started = performance.now();
            child.kill(signal);
            // The job leaves the resource when it is answered.
            child.send('done');
            child.on('message', () => child.connected && child.send('done'));
            const lease = await waiting;
            console.log(`      free ${Math.round(performance.now() - started)} ms after ${signal}`);
            await lease.release();
            const [code]: unknown[] = await ended;
            assert.strictEqual(code, 0);
            await lock.close(null);
        });
    }
});
