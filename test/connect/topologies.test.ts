import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { Context, Descriptor, References } from 'pip-services4-components-node';
import { ConnectionParams, MemoryCredentialStore, MemoryDiscovery } from 'pip-services4-config-node';
import { RedisConnector } from '../../src/connect/RedisConnector';
import type { RedisClients } from '../../src/connect/serverClients';
import { rejection } from '../fixtures/rejection';
import { configOf } from '../lock/lockOf';
import type { Settings } from '../lock/lockOf';
import { refusal } from './refusal';

const DISCOVERY = new Descriptor('pip-services', 'discovery', 'memory', 'default', '1.0');
const CREDENTIALS = new Descriptor('pip-services', 'credential-store', 'memory', 'default', '1.0');

const SENTINEL = { 'options.topology': 'sentinel', 'options.sentinel_name': 'main' };
const CLUSTER = { 'options.topology': 'cluster' };
const QUORUM = { 'options.topology': 'quorum' };

async function clients(settings: Settings, references?: References): Promise<RedisClients> {
    const connector = new RedisConnector();
    connector.configure(configOf(settings));
    if (references !== undefined) connector.setReferences(references);
    return connector.connect(null);
}

/** The client of one server, which Sentinels may find. */
async function clientFor(settings: Settings, references?: References): Promise<Redis> {
    const made = await clients(settings, references);
    if (!('client' in made)) assert.fail(`It is a ${made.topology}`);
    return made.client;
}

async function cluster(
    settings: Settings,
    references?: References,
): Promise<Extract<RedisClients, { topology: 'cluster' }>> {
    const made = await clients({ ...CLUSTER, ...settings }, references);
    if (made.topology !== 'cluster') assert.fail(`It is a ${made.topology}`);
    return made;
}

function connections(...uris: string[]): Settings {
    return Object.fromEntries(uris.map((uri, at) => [`connections.${at}.uri`, uri]));
}

