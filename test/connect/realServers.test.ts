import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { Descriptor, References } from 'pip-services4-components-node';
import { ConnectionParams, MemoryCredentialStore, MemoryDiscovery } from 'pip-services4-config-node';
import { Redis } from 'ioredis';
import { RedisLock } from '../../src';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { configOf, lockOf } from '../lock/lockOf';
import type { Settings } from '../lock/lockOf';

const KEY = 'real-servers';

suite('Connections to real servers', () => {
    let folder: string;
    let socket: string;
    let server: RedisServer;
    let made: RedisLock[];

    suiteSetup(async function () {
        skipWithoutRedis.call(this);
        folder = mkdtempSync(join(tmpdir(), 'redis-socket-'));
        socket = join(folder, 'redis.sock');
        const users = [
            'user default on >everybody ~* &* +@all',
            'user worker on >s;cret%20 ~* &* +@all',
            'user elsewhere on >pass ~* &* +@all -select',
        ];
        const args = users.flatMap((user) => ['--user', ...user.split(' ').slice(1)]);
        server = await RedisServer.start({ args: [...args, '--databases', '4', '--unixsocket', socket] });
    });
    suiteTeardown(async () => {
        await server?.stop();
        if (folder !== undefined) rmSync(folder, { recursive: true });
    });
    setup(() => {
        made = [];
    });
    teardown(async () => {
        await Promise.all(made.map((lock) => lock.close(null)));
    });

    function make(settings: Settings): RedisLock {
        const lock = lockOf(server, { 'options.connect_timeout': 3000, ...settings });
        made.push(lock);
        return lock;
    }

    /** The databases of the server that hold the key of a lock. */
    async function databases(key: string): Promise<number[]> {
        const redis = new Redis({ host: server.host, port: server.port, password: 'everybody' });
        const found: number[] = [];
        for (const database of [0, 1, 2, 3]) {
            await redis.select(database);
            if ((await redis.exists(key)) === 1) found.push(database);
        }
        await redis.quit();
        return found;
    }

    async function works(lock: RedisLock): Promise<void> {
        await lock.open(null);
        assert.isTrue(await lock.tryAcquireLock(null, KEY, 5000));
        await lock.releaseLock(null, KEY);
    }

    suite('credentials', () => {
        test('are the password of requirepass', async () => {
            await using guarded = await RedisServer.start({ args: ['--requirepass', 'sesame'] });
            const lock = lockOf(guarded, { 'credential.password': 'sesame' });
            made.push(lock);
            await works(lock);
        });

        test('are an ACL user, whatever the password is made of', async () => {
            await works(make({ 'credential.username': 'worker', 'credential.password': 's;cret%20' }));
        });

        test('are those of the uri', async () => {
            const { host, port } = server;
            await works(make({ 'connection.uri': `redis://worker:s%3Bcret%2520@${host}:${port}` }));
            await works(make({ 'connection.uri': `redis://:everybody@${host}:${port}` }));
        });

        test('are those of the credential store, found by the store_key', async () => {
            const store = new MemoryCredentialStore(configOf({ 'redis.password': 'everybody' }));
            const descriptor = new Descriptor('pip-services', 'credential-store', 'memory', 'default', '1.0');
            const lock = make({ 'credential.store_key': 'redis' });
            lock.setReferences(References.fromTuples(descriptor, store));
            await works(lock);
        });

        for (const [name, credential] of [
            ['a wrong password', { 'credential.username': 'worker', 'credential.password': 'open' }],
            ['an unknown user', { 'credential.username': 'nobody', 'credential.password': 's;cret%20' }],
            ['no password', {}],
        ] as const) {
            test(`that are ${name} make open fail at once with WRONG_PASSWORD, which does not tell it`, async () => {
                const lock = make({ 'options.connect_timeout': 9000, ...credential });
                const started = performance.now();
                const error = await rejection(lock.open('trace-1'), 'WRONG_PASSWORD');
                assert.isBelow(performance.now() - started, 5000);
                assert.strictEqual(error.constructor.name, 'UnauthorizedException');
                assert.strictEqual(error.status, 401);
                assert.strictEqual(error.trace_id, 'trace-1');
                assert.match(error.message, name === 'no password' ? /set credential\.password/ : /WRONGPASS/);
                assert.notInclude(JSON.stringify([error, error.stack]), 's;cret');
                assert.isFalse(lock.isOpen());
            });
        }
    });

    suite('the database', () => {
        test('is that of options.db_num', async () => {
            const lock = make({ 'credential.password': 'everybody', 'options.db_num': 2 });
            await lock.open(null);
            assert.isTrue(await lock.tryAcquireLock(null, KEY, 5000));
            assert.deepEqual(await databases(KEY), [2]);
        });

        test('is that of the uri', async () => {
            const lock = make({ 'connection.uri': `redis://:everybody@${server.host}:${server.port}/3` });
            await lock.open(null);
            assert.isTrue(await lock.tryAcquireLock(null, KEY, 5000));
            assert.deepEqual(await databases(KEY), [3]);
        });

        test('that the server does not have makes open fail at once, naming the option', async () => {
            const password = { 'credential.password': 'everybody', 'options.connect_timeout': 9000 };
            for (const settings of [
                { ...password, 'options.db_num': 4 },
                {
                    'options.connect_timeout': 9000,
                    'connection.uri': `redis://:everybody@${server.host}:${server.port}/4`,
                },
            ]) {
                const started = performance.now();
                const error = await rejection(make(settings).open(null), 'BAD_OPTION');
                assert.isBelow(performance.now() - started, 5000);
                assert.include(error.message, 'options.db_num');
                assert.strictEqual(error.constructor.name, 'ConfigException');
                assert.include(String(error.cause), 'DB index is out of range');
            }
        });

        test('keeps locks apart from those of another', async () => {
            const [one, other] = [0, 1].map((database) =>
                make({ 'credential.password': 'everybody', 'options.db_num': database }),
            );
            for (const lock of [one, other]) {
                await lock?.open(null);
                assert.isTrue(await lock?.tryAcquireLock(null, KEY, 5000));
            }
        });

        test('is never another one: a user who may not select it makes open fail', async () => {
            const credential = { 'credential.username': 'elsewhere', 'credential.password': 'pass' };
            await works(make(credential));
            const error = await rejection(make({ ...credential, 'options.db_num': 1 }).open(null), 'NO_PERMISSION');
            assert.include(error.message, 'select');
        });
    });

    suite('the address', () => {
        test('is a Unix socket by path or by uri', async () => {
            const credential = { 'credential.password': 'everybody' };
            for (const connection of [{ 'connection.path': socket }, { 'connection.uri': `unix:${socket}` }]) {
                const lock = new RedisLock();
                lock.configure(configOf({ ...connection, ...credential }));
                made.push(lock);
                await works(lock);
            }
        });

        test('is what discovery says', async () => {
            const discovery = new MemoryDiscovery();
            const { host, port } = server;
            await discovery.register(
                { get: () => null },
                'redis',
                ConnectionParams.fromTuples('host', host, 'port', port),
            );
            const lock = new RedisLock();
            lock.configure(configOf({ 'connection.discovery_key': 'redis', 'credential.password': 'everybody' }));
            const descriptor = new Descriptor('pip-services', 'discovery', 'memory', 'default', '1.0');
            lock.setReferences(References.fromTuples(descriptor, discovery));
            made.push(lock);
            await works(lock);
        });

        test('may be a name that has several addresses', async () => {
            await works(make({ 'connection.host': 'localhost', 'credential.password': 'everybody' }));
        });

        test('of which there is no such name makes open fail within connect_timeout', async () => {
            const lock = make({ 'connection.host': 'redis.invalid', 'options.connect_timeout': 400 });
            await rejection(lock.open(null), 'CONNECTION_FAILED');
        });

        test('of a socket that is not there makes open fail within connect_timeout', async () => {
            const lock = make({ 'connection.path': join(folder, 'none.sock'), 'options.connect_timeout': 400 });
            const error = await rejection(lock.open(null), 'CONNECTION_FAILED');
            assert.include(error.message, 'none.sock');
        });
    });
});
