import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { Cluster, Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import { ConfigParams, Context, Descriptor, References } from 'pip-services4-components-node';
import { ConnectionParams, MemoryCredentialStore, MemoryDiscovery } from 'pip-services4-config-node';
import { RedisConnector } from '../../src/connect/RedisConnector';
import type { LockContext } from '../../src';
import { rejection, type Rejection } from '../fixtures/rejection';
import { documentedOptions } from './documented';
import { RecordingConfig } from './RecordingConfig';
import { refusal } from './refusal';

const DISCOVERY = new Descriptor('pip-services', 'discovery', 'memory', 'default', '1.0');
const CREDENTIALS = new Descriptor('pip-services', 'credential-store', 'memory', 'default', '1.0');

interface Given {
    readonly references?: References;
    readonly context?: LockContext;
}

/** The options of the client that a connector makes. */
async function options(config: Record<string, unknown>, given: Given = {}): Promise<RedisOptions> {
    const connector = new RedisConnector();
    connector.configure(ConfigParams.fromTuples(...Object.entries(config).flat()));
    if (given.references !== undefined) connector.setReferences(given.references);
    const clients = await connector.connect(given.context);
    assert.include(clients, { topology: 'single', borrowed: false });
    if (!('client' in clients)) assert.fail('It is not a single server.');
    const { client } = clients;
    assert.strictEqual(client.status, 'wait', 'It must not connect by itself');
    client.disconnect();
    return client.options;
}

function optionsOf(uri: string, config: Record<string, unknown> = {}): Promise<RedisOptions> {
    return options({ 'connection.uri': uri, ...config });
}

function discovery(key: string, connection: ConnectionParams): Promise<References> {
    const memory = new MemoryDiscovery();
    return memory.register(new Context(), key, connection).then(() => References.fromTuples(DISCOVERY, memory));
}

suite('RedisConnector', () => {
    suite('connection', () => {
        test('is made to the host and port given', async () => {
            const { host, port, path, db, tls, username, password } = await options({
                'connection.host': 'redis.example',
                'connection.port': 7000,
            });
            assert.deepEqual({ host, port, db }, { host: 'redis.example', port: 7000, db: 0 });
            for (const absent of [path, tls, username, password]) assert.isNotOk(absent);
        });

        test('is made to port 6379 of the host, or to localhost at the port, where the other is not given', async () => {
            const atHost = await options({ 'connection.host': 'redis.example' });
            assert.deepEqual([atHost.host, atHost.port], ['redis.example', 6379]);
            const atPort = await options({ 'connection.port': 7000 });
            assert.deepEqual([atPort.host, atPort.port], ['localhost', 7000]);
        });

        test('is made to a Unix socket by path', async () => {
            const { path } = await options({ 'connection.path': '/run/redis.sock' });
            assert.strictEqual(path, '/run/redis.sock');
        });

        test('is made by the uri when there are host and port as well', async () => {
            const { host, port } = await optionsOf('redis://one:7001', {
                'connection.host': 'two',
                'connection.port': 7002,
            });
            assert.deepEqual([host, port], ['one', 7001]);
        });

        test('is found below connections as well, when there is one', async () => {
            const { host } = await options({ 'connections.0.host': 'redis.example', 'connections.0.port': 7000 });
            assert.strictEqual(host, 'redis.example');
        });

        test('is refused when there are several and no topology says what they are', async () => {
            const several = { 'connections.0.host': 'one', 'connections.1.host': 'two' };
            const error = await rejection(options(several, { context: 'trace-1' }), 'BAD_OPTION');
            assert.strictEqual(error.details?.getAsString('option'), 'options.topology');
            assert.include(error.message, 'options.topology');
            assert.strictEqual(error.trace_id, 'trace-1');
        });

        test('is missing when nothing is configured', async () => {
            const error = await rejection(options({}, { context: Context.fromTraceId('trace-1') }), 'NO_CONNECTION');
            assert.include(error.message, 'connection.host');
            assert.include(error.message, 'connection.uri');
            assert.include(error.message, 'connection.discovery_key');
            assert.strictEqual(error.trace_id, 'trace-1');
        });

        for (const host of ['rediss://one', 'one:6379', 'user:S3CRET@one', 'one two', 'one/5']) {
            test(`is refused at host ${host}, which is not repeated`, async () => {
                const error = await refusal(() => options({ 'connection.host': host }), 'connection.host');
                assert.notInclude(saidBy(error), 'S3CRET');
            });
        }

        test('is made to an address of IPv6', async () => {
            assert.strictEqual((await options({ 'connection.host': '::1' })).host, '::1');
            assert.strictEqual((await options({ 'connection.host': '[::1]' })).host, '::1');
        });

        test('by protocol unix is made to a path, and to nothing else', async () => {
            const unix = { 'connection.protocol': 'unix' };
            const { path } = await options({ ...unix, 'connection.path': '/run/redis.sock' });
            assert.strictEqual(path, '/run/redis.sock');
            await refusal(() => options({ ...unix, 'connection.host': 'one' }), 'connection.protocol');
        });

        for (const port of ['0', '65536', '-1', '6379a', '63.79', 'redis']) {
            test(`is refused at port ${port}`, async () => {
                await refusal(() => options({ 'connection.port': port }), 'connection.port');
            });
        }

        test('is configured anew by a second configure, which forgets the first', async () => {
            const connector = new RedisConnector();
            const first = { 'connection.host': 'one', 'connection.port': 7000, 'options.db_num': 1 };
            connector.configure(ConfigParams.fromTuples(...Object.entries(first).flat()));
            connector.configure(ConfigParams.fromTuples('connection.host', 'two'));
            const clients = await connector.connect(null);
            if (!('client' in clients)) assert.fail('It is not a single server.');
            const { host, port, db } = clients.client.options;
            assert.deepEqual([host, port, db], ['two', 6379, 0]);
        });
    });

    suite('TLS that is asked for', () => {
        const secure = { 'connection.host': 'one', 'connection.protocol': 'rediss' };

        test('is what protocol rediss gives, and what redis, tcp and none do not', async () => {
            assert.isDefined((await options(secure)).tls);
            for (const protocol of ['redis', 'tcp', '', null])
                assert.isUndefined(
                    (await options({ ...secure, 'connection.protocol': protocol })).tls,
                    String(protocol),
                );
        });

        for (const protocol of [
            'tls',
            'ssl',
            'redis+ssl',
            'redis+tls',
            'REDISS',
            'rediss://',
            'https',
            'redisss',
            'valkeys',
        ]) {
            test(`is refused as protocol ${protocol}`, async () => {
                const settings = { ...secure, 'connection.protocol': protocol };
                const error = await refusal(() => options(settings), 'connection.protocol');
                assert.include(error.message, 'redis, rediss, tcp, unix');
            });
        }

        for (const name of [
            'options.tls',
            'options.ssl',
            'options.use_tls',
            'connection.ssl',
            'connection.tls',
            'connection.useSSL',
            'connection.tls.ca',
            'connection.secure',
            'connections.0.tls',
            'tls',
            'ssl',
            'tls.ca',
        ]) {
            test(`is refused as ${name}`, async () => {
                for (const value of [true, 'yes', 'on', '1', 'required', '[object Object]'])
                    await refusal(() => options({ 'connection.host': 'one', [name]: value }), name);
            });
        }

        test('is not, by a connection that says that it is off', async () => {
            for (const value of [false, 'no', 'off', 0, '', null])
                assert.isUndefined((await options({ 'connection.host': 'one', 'connection.ssl': value })).tls);
        });

        test('is refused as options.tls without names below it, whatever it is', async () => {
            for (const value of [true, false, '', null, '{}'])
                await refusal(() => options({ 'connection.host': 'one', 'options.tls': value }), 'options.tls');
        });

        test('is refused by a discovered connection that has another name for it', async () => {
            const found = ConnectionParams.fromTuples('host', 'found', 'ssl', true);
            const references = await discovery('redis', found);
            await refusal(() => options({ 'connection.discovery_key': 'redis' }, { references }), 'connection.ssl');
            const wrong = await discovery('redis', ConnectionParams.fromTuples('host', 'found', 'protocol', 'tls'));
            const looking = { 'connection.discovery_key': 'redis' };
            await refusal(() => options(looking, { references: wrong }), 'connection.protocol');
        });

        test('is refused beside a uri or a socket that has none', async () => {
            const rediss = { 'connection.protocol': 'rediss' };
            await refusal(() => optionsOf('redis://one', rediss), 'connection.protocol');
            await refusal(() => optionsOf('unix:/run/redis.sock', rediss), 'connection.protocol');
            await refusal(() => options({ ...rediss, 'connection.path': '/run/redis.sock' }), 'connection.protocol');
            assert.isDefined((await optionsOf('rediss://one', { 'connection.protocol': 'redis' })).tls);
            assert.isDefined((await optionsOf('redis://one', { 'options.tls.servername': 'one' })).tls);
        });

        for (const topology of ['sentinel', 'cluster']) {
            test(`is refused when only some connections of topology ${topology} ask for it`, async () => {
                const name = topology === 'sentinel' ? { 'options.sentinel_name': 'm' } : {};
                const some = { 'connections.0.host': 'one', 'connections.1.uri': 'rediss://two' };
                const settings = { ...some, ...name, 'options.topology': topology };
                await refusal(() => options(settings), 'connections');
                const connector = new RedisConnector();
                const all = { ...settings, 'options.tls.servername': 'one' };
                connector.configure(ConfigParams.fromTuples(...Object.entries(all).flat()));
                assert.strictEqual((await connector.connect(null)).topology, topology);
            });
        }

        test('is refused when a client is given that has none', async () => {
            const client = new Redis({ lazyConnect: true });
            for (const [settings, option] of [
                [{ 'options.tls.servername': 'one' }, 'options.tls'],
                [secure, 'connection'],
                [{ 'connection.uri': 'rediss://one' }, 'connection'],
            ] as const) {
                for (const given of [client, new Cluster([{ host: 'one' }], { lazyConnect: true })]) {
                    const connector = new RedisConnector(given);
                    connector.configure(ConfigParams.fromTuples(...Object.entries(settings).flat()));
                    await refusal(() => connector.connect(null), option);
                }
                const connector = new RedisConnector(new Redis({ lazyConnect: true, tls: {} }));
                connector.configure(ConfigParams.fromTuples(...Object.entries(settings).flat()));
                assert.include(await connector.connect(null), { borrowed: true });
            }
        });
    });

    suite('uri', () => {
        const valid: [uri: string, expected: RedisOptions & { secure?: boolean }][] = [
            ['redis://one', { host: 'one', port: 6379 }],
            ['redis://one:7000', { host: 'one', port: 7000 }],
            ['redis://one:7000/', { host: 'one', port: 7000, db: 0 }],
            ['redis://one:7000/5', { host: 'one', port: 7000, db: 5 }],
            ['tcp://one:7000', { host: 'one', port: 7000, secure: false }],
            ['rediss://one:7000/2', { host: 'one', port: 7000, db: 2, secure: true }],
            ['REDIS://one:7000', { host: 'one', port: 7000 }],
            ['redis://user:pass@one', { host: 'one', username: 'user', password: 'pass' }],
            ['redis://:pass@one', { host: 'one', password: 'pass' }],
            ['redis://user@one', { host: 'one', username: 'user' }],
            ['redis://us%40er:p%40s%2Fs%25@one', { host: 'one', username: 'us@er', password: 'p@s/s%' }],
            ['redis://:p%C3%A4ss@one', { host: 'one', password: 'päss' }],
            ['redis://127.0.0.1:7000', { host: '127.0.0.1', port: 7000 }],
            ['redis://[::1]:7000/1', { host: '::1', port: 7000, db: 1 }],
            ['redis://[2001:db8::7]', { host: '2001:db8::7', port: 6379 }],
            ['unix:/run/redis.sock', { path: '/run/redis.sock' }],
            ['unix:///run/redis.sock', { path: '/run/redis.sock' }],
            ['unix:/run/my%20redis.sock', { path: '/run/my redis.sock' }],
            ['unix:/run/redis.sock?db=2', { path: '/run/redis.sock', db: 2 }],
        ];
        for (const [uri, { secure, ...expected }] of valid) {
            test(`${uri} is understood`, async () => {
                const made = await optionsOf(uri);
                assert.deepInclude(made, expected);
                if (secure !== undefined) assert.strictEqual(made.tls !== undefined, secure);
            });
        }

        const invalid = [
            'http://one:7000',
            'one:7000',
            'redis:one',
            'redis://',
            'redis://one:port',
            'redis://one:70000',
            'redis://one:0',
            'redis://one/first',
            'redis://one/-1',
            'redis://one/1/2',
            'redis://one/1000001',
            'unix:run/redis.sock',
            'unix:/run/redis.sock?db=two',
            'unix:/run/redis.sock?database=2',
            'unix:',
            'unix:/run/%zz.sock',
        ];
        for (const uri of invalid) {
            test(`${uri} is refused`, async () => {
                await refusal(() => optionsOf(uri), 'connection.uri');
            });
        }

        const secrets = [
            'http://user:S3CRET@one',
            'redis://user:S3CRET@',
            'redis://user:S3CRET@one:port',
            'redis://user:S3CRET@one/first',
            'redis://user:S3CRET%zz@one',
            'redis://user:S3CRET%@one',
            'redis://S3CRET%zz:x@one',
            // Slashes, question marks and hashes in a password ought to be written as %2F, %3F, %23.
            'redis://user:7/S3CRET@one:7000/0',
            'redis://user:/S3CRET@one:7000/0',
            'redis://user:S3CRET/7@one:7000/0',
            'redis://user:S3CRET?7@one:7000/0',
            'redis://user:S3CRET#7@one:7000/0',
            'redis://user:7?S3CRET@one:7000/0',
            'redis://user:7#S3CRET@one:7000/0',
        ];
        for (const uri of secrets) {
            test(`${uri} is refused by an error without its password`, async () => {
                const error = await refusal(() => optionsOf(uri), 'connection.uri');
                assert.notInclude(saidBy(error), 'S3CRET');
            });
        }

        test('its database is the one to use, whatever options.db_num says', async () => {
            assert.strictEqual((await optionsOf('redis://one/5', { 'options.db_num': 3 })).db, 5);
            assert.strictEqual((await optionsOf('redis://one', { 'options.db_num': 3 })).db, 3);
        });
    });

    suite('credentials', () => {
        const host = { 'connection.host': 'one' };

        test('are the username and password given', async () => {
            const made = await options({ ...host, 'credential.username': 'user', 'credential.password': 'pass' });
            assert.deepInclude(made, { username: 'user', password: 'pass' });
        });

        test('are the password alone for a server with requirepass', async () => {
            const { username, password } = await options({ ...host, 'credential.password': 'pass' });
            assert.strictEqual(password, 'pass');
            assert.isNotOk(username);
        });

        test('are taken before those of the uri', async () => {
            const explicit = { 'credential.username': 'user', 'credential.password': 'pass' };
            const made = await optionsOf('redis://other:word@one', explicit);
            assert.deepInclude(made, { username: 'user', password: 'pass' });
        });

        test('are found below credentials as well', async () => {
            const made = await options({ ...host, 'credentials.0.username': 'user', 'credentials.0.password': 'pass' });
            assert.deepInclude(made, { username: 'user', password: 'pass' });
        });

        test('are none when a template left them empty', async () => {
            const made = await options({ ...host, 'credential.username': '', 'credential.password': '' });
            assert.isNotOk(made.username);
            assert.isNotOk(made.password);
        });

        test('are looked up in a credential store, as YAML configures it', async () => {
            const store = new MemoryCredentialStore(
                ConfigParams.fromTuples('redis.username', 'user', 'redis.password', 'pass', 'other.password', 'word'),
            );
            const given = { references: References.fromTuples(CREDENTIALS, store) };
            const made = await options({ ...host, 'credential.store_key': 'redis' }, given);
            assert.deepInclude(made, { username: 'user', password: 'pass' });
        });

        test('are missing when no store knows the store_key, which is named', async () => {
            const store = new MemoryCredentialStore(ConfigParams.fromTuples('other.password', 'word'));
            const given = { references: References.fromTuples(CREDENTIALS, store), context: 'trace-1' };
            const error = await rejection(
                options({ ...host, 'credential.store_key': 'redis' }, given),
                'NO_CREDENTIAL',
            );
            assert.include(error.message, '"redis"');
            assert.strictEqual(error.trace_id, 'trace-1');
        });

        test('are missing when there is nothing to look up the store_key in', async () => {
            const config = { ...host, 'credential.store_key': 'redis' };
            await rejection(options(config), 'NO_CREDENTIAL');
            await rejection(options(config, { references: References.fromTuples() }), 'REF_ERROR');
        });
    });

    suite('discovery', () => {
        test('gives host and port by the discovery_key', async () => {
            const references = await discovery('redis', ConnectionParams.fromTuples('host', 'found', 'port', 7003));
            const { host, port } = await options({ 'connection.discovery_key': 'redis' }, { references });
            assert.deepEqual([host, port], ['found', 7003]);
        });

        test('gives a uri, read like any other', async () => {
            const references = await discovery('redis', ConnectionParams.fromTuples('uri', 'rediss://u:p@found/4'));
            const made = await options({ 'connection.discovery_key': 'redis' }, { references });
            assert.deepInclude(made, { host: 'found', db: 4, username: 'u', password: 'p' });
            assert.isDefined(made.tls);
        });

        test('wins over what is written beside the discovery_key', async () => {
            const references = await discovery('redis', ConnectionParams.fromTuples('host', 'found'));
            const config = { 'connection.discovery_key': 'redis', 'connection.host': 'one', 'connection.port': 7000 };
            const { host, port } = await options(config, { references });
            assert.deepEqual([host, port], ['found', 7000]);
        });

        for (const context of [Context.fromTraceId('trace-1'), 'trace-1', null, undefined]) {
            test(`works with ${context === undefined ? 'undefined' : JSON.stringify(context)} as context`, async () => {
                const references = await discovery('redis', ConnectionParams.fromTuples('host', 'found'));
                const { host } = await options({ 'connection.discovery_key': 'redis' }, { references, context });
                assert.strictEqual(host, 'found');
            });
        }

        test('that does not know the discovery_key leaves no connection, and the key is named', async () => {
            const references = await discovery('other', ConnectionParams.fromTuples('host', 'found'));
            const looking = options({ 'connection.discovery_key': 'redis' }, { references, context: 'trace-1' });
            const error = await rejection(looking, 'NO_CONNECTION');
            assert.include(error.message, '"redis"');
            assert.strictEqual(error.trace_id, 'trace-1');
        });

        test('that is not among the references is a reference error', async () => {
            const references = References.fromTuples();
            for (const context of [Context.fromTraceId('trace-1'), 'trace-1']) {
                const looking = options({ 'connection.discovery_key': 'redis' }, { references, context });
                assert.strictEqual((await rejection(looking, 'REF_ERROR')).trace_id, 'trace-1');
            }
            await rejection(
                options({ 'connection.discovery_key': 'redis' }, { references, context: null }),
                'REF_ERROR',
            );
        });

        test('without any references leaves no connection', async () => {
            const error = await rejection(options({ 'connection.discovery_key': 'redis' }), 'NO_CONNECTION');
            assert.include(error.message, '"redis"');
        });
    });

    suite('options', () => {
        const host = { 'connection.host': 'one' };

        test('db_num is 0 by default, and a whole number up to a million', async () => {
            assert.strictEqual((await options(host)).db, 0);
            assert.strictEqual((await options({ ...host, 'options.db_num': 1_000_000 })).db, 1_000_000);
            for (const value of ['-1', '1000001', '1.5', 'first']) {
                await refusal(() => options({ ...host, 'options.db_num': value }), 'options.db_num');
            }
        });

        test('connect_timeout bounds one attempt to connect', async () => {
            assert.strictEqual((await options(host)).connectTimeout, 5000);
            assert.strictEqual((await options({ ...host, 'options.connect_timeout': 700 })).connectTimeout, 700);
            for (const value of ['0', '2147483648', '5s']) {
                await refusal(() => options({ ...host, 'options.connect_timeout': value }), 'options.connect_timeout');
            }
        });

        test('tls.ca, tls.cert and tls.key are PEM text, or a file that holds it', async () => {
            const folder = mkdtempSync(join(tmpdir(), 'redis-connector-'));
            const file = join(folder, 'some.pem');
            const text = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';
            writeFileSync(file, text);
            for (const name of ['ca', 'cert', 'key'] as const) {
                for (const value of [text, file]) {
                    const { tls } = await options({ ...host, [`options.tls.${name}`]: value });
                    const read = tls?.[name];
                    assert.strictEqual(Buffer.isBuffer(read) ? read.toString() : read, text);
                    assert.isTrue(tls?.rejectUnauthorized);
                }
            }
            rmSync(folder, { recursive: true });
        });

        test('tls.ca that cannot be read is refused', async () => {
            const error = await refusal(
                () => options({ ...host, 'options.tls.ca': '/nowhere/ca.pem' }),
                'options.tls.ca',
            );
            assert.include(error.message, 'ENOENT');
        });

        test('tls.key that is neither PEM text nor a file is not repeated in the error', async () => {
            const key = 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg';
            const error = await refusal(() => options({ ...host, 'options.tls.key': key }), 'options.tls.key');
            assert.notInclude(saidBy(error), key);
        });

        test('tls.servername and tls.reject_unauthorized are handed on', async () => {
            const { tls } = await options({
                ...host,
                'options.tls.servername': 'redis.example',
                'options.tls.reject_unauthorized': false,
            });
            assert.deepEqual(tls, { servername: 'redis.example', rejectUnauthorized: false });
            const wrong = { ...host, 'options.tls.reject_unauthorized': 'maybe' };
            await refusal(() => options(wrong), 'options.tls.reject_unauthorized');
        });

        test('tls is off without any of them', async () => {
            assert.isUndefined((await options(host)).tls);
        });

        test('are documented, each that is read and no other', async () => {
            const config = new RecordingConfig();
            for (const [name, value] of Object.entries({ ...host, 'options.tls.servername': 'one' }))
                config.put(name, value);
            const connector = new RedisConnector();
            connector.configure(config);
            await connector.connect(null);
            assert.sameMembers([...documentedOptions('connect/RedisConnector.ts').keys()], config.options);
        });
    });
});

/** All that an error tells when it is printed. */
function saidBy(error: Rejection): string {
    return JSON.stringify([error, error.message, error.stack, error.details]);
}