suite('Several connections', () => {
    test('need a topology: the error explains the choice', async () => {
        const error = await rejection(clients(connections('redis://one', 'redis://two')), 'BAD_OPTION');
        for (const word of ['options.topology', 'sentinel', 'cluster', 'quorum', 'single'])
            assert.include(error.message, word);
        await rejection(
            clients({ ...connections('redis://one', 'redis://two'), 'options.topology': 'single' }),
            'BAD_OPTION',
        );
        await refusal(() => clients({ 'connection.host': 'one', 'options.topology': 'ring' }), 'options.topology');
    });

    test('may be one entry of discovery that has several addresses', async () => {
        const memory = new MemoryDiscovery();
        for (const host of ['one', 'two']) {
            await memory.register(new Context(), 'redis', ConnectionParams.fromTuples('host', host, 'port', 7000));
        }
        const references = References.fromTuples(DISCOVERY, memory);
        const { seeds } = await cluster({ 'connection.discovery_key': 'redis' }, references);
        assert.deepEqual(seeds, [
            { host: 'one', port: 7000 },
            { host: 'two', port: 7000 },
        ]);
        await rejection(clients({ 'connection.discovery_key': 'redis' }, references), 'BAD_OPTION');
    });

    test('may be found partly by discovery, and partly be given', async () => {
        const memory = new MemoryDiscovery();
        await memory.register(new Context(), 'second', ConnectionParams.fromTuples('host', 'two'));
        const settings = { 'connections.0.host': 'one', 'connections.1.discovery_key': 'second' };
        const { seeds } = await cluster(settings, References.fromTuples(DISCOVERY, memory));
        assert.deepEqual(
            seeds.map(({ host }) => host),
            ['one', 'two'],
        );
    });

    test('are all found, or the missing one is named', async () => {
        const memory = new MemoryDiscovery();
        await memory.register(new Context(), 'first', ConnectionParams.fromTuples('host', 'one'));
        const settings = { ...QUORUM, 'connections.0.discovery_key': 'first', 'connections.1.discovery_key': 'second' };
        const error = await rejection(clients(settings, References.fromTuples(DISCOVERY, memory)), 'NO_CONNECTION');
        assert.include(error.message, '"second"');
    });

    suite('with topology sentinel', () => {
        test('are the Sentinels; the credentials are those of the servers', async () => {
            const { options } = await clientFor({
                ...SENTINEL,
                ...connections('redis://one', 'redis://two:26380'),
                'credential.username': 'user',
                'credential.password': 'pass',
                'options.db_num': 2,
            });
            assert.deepEqual(options.sentinels, [
                { host: 'one', port: 26_379 },
                { host: 'two', port: 26_380 },
            ]);
            const { name, username, password, db, sentinelUsername, sentinelPassword, tls } = options;
            assert.deepEqual([name, username, password, db], ['main', 'user', 'pass', 2]);
            assert.deepEqual([sentinelUsername, sentinelPassword, tls].filter(Boolean), []);
        });

        test('have credentials of their own, in the uri, or in the configuration, which goes before it', async () => {
            const { options } = await clientFor({ ...SENTINEL, ...connections('redis://watch:men@one') });
            assert.deepEqual([options.sentinelUsername, options.sentinelPassword], ['watch', 'men']);
            assert.isNotOk(options.password);
            const other = await clientFor({
                ...SENTINEL,
                ...connections('redis://watch:men@one'),
                'sentinel_credential.password': 'dog',
            });
            assert.strictEqual(other.options.sentinelPassword, 'dog');
        });

        test('find their credentials in a credential store', async () => {
            const store = new MemoryCredentialStore(
                configOf({ 'sentinels.password': 'dog', 'servers.password': 'cat' }),
            );
            const settings = { ...SENTINEL, 'connection.host': 'one', 'sentinel_credential.store_key': 'sentinels' };
            const references = References.fromTuples(CREDENTIALS, store);
            const { options } = await clientFor({ ...settings, 'credential.store_key': 'servers' }, references);
            assert.deepEqual([options.sentinelPassword, options.password], ['dog', 'cat']);
            const unknown = clientFor({ ...settings, 'sentinel_credential.store_key': 'nobody' }, references);
            assert.include((await rejection(unknown, 'NO_CREDENTIAL')).message, 'nobody');
        });

        test('speak TLS as the servers do', async () => {
            const { options } = await clientFor({
                ...SENTINEL,
                ...connections('rediss://one'),
                'options.tls.servername': 's',
            });
            assert.include(options.tls, { servername: 's' });
            assert.include(options.sentinelTLS, { servername: 's' });
            assert.isTrue(options.enableTLSForSentinelMode);
        });

        test('need the name of the master, which is for nothing else', async () => {
            await refusal(
                () => clients({ 'options.topology': 'sentinel', 'connection.host': 'one' }),
                'options.sentinel_name',
            );
            await refusal(
                () => clients({ 'options.sentinel_name': 'main', 'connection.host': 'one' }),
                'options.sentinel_name',
            );
        });
    });

    suite('with topology cluster', () => {
        test('are seeds, and lead to clients for every server, with the same credentials and TLS', async () => {
            const { seeds, connect } = await cluster(connections('rediss://user:pass@one:7001', 'rediss://two:7002'));
            assert.deepEqual(seeds, [
                { host: 'one', port: 7001 },
                { host: 'two', port: 7002 },
            ]);
            const { host, port, username, password, tls, db } = connect({ host: 'three', port: 7003 }).options;
            assert.deepEqual([host, port, username, password, db], ['three', 7003, 'user', 'pass', 0]);
            assert.isOk(tls);
        });

        test('have no database but 0, and no Unix sockets', async () => {
            await refusal(() => cluster({ 'connection.host': 'one', 'options.db_num': 1 }), 'options.db_num');
            await refusal(() => cluster(connections('redis://one/1')), 'connection.uri');
            await refusal(() => cluster({ 'connection.path': '/run/redis.sock' }), 'connection.path');
        });
    });

    suite('with topology quorum', () => {
        test('lead to a client each', async () => {
            const made = await clients({ ...QUORUM, ...connections('redis://one', 'redis://two', 'unix:/run/three') });
            if (made.topology !== 'quorum') assert.fail(`It is a ${made.topology}`);
            assert.deepEqual(
                made.clients.map(({ options }) => options.path ?? options.host),
                ['one', 'two', '/run/three'],
            );
        });

        test('are independent: none is named twice', async () => {
            await refusal(
                () => clients({ ...QUORUM, ...connections('redis://one', 'redis://two', 'redis://one') }),
                'connections',
            );
        });
    });
});
