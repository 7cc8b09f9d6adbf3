import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { cliContract } from '../../bin/cliContract';
import { Authority } from '../../connect/certificates';
import { DOCUMENTED_RULE } from '../../connect/rights';
import { freePort } from '../../fixtures/freePort';
import { RedisServer } from '../../fixtures/RedisServer';
import { skip } from '../../fixtures/serverVersion';
import { sharedServer, skipWithoutRedis } from '../../fixtures/sharedServer';
import type { RedisAddress } from '../../fixtures/sharedServer';
import { until } from '../../fixtures/until';
import { lockContract } from '../lockContract';
import { lockFrom } from '../lockFrom';
import type { Settings } from '../lockOf';

suite('A lock on one server', () => {
    let address: RedisAddress;

    suiteSetup(async () => {
        address = await sharedServer();
    });

    lockContract('config/config.yml', (settings) => {
        const environment = { REDIS_SERVICE_HOST: address.host, REDIS_SERVICE_PORT: address.port };
        return lockFrom('config/config.yml', environment, settings);
    });
});

suite('A lock with TLS, a user of few rights, and a replica', function () {
    this.timeout(20_000);
    const authority = new Authority('the authority of secure.yml');
    let folder: string | undefined;
    let servers: RedisServer[];
    let environment: Settings;

    suiteSetup(async function () {
        skipWithoutRedis.call(this);
        folder = mkdtempSync(join(tmpdir(), 'redis-secure-'));
        servers = [];
        const file = (name: string, text: string): string => {
            const path = join(folder ?? '', name);
            writeFileSync(path, text);
            return path;
        };
        const [port, server, client] = [await freePort(), authority.issue('127.0.0.1'), authority.issue('client')];
        const tls = ['--tls-port', String(port), '--tls-ca-cert-file', file('ca.pem', authority.cert)];
        tls.push('--tls-cert-file', file('cert.pem', server.cert), '--tls-key-file', file('key.pem', server.key));
        const master = await RedisServer.start({ args: [...tls, '--repl-diskless-sync-delay', '0'] }).catch(() => {
            return skip(this, 'this redis-server was built without TLS');
        });
        servers.push(master);
        servers.push(await RedisServer.start({ args: ['--replicaof', master.host, String(master.port)] }));
        const redis = new Redis(master.port);
        await redis.call('ACL', 'SETUSER', 'locks', 'on', '>secret', ...DOCUMENTED_RULE, '+scan', '+wait');
        await until(async () => (await redis.set('probe', '1'), await redis.wait(1, 200)) === 1, 15_000);
        redis.disconnect();
        environment = {
            REDIS_URI: `rediss://127.0.0.1:${port}`,
            REDIS_USER: 'locks',
            REDIS_PASS: 'secret',
            REDIS_CA: join(folder, 'ca.pem'),
            REDIS_CERT: file('client.pem', client.cert),
            REDIS_KEY: file('client-key.pem', client.key),
        };
    });
    suiteTeardown(async () => {
        await Promise.all(servers.map((server) => server.stop()));
        if (folder !== undefined) rmSync(folder, { recursive: true });
    });

    cliContract('config/secure.yml', () => environment, 1);

    lockContract('config/secure.yml', (settings) =>
        lockFrom('config/secure.yml', environment, { 'options.acks_timeout': 10_000, ...settings }),
    );
});
