import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { ConfigParams } from 'pip-services4-components-node';
import { YamlConfigReader } from 'pip-services4-config-node';
import { RedisLock } from '../../src';
import { RedisConnector } from '../../src/connect/RedisConnector';
import { OPTIONS } from '../../src/connect/names';
import { LockSettings } from '../../src/lock/LockSettings';
import { RecordingConfig } from './RecordingConfig';
import { refusal } from './refusal';

const ROOT = join(__dirname, '..', '..', '..');

function configure(...tuples: unknown[]): void {
    new RedisLock().configure(ConfigParams.fromTuples(...tuples));
}

suite('The names in a configuration', () => {
    for (const [given, meant] of [
        ['options.retry_timout', 'options.retry_timeout'],
        ['options.retryTimeout', 'options.retry_timeout'],
        // The toolkit's own lock has it.
        ['options.timeout', 'options.retry_timeout'],
        ['options.prefix', 'options.key_prefix'],
        ['options.database', 'options.db_num'],
        ['options.tls.rejectUnauthorized', 'options.tls.reject_unauthorized'],
        ['options.ca', 'options.tls.ca'],
        ['options.host', 'connection.host'],
        ['connection.hst', 'connection.host'],
        ['connection.hostname', 'connection.host'],
        ['connection.url', 'connection.uri'],
        ['connection.password', 'credential.password'],
        ['connection.db', 'options.db_num'],
        ['connections.0.prot', 'connection.port'],
        ['connections.0.ttl', 'options.ttl'],
        ['credential.pasword', 'credential.password'],
        ['credentials.0.storeKey', 'credential.store_key'],
        ['sentinel_credential.passwort', 'sentinel_credential.password'],
        ['option.ttl', 'options.ttl'],
        ['Options.ttl', 'options.ttl'],
        ['conection.host', 'connection.host'],
        ['ttl', 'options.ttl'],
        ['retryTimeout', 'options.retry_timeout'],
        ['host', 'connection.host'],
    ] as const) {
        test(`${given} is refused, and ${meant} suggested`, async () => {
            const error = await refusal(() => configure(given, 5), given);
            assert.match(error.message, new RegExp(`Did you mean ${meant.replaceAll('.', '\\.')}\\b.*\\?$`));
        });
    }

    test('below options that are like none are refused, and all are listed', async () => {
        for (const name of ['options.nodes', 'options.ttl.max', 'options.constructor']) {
            const error = await refusal(() => configure(name, 1), name);
            for (const one of name === 'options.ttl.max' ? ['options.ttl'] : OPTIONS)
                assert.include(error.message, one);
        }
    });

    test('that the toolkit and discovery may have of their own are left alone', () => {
        const own = ['descriptor', 'type', 'level', 'dependencies.lock', 'connection.role', 'connections.0.weight'];
        for (const name of [...own, 'credential.access_id', 'sentinel_credential.access_key']) configure(name, 'own');
    });

    test('that the toolkit takes for host, username and password are taken', async () => {
        const connector = new RedisConnector();
        const settings = { 'connection.ip': '10.0.0.7', 'credential.user': 'u', 'credential.pass': 'p' };
        connector.configure(ConfigParams.fromTuples(...Object.entries(settings).flat()));
        const clients = await connector.connect(null);
        if (!('client' in clients)) assert.fail('It is not a single server.');
        assert.deepInclude(clients.client.options, { host: '10.0.0.7', username: 'u', password: 'p' });
    });

    for (const name of ['connection', 'connections', 'connections.0', 'connections.host', 'credential', 'options']) {
        test(`${name} is refused as a value, which is not repeated`, async () => {
            const error = await refusal(() => configure(name, 'redis://:S3CRET@host'), name);
            assert.notInclude(error.message, 'S3CRET');
            assert.include(error.message, 'section');
        });
    }

    test('of a section may be empty, as a template leaves it, but not of an entry of several', async () => {
        for (const name of ['connection', 'connections', 'credential', 'sentinel_credential', 'options'])
            for (const empty of [null, '']) configure(name, empty);
        await refusal(() => configure('connections.0', null), 'connections.0');
    });

    test('are those of ConfigParams: a plain object is refused with the way to make them', async () => {
        for (const plain of [{ connection: { host: 'one' } }, 'host=one', null, undefined]) {
            for (const component of [new RedisLock(), new RedisConnector()] as { configure(config: unknown): void }[]) {
                const error = await refusal(() => component.configure(plain), 'config');
                assert.include(error.message, 'ConfigParams.fromValue');
            }
        }
    });

    test('of options are those that are read', () => {
        const config = new RecordingConfig();
        config.put('options.tls.servername', 'one');
        new RedisConnector().configure(config);
        assert.instanceOf(new LockSettings(config), LockSettings);
        assert.sameMembers(config.options, [...OPTIONS]);
    });

    for (const file of ['all', 'report', 'config', 'jobs', 'secure', 'sentinel', 'cluster', 'quorum']) {
        test(`of config/${file}.yml are all known`, () => {
            const environment = [...readFileSync(join(ROOT, 'config', `${file}.yml`), 'utf8').matchAll(/\bREDIS_\w+/g)];
            const parameters = ConfigParams.fromTuples(...environment.flatMap(([name]) => [name, '1']));
            const config = YamlConfigReader.readConfig(
                { get: () => null },
                join(ROOT, `config/${file}.yml`),
                parameters,
            );
            const sections = config.getSectionNames().map((name) => config.getSection(name));
            const locks = sections.filter((one) => one.getAsString('descriptor').includes(':lock:redis:'));
            assert.lengthOf(locks, 1);
            for (const one of locks) {
                one.remove('options.tls.ca');
                one.remove('options.tls.cert');
                one.remove('options.tls.key');
                new RedisLock().configure(one);
            }
        });
    }
});
