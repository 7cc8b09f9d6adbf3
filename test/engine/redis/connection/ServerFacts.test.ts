import { assert } from 'chai';
import { readFacts, warningsOf } from '../../../../src/engine/redis/connection/ServerFacts';

const INFO = [
    '# Server',
    'redis_version:7.0.15',
    'redis_mode:standalone',
    'run_id:0123456789abcdef0123456789abcdef01234567',
    'uptime_in_seconds:42',
    '# Memory',
    'maxmemory:0',
    'maxmemory_policy:noeviction',
    '# Replication',
    'role:master',
    '',
].join('\r\n');

suite('ServerFacts', () => {
    function warnings(...changes: [from: string, to: string][]): string[] {
        return warningsOf(readFacts(changes.reduce((info, [from, to]) => info.replace(from, to), INFO)));
    }

    test('are read from what a server says', () => {
        assert.deepEqual(readFacts(INFO), {
            runId: '0123456789abcdef0123456789abcdef01234567',
            version: '7.0.15',
            mode: 'standalone',
            role: 'master',
            uptime: 42_000,
            evicts: undefined,
        });
        assert.deepEqual(warnings(), []);
    });

    test('are unknown where nothing is said, and no reason to warn', () => {
        const facts = readFacts('');
        assert.deepEqual(
            Object.values(facts).filter((one) => one !== undefined),
            [],
        );
        assert.deepEqual(warningsOf(facts), []);
    });

    test('tell the version of Valkey, not that of the Redis it stands in for', () => {
        const info = 'redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\nserver_mode:cluster\r\n';
        assert.include(readFacts(info), { version: '8.0.1', mode: 'cluster' });
    });

    for (const policy of ['allkeys-lru', 'volatile-ttl']) {
        test(`warn of the policy ${policy}, where there is a limit`, () => {
            const change: [string, string] = ['maxmemory_policy:noeviction', `maxmemory_policy:${policy}`];
            assert.deepEqual(warnings(change), []);
            assert.match(
                warnings(change, ['maxmemory:0', 'maxmemory:1048576']).join(),
                new RegExp(`may evict.*${policy}`),
            );
        });
    }

    test('warn of a replica', () => {
        for (const role of ['slave', 'replica'])
            assert.match(warnings(['role:master', `role:${role}`]).join(), /replica/);
    });

    test('warn of a version older than 6.2', () => {
        for (const version of ['5.0.14', '6.0.16']) {
            assert.match(warnings(['7.0.15', version]).join(), new RegExp(`${version} is older than 6\\.2`));
        }
        for (const version of ['6.2.0', '10.0.0']) assert.deepEqual(warnings(['7.0.15', version]), []);
    });
});
