import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { ConfigParams } from 'pip-services4-components-node';
import { RedisLock } from '../../src';
import { Locks } from '../fixtures/Locks';
import { RedisServer } from '../fixtures/RedisServer';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { callApi, job, nightlyReport, readersAndWriter, writeAndCheck } from './sharing';

suite('The recipes of sharing', () => {
    let server: RedisServer;
    let uri: string;
    let lock: RedisLock;

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        server = await RedisServer.start();
        uri = `redis://${server.host}:${server.port}`;
        lock = new RedisLock();
        lock.configure(ConfigParams.fromTuples('connection.uri', uri));
        await lock.open(null);
    });
    teardown(async () => {
        await lock.close(null);
        await server.stop();
    });

    test('let readers read what the writer wrote', async () => {
        assert.deepEqual(await readersAndWriter(uri), ['old', 'old', 'new']);
    });

    test('let readers in while the writer checks', async () => {
        await writeAndCheck(
            lock,
            async () => assert.isNull(await lock.tryAcquire(null, 'config', { mode: 'shared' })),
            async () => {
                const reader = await lock.tryAcquire(null, 'config', { mode: 'shared' });
                assert.isTrue(await reader?.release());
            },
        );
    });

    test('run at most five jobs at a time, of which a large one counts as two', async () => {
        let running = 0;
        let most = 0;
        await Promise.all(
            Array.from({ length: 20 }, (_, at) =>
                job(lock, at % 3 === 0, async () => {
                    const weight = at % 3 === 0 ? 2 : 1;
                    running += weight;
                    most = Math.max(most, running);
                    await sleep(5);
                    running -= weight;
                }),
            ),
        );
        assert.strictEqual(most, 5);
    });

    test('begin at most ten calls a second', async () => {
        const began: number[] = [];
        const start = performance.now();
        const call = (): Promise<void> => Promise.resolve(void began.push(performance.now() - start));
        await Promise.all(Array.from({ length: 11 }, () => callApi(lock, call)));
        // The eleventh had to wait for a permit of the first ten. (The server counts in whole ms.)
        assert.isAtLeast(began[10] ?? 0, 998);
    });

    test('make a report once, though two hosts want to make it one after the other', async () => {
        let made = 0;
        const report = (): Promise<void> => Promise.resolve(void (made += 1));
        await using locks = new Locks(server);
        const other = await locks.open();
        assert.isTrue(await nightlyReport(lock, report));
        assert.isFalse(await nightlyReport(other, report));
        assert.strictEqual(made, 1);
    });
});
