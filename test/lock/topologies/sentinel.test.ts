import { assert } from 'chai';
import { Descriptor, References } from 'pip-services4-components-node';
import type { RedisLock } from '../../../src';
import { cliContract } from '../../bin/cliContract';
import { Crowd } from '../../fixtures/Crowd';
import { rejection } from '../../fixtures/rejection';
import { SentinelGroup } from '../../fixtures/SentinelGroup';
import { skipWithoutRedis } from '../../fixtures/sharedServer';
import { until } from '../../fixtures/until';
import { lockContract } from '../lockContract';
import { lockFrom } from '../lockFrom';
import { lockOf } from '../lockOf';
import type { Settings } from '../lockOf';

const PASSWORDS = { REDIS_PASS: 'of-the-servers', REDIS_SENTINEL_PASS: 'of-the-sentinels' };

suite('A lock behind Sentinels', function () {
    this.timeout(60_000);
    let group: SentinelGroup;
    let made: RedisLock[];

    suiteSetup(skipWithoutRedis);
    suiteSetup(async () => {
        group = await SentinelGroup.start({
            args: ['--requirepass', PASSWORDS.REDIS_PASS, '--masterauth', PASSWORDS.REDIS_PASS],
            lines: [
                `requirepass ${PASSWORDS.REDIS_SENTINEL_PASS}`,
                `sentinel sentinel-pass ${PASSWORDS.REDIS_SENTINEL_PASS}`,
                `sentinel auth-pass locks ${PASSWORDS.REDIS_PASS}`,
            ],
            password: PASSWORDS.REDIS_PASS,
            sentinelPassword: PASSWORDS.REDIS_SENTINEL_PASS,
        });
    });
    suiteTeardown(async () => {
        await group?.[Symbol.asyncDispose]();
    });
    setup(() => {
        made = [];
    });
    teardown(async () => {
        await Promise.all(made.map((lock) => lock.close(null)));
    });

    function make(settings: Settings = {}, environment: Settings = {}): RedisLock {
        return lockFrom('config/sentinel.yml', { ...known(), ...environment }, settings);
    }

    function known(): Settings {
        const uris = group.sentinels.map(({ host, port }) => `redis://${host}:${port}`);
        const sentinels = Object.fromEntries(uris.map((uri, at) => [`REDIS_SENTINEL_${at + 1}`, uri]));
        return { ...sentinels, ...PASSWORDS, REDIS_SENTINEL_NAME: group.name };
    }

    async function opened(settings: Settings = {}): Promise<RedisLock> {
        const lock = make({ 'options.retry_timeout': 60_000, ...settings });
        made.push(lock);
        await lock.open(null);
        return lock;
    }

    async function refused(code: string, settings: Settings, environment: Settings = {}): Promise<string> {
        const lock = make({ 'options.connect_timeout': 1500, ...settings }, environment);
        made.push(lock);
        return (await rejection(lock.open(null), code)).message;
    }

    lockContract('config/sentinel.yml', (settings) => make(settings));

    cliContract('config/sentinel.yml', known, 1);

    suite('says what is wrong', () => {
        test('when the Sentinels do not know the master', async () => {
            const text = await refused('CONNECTION_FAILED', {}, { REDIS_SENTINEL_NAME: 'nobody' });
            assert.include(text, 'options.sentinel_name');
        });

        test('when the password of the Sentinels is wrong', async () => {
            await refused('WRONG_PASSWORD', {}, { REDIS_SENTINEL_PASS: 'guess' });
        });

        test('when the password of the servers is wrong', async () => {
            await refused('WRONG_PASSWORD', {}, { REDIS_PASS: 'guess' });
        });

        test('when a Sentinel is configured as a single server', async () => {
            const [sentinel] = group.sentinels;
            if (sentinel === undefined) assert.fail();
            const lock = lockOf(sentinel, { 'credential.password': PASSWORDS.REDIS_SENTINEL_PASS });
            made.push(lock);
            const error = await rejection(lock.open(null), 'BAD_OPTION');
            assert.match(error.message, /Sentinel.*options\.topology to sentinel/);
        });
    });

    test('waits for the other Sentinels no longer than it has to when one is frozen', async () => {
        const [first] = group.sentinels;
        first?.freeze();
        try {
            const lock = await opened();
            assert.isTrue(await lock.tryAcquireLock(null, 'frozen', 5000));
        } finally {
            first?.thaw();
        }
    });

    test('tells a caller that connects to a replica that nothing can be locked there', async () => {
        const [replica] = await group.replicas();
        if (replica === undefined) assert.fail();
        const warnings: string[] = [];
        const lock = lockOf(replica, { 'credential.password': PASSWORDS.REDIS_PASS });
        made.push(lock);
        const logger = { warn: (_context: unknown, text: string) => warnings.push(text), debug: () => undefined };
        lock.setReferences(References.fromTuples(new Descriptor('test', 'logger', 'list', 'default', '1.0'), logger));
        await lock.open(null);
        assert.match(warnings.join(), /read-only replica/);
        const error = await rejection(lock.tryAcquireLock(null, 'key', 5000), 'SERVER_REFUSED');
        assert.include(error.message, 'READONLY');
    });

    suite('when the master is killed', () => {
        test('serves every waiter in order, with rising fences, and tells holders of lost leases in time', async function () {
            this.timeout(240_000);
            const locks = await Promise.all(
                Array.from({ length: 4 }, () => opened({ 'options.command_timeout': 60_000 })),
            );
            const [first] = locks;
            if (first === undefined) assert.fail();
            const old = await group.master();
            const ttl = 6000;
            const leases = await Promise.all(
                Array.from({ length: 300 }, (_, at) => first.acquire(null, `lease:${at}`, { ttl, timeout: 10_000 })),
            );
            const crowds = await Promise.all(
                // The key of a crowd must not run out before it starts.
                ['a', 'b', 'c', 'd', 'e'].map((key) => Crowd.gather(locks, key, { count: 40, ttl: 120_000, stay: 2 })),
            );
            // What is not replicated yet when the master dies is lost, which is what acks are for.
            const client = await group.client(old);
            // WAIT waits for the last write of its own connection.
            await client.set('mark', '');
            assert.strictEqual(await client.wait(2, 20_000), 2);
            client.disconnect();
            const before = performance.now();
            await old.kill();
            // Who cannot be told of its turn by the new master yet would lose it.
            const fresh = await group.client(await group.failedOver(old));
            const [, start] = /^run_id:(\w{12})/m.exec(await fresh.info('server')) ?? assert.fail();
            await until(async () => {
                const records = await Promise.all(crowds.map(({ key }) => fresh.hvals(`redis-lock:{${key}}:w`)));
                return records.flat().filter((record) => record.includes(`@${start}:`)).length === 200;
            }, 60_000);
            fresh.disconnect();
            await Promise.all(crowds.map((crowd) => crowd.start()));
            await Promise.all(crowds.map((crowd) => crowd.served(40, 40_000)));
            console.log(
                `      200 waiters served ${Math.round(performance.now() - before)} ms after the kill of the master`,
            );
            for (const crowd of crowds) {
                crowd.resource.check();
                assert.deepEqual(crowd.resource.order, crowd.line);
            }
            const lost = leases.filter((lease) => !lease.isHeld()).length;
            console.log(`      ${lost} of ${leases.length} leases lost`);
            const after = await Promise.all(leases.filter((one) => one.isHeld()).map((lease) => lease.release()));
            assert.isTrue(after.every(Boolean));
            await until(() => leases.every((lease) => !lease.isHeld()));
            await old.restart();
        });
    });
});
