import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { assert } from 'chai';
import { Cluster } from 'ioredis';
import { RedisLock } from '../../../src';
import { KeepAliveThreads, block } from '../../fixtures/keepAliveThreads';
import { QuorumNodes } from '../../fixtures/QuorumNodes';
import { RedisCluster } from '../../fixtures/RedisCluster';
import { SentinelGroup } from '../../fixtures/SentinelGroup';
import { ServerCommands } from '../../fixtures/ServerCommands';
import { skipWithoutRedis } from '../../fixtures/sharedServer';
import { until } from '../../fixtures/until';
import { configOf } from '../lockOf';
import type { Settings } from '../lockOf';

const ROOT = join(__dirname, '..', '..', '..', '..');

const TTL = 2000;

suite('The keep-alive thread', function () {
    this.timeout(120_000);

    suiteSetup(skipWithoutRedis);

    /** Blocks the event loop for longer than the ttl of some leases. */
    async function works(settings: Settings, lock = new RedisLock()): Promise<void> {
        using threads = new KeepAliveThreads();
        lock.configure(configOf({ 'options.ttl': TTL, 'options.keep_alive_thread': true, ...settings }));
        try {
            await lock.open(null);
            await threads.ready();
            const keys = ['a', 'b', 'c', 'd'];
            const leases = await Promise.all(keys.map((key) => lock.acquire(null, key)));
            block(2 * TTL);
            assert.isTrue(leases.every((lease) => lease.isHeld()));
            const holders = await Promise.all(keys.map(async (key) => (await lock.inspect(null, key)).holder));
            assert.deepEqual(
                holders,
                leases.map(({ holder }) => holder),
            );
            for (const lease of leases) assert.isTrue(await lease.release());
        } finally {
            await lock.close(null);
        }
    }

    function connections(servers: readonly { host: string; port: number }[]): Settings {
        const uris = servers.map(({ host, port }, at) => [`connections.${at}.uri`, `redis://${host}:${port}`]);
        return Object.fromEntries(uris) as Settings;
    }

    test('works on a quorum', async () => {
        await using nodes = await QuorumNodes.start(3);
        await nodes.voting(TTL);
        // A node of a crowded machine may take its time.
        const patient = { 'options.topology': 'quorum', 'options.node_timeout': 800 };
        await works({ ...patient, ...connections(nodes.servers) });
    });

    test('asks no node of a quorum for a vote that it has lost: the main thread does', async () => {
        await using nodes = await QuorumNodes.start(3);
        await nodes.voting(TTL);
        using threads = new KeepAliveThreads();
        const lock = new RedisLock();
        const settings = { 'options.topology': 'quorum', 'options.node_timeout': 800, 'options.ttl': TTL };
        lock.configure(configOf({ ...settings, 'options.keep_alive_thread': true, ...connections(nodes.servers) }));
        try {
            await lock.open(null);
            await threads.ready();
            const lease = await lock.acquire(null, 'key');
            const { port } = nodes.servers.at(-1) ?? assert.fail();
            await using commands = new ServerCommands({ host: '127.0.0.1', port });
            await commands.client.del('key');
            // The event loop is blocked as long as this takes.
            const look = `
                const { Redis } = require('ioredis');
                const client = new Redis(${port});
                setTimeout(async () => console.log(await client.exists('key'), client.disconnect()), ${2 * TTL});`;
            const { stdout } = spawnSync(process.execPath, ['-e', look], { encoding: 'utf8', cwd: ROOT });
            assert.strictEqual(stdout.split(' ')[0], '0');
            assert.isTrue(lease.isHeld());
            await until(async () => (await commands.client.exists('key')) === 1, 10_000);
        } finally {
            await lock.close(null);
        }
    });

    test('works in a cluster', async () => {
        await using cluster = await RedisCluster.start();
        await works({ 'options.topology': 'cluster', ...connections(cluster.servers) });
    });

    test('works with a cluster client of somebody else', async () => {
        await using cluster = await RedisCluster.start();
        const own = new Cluster(cluster.servers.map(({ host, port }) => ({ host, port })));
        try {
            await once(own, 'ready');
            await works({}, new RedisLock(own));
        } finally {
            own.disconnect();
        }
    });

    test('works behind Sentinels, with the passwords of both', async () => {
        const [ofServers, ofSentinels] = ['of-the-servers', 'of-the-sentinels'];
        await using group = await SentinelGroup.start({
            args: ['--requirepass', ofServers, '--masterauth', ofServers],
            lines: [
                `requirepass ${ofSentinels}`,
                `sentinel sentinel-pass ${ofSentinels}`,
                `sentinel auth-pass locks ${ofServers}`,
            ],
            password: ofServers,
            sentinelPassword: ofSentinels,
        });
        await works({
            'options.topology': 'sentinel',
            'options.sentinel_name': group.name,
            'credential.password': ofServers,
            'sentinel_credential.password': ofSentinels,
            ...connections(group.sentinels),
        });
    });
});
