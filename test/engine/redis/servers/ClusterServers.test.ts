import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { ClusterServers } from '../../../../src/engine/redis/servers/ClusterServers';
import { RedisStore } from '../../../../src/engine/redis/RedisStore';
import type { AcquireAnswer } from '../../../../src/engine/port/LockStore';
import { SLOTS, slotOf } from '../../../../src/engine/redis/slots';
import { listenerOf } from '../../../fixtures/listenerOf';
import { acquireFrom } from '../../../fixtures/asks';
import { numbers } from '../../../fixtures/RedisCluster';
import { RedisServer } from '../../../fixtures/RedisServer';
import { rejection } from '../../../fixtures/rejection';
import { sharedServer, skipWithoutRedis } from '../../../fixtures/sharedServer';
import { TcpProxy } from '../../../fixtures/TcpProxy';
import { until } from '../../../fixtures/until';
import { clientOf, ended, ownClient } from '../../clientOf';

/** A range of slots, and the port of its master. */
type Range = readonly [first: number, last: number, port: number];

suite('ClusterServers', function () {
    this.timeout(15_000);
    let server: RedisServer;
    let a: TcpProxy;
    let b: TcpProxy;
    let table: readonly Range[];
    /** What the next steps are answered. */
    let answers: string[];
    let commands: string[];
    let told: string[];
    let opened: RedisStore[];

    suiteSetup(skipWithoutRedis);
    suiteSetup(async () => {
        server = await RedisServer.start({ args: ['--cluster-enabled', 'yes'] });
        const client = await ownClient(server);
        await client.cluster('ADDSLOTS', ...numbers(0, SLOTS));
        await until(async () => String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
        await ended(client);
    });
    suiteTeardown(async () => {
        await server?.stop();
    });
    setup(async () => {
        [answers, commands, told, opened] = [[], [], [], []];
        const answer = ([name = '', what = '']: string[]): string | null => {
            const command = name.toUpperCase();
            commands.push(command === 'CLUSTER' ? `CLUSTER ${what.toUpperCase()}` : command);
            if (command === 'EVALSHA') return answers.shift() ?? null;
            if (command !== 'CLUSTER') return null;
            const ranges = table.map(
                ([first, last, port]) => `*3\r\n:${first}\r\n:${last}\r\n*2\r\n$9\r\n127.0.0.1\r\n:${port}\r\n`,
            );
            return `*${ranges.length}\r\n${ranges.join('')}`;
        };
        [a, b] = [await TcpProxy.start(server, answer), await TcpProxy.start(server, answer)];
        table = [
            [0, 8191, a.port],
            [8192, 16_383, b.port],
        ];
    });
    teardown(async () => {
        await Promise.all(opened.map((store) => store.close()));
        await Promise.all([a.stop(), b.stop()]);
    });

    async function open(commandTimeout = 1000): Promise<RedisStore> {
        const options = { connectTimeout: 2000, commandTimeout, wait: 'poll', seeds: [a] } as const;
        const store = new RedisStore(new ClusterServers({ ...options, connect: (to) => clientOf(to) }));
        opened.push(store);
        await store.open(
            listenerOf({
                reconnected: () => told.push('reconnected'),
                disconnected: () => told.push('disconnected'),
                recovered: (message) => told.push(message),
            }),
        );
        await until(() => a.connections + b.connections > 0);
        return store;
    }

    function keyOn(proxy: TcpProxy): string {
        for (let at = 0; ; at++) {
            const key = `key:${at}:${performance.now()}`;
            if (slotOf(key) < 8192 === (proxy === a)) return key;
        }
    }

    function acquire(store: RedisStore, key: string): Promise<AcquireAnswer> {
        return acquireFrom(store, { key, id: 'me:', ttl: 1000, ticket: undefined });
    }

    function count(command: string): number {
        return commands.filter((one) => one === command).length;
    }

    for (const text of [
        'CLUSTERDOWN Hash slot not served',
        'LOADING Redis is loading',
        'TRYAGAIN Multiple keys',
        'MASTERDOWN Link',
    ]) {
        test(`does a step again that was answered ${text.split(' ')[0]}`, async () => {
            const store = await open();
            answers = [`-${text}\r\n`];
            assert.strictEqual((await acquire(store, keyOn(a))).kind, 'granted');
        });
    }

    test('does a step again no longer than a command may take', async () => {
        const store = await open(300);
        answers = Array.from({ length: 1000 }, () => '-CLUSTERDOWN Hash slot not served\r\n');
        const error = await rejection(acquire(store, keyOn(a)), 'SERVER_REFUSED');
        assert.include(error.message, 'CLUSTERDOWN');
    });

    test('does a step when its server is there again', async () => {
        const store = await open();
        await b.refuse();
        b.cut();
        await until(() => told.includes('disconnected'));
        const answer = acquire(store, keyOn(b));
        await sleep(100);
        await b.accept();
        assert.strictEqual((await answer).kind, 'granted');
    });

    test('asks who has a slot that had no master, and does the step there', async () => {
        table = [[0, 8191, a.port]];
        const store = await open();
        await sleep(100);
        table = [...table, [8192, 16_383, b.port]];
        assert.strictEqual((await acquire(store, keyOn(b))).kind, 'granted');
    });

    test('does not do a step again whose answer was lost', async () => {
        const store = await open();
        const key = keyOn(b);
        await acquire(store, key);
        commands = [];
        b.pause('toClient');
        const lost = rejection(acquire(store, key), 'CONNECTION_FAILED');
        await until(() => count('EVALSHA') === 1);
        b.cut();
        b.resume();
        assert.isTrue((await lost).unknown);
        assert.strictEqual(count('EVALSHA'), 1);
    });

    test('tells those who wait when a step was sent elsewhere, and asks for the other slots', async () => {
        const store = await open();
        const key = keyOn(a);
        const slot = slotOf(key);
        await acquire(store, key);
        [told, commands] = [[], []];
        table = [...table, [slot, slot, b.port]];
        answers = [`-MOVED ${slot} 127.0.0.1:${b.port}\r\n`];
        assert.strictEqual((await acquire(store, key)).kind, 'granted');
        await until(() => count('CLUSTER SLOTS') > 0);
        assert.deepEqual(told, ['reconnected']);
    });

    test('tells those who wait when slots are elsewhere', async () => {
        const store = await open();
        [told, commands] = [[], []];
        table = [[0, 16_383, b.port]];
        answers = ['-CLUSTERDOWN Hash slot not served\r\n'];
        await acquire(store, keyOn(a));
        await until(() => told.includes('reconnected'));
    });

    test('asks who took its place when a master is away', async () => {
        await open();
        commands = [];
        b.cut();
        await until(() => count('CLUSTER SLOTS') > 0, 500);
    });

    test('connects to a master that was away when it was opened', async () => {
        await b.refuse();
        const store = await open();
        await b.accept();
        await until(() => b.connections > 0, 2000);
        assert.strictEqual((await acquire(store, keyOn(b))).kind, 'granted');
    });

    test('leaves a server that is away and has no slots', async () => {
        await open();
        table = [[0, 16_383, a.port]];
        await b.refuse();
        b.cut();
        await sleep(800);
        await b.accept();
        await sleep(600);
        assert.strictEqual(b.connections, 0);
    });

    test('tells that a master that was away has a successor', async () => {
        await open();
        await b.refuse();
        b.cut();
        await until(() => told.includes('disconnected'), 5000);
        table = [[0, 16_383, a.port]];
        await until(() => told.some((text) => /another server took its place after \d+ ms/.test(text)), 5000);
        assert.include(told.at(-1), `127.0.0.1:${b.port}: `);
        assert.lengthOf(
            told.filter((text) => text === 'disconnected'),
            1,
        );
    });

    test('connects again and again to a master that refuses for good, but with pauses', async () => {
        const store = await open();
        await using other = await TcpProxy.start(server, ([name]) =>
            name?.toUpperCase() === 'PING' ? '-NOPERM this user has no permissions to run the ping command\r\n' : null,
        );
        const key = keyOn(b);
        await acquire(store, key);
        table = [
            [0, 8191, a.port],
            [8192, 16_383, other.port],
        ];
        answers = [`-MOVED ${slotOf(key)} 127.0.0.1:${other.port}\r\n`];
        const end = performance.now() + 2000;
        let tries = 0;
        for (; performance.now() < end; tries++) await rejection(acquire(store, key), 'NO_PERMISSION');
        // 50, 100, 200 ms …, and each pause may be half as long.
        assert.isAtMost(other.accepted, 10);
        assert.isAtLeast(other.accepted, 2);
        assert.isAbove(tries, other.accepted);
    });

    test('does not open when no master can be reached', async () => {
        table = [[0, 16_383, 1]];
        const error = await rejection(
            open().then(() => 'open'),
            'CONNECTION_FAILED',
        );
        assert.match(error.message, /The cluster names 127\.0\.0\.1:1, which cannot be reached.*natMap/);
    });

    test('does not open when a master is none of a cluster', async () => {
        table = [
            [0, 8191, a.port],
            [8192, 16_383, (await sharedServer()).port],
        ];
        await rejection(
            open().then(() => 'open'),
            'BAD_OPTION',
        );
    });

    test('waits for a new server no longer than for a command', async () => {
        const store = await open(300);
        await using hole = await TcpProxy.start(server);
        hole.pause();
        const key = keyOn(a);
        answers = [`-MOVED ${slotOf(key)} 127.0.0.1:${hole.port}\r\n`];
        table = [[0, 16_383, hole.port]];
        const began = performance.now();
        await rejection(acquire(store, key), 'CONNECTION_FAILED');
        assert.isBelow(performance.now() - began, 1200);
    });
});
