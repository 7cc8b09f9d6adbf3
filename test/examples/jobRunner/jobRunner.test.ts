import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { assert } from 'chai';
import { freePort } from '../../fixtures/freePort';
import { RedisServer } from '../../fixtures/RedisServer';
import { skipWithoutRedis } from '../../fixtures/sharedServer';
import { until } from '../../fixtures/until';
import type { Health } from './LockHealth';

suite('The example job runner', function () {
    this.timeout(20_000);
    let server: RedisServer;
    let hosts: Host[];

    /** One process of the service. */
    class Host {
        readonly process: ChildProcess;

        constructor(private readonly _port: number) {
            const env = {
                ...process.env,
                REDIS_SERVICE_HOST: server.host,
                REDIS_SERVICE_PORT: String(server.port),
                STATUS_PORT: String(_port),
                LOG_LEVEL: 'trace',
            };
            const args = [join(__dirname, 'service.js'), '-c', 'config/jobs.yml'];
            this.process = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
        }

        async health(): Promise<Partial<Health> & { readonly status: number }> {
            try {
                const response = await fetch(`http://127.0.0.1:${this._port}/health`);
                return { ...((await response.json()) as Health), status: response.status };
            } catch {
                return { status: 0 };
            }
        }

        async metrics(): Promise<string> {
            return (await fetch(`http://127.0.0.1:${this._port}/metrics`)).text();
        }
    }

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        server = await RedisServer.start();
        hosts = [];
    });
    teardown(async () => {
        for (const host of hosts) {
            if (host.process.exitCode !== null || host.process.signalCode !== null) continue;
            host.process.kill('SIGKILL');
            await once(host.process, 'exit');
        }
        await server.stop();
    });

    async function start(): Promise<Host> {
        const host = new Host(await freePort());
        hosts.push(host);
        return host;
    }

    test('runs jobs on one host, tells its health and its counters, and hands over on SIGTERM', async () => {
        const one = await start();
        await until(async () => (await one.health()).held === 1, 10_000);
        const other = await start();
        await until(async () => (await other.health()).waiting === 1, 10_000);
        const well = { open: true, reachable: true, status: 200 };
        assert.deepEqual(await one.health(), { ...well, held: 1, waiting: 0 });
        assert.deepEqual(await other.health(), { ...well, held: 0, waiting: 1 });

        const metrics = await one.metrics();
        assert.match(
            metrics,
            /^# TYPE redis_lock_acquire_acquired_total counter\nredis_lock_acquire_acquired_total 1$/m,
        );
        assert.match(metrics, /^job_runner_job_ms_count [1-9]/m);

        const ended = once(one.process, 'exit');
        one.process.kill('SIGTERM');
        assert.deepEqual(await ended, [0, null]);
        // At once: the ttl is 10 s.
        await until(async () => (await other.health()).held === 1, 3000);
        const fence = (text: string): number => Number(/^job_runner_fence (\d+)/m.exec(text)?.[1]);
        await until(async () => fence(await other.metrics()) > fence(metrics));
    });

    test('says that it is not well when Redis does not answer, and that it is when it does again', async () => {
        const one = await start();
        await until(async () => (await one.health()).held === 1, 10_000);
        server.freeze();
        assert.deepInclude(await one.health(), { open: true, reachable: false, status: 503 });
        server.thaw();
        await until(async () => (await one.health()).status === 200, 5000);
    });
});
