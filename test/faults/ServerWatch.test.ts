import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import type { RedisLock } from '../../src';
import { openLock } from '../fixtures/Locks';
import { RedisServer } from '../fixtures/RedisServer';
import { ServerCommands } from '../fixtures/ServerCommands';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import { History, readHistory } from './History';
import { ServerWatch } from './ServerWatch';

suite("The watch for everybody's holder id", function () {
    this.timeout(20_000);

    let folder: string;
    let server: RedisServer;
    let redis: ServerCommands;
    let history: History;
    let lock: RedisLock;
    let watch: ServerWatch | undefined;

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        folder = mkdtempSync(join(tmpdir(), 'server-watch-'));
        server = await RedisServer.start();
        redis = new ServerCommands(server);
        history = new History(join(folder, 'history.jsonl'), 'lab');
        lock = await openLock(server, {});
    });
    teardown(async () => {
        watch?.[Symbol.dispose]();
        await lock.close(null);
        await redis[Symbol.asyncDispose]();
        history[Symbol.dispose]();
        await server.stop();
        rmSync(folder, { recursive: true });
    });

    async function begin(): Promise<ServerWatch> {
        watch = new ServerWatch(server, 'key:', history);
        await until(async () => /^.*\bcmd=monitor\b/m.test(String(await redis.client.call('CLIENT', 'LIST'))), 10_000);
        return watch;
    }

    /** So that all that was done before has been seen. */
    async function seen(): Promise<void> {
        await lock.acquire(null, 'key:last');
        await redis.client.eval(`redis.call('DEL', KEYS[1])`, 1, 'key:last');
        await until(() => removed().includes('key:last'), 10_000);
    }

    function removed(): string[] {
        return readHistory(join(folder, 'history.jsonl')).flatMap((event) =>
            event.operation === 'removed' ? [event.key] : [],
        );
    }

    test('tells of one that is removed by somebody else, also when it was taken before', async () => {
        await begin();
        await lock.acquire(null, 'key:1');
        await redis.client.eval(`redis.call('DEL', KEYS[1])`, 1, 'key:1');
        await seen();
        assert.deepEqual(removed(), ['key:1', 'key:last']);
    });

    test('tells of no release, of no hand-off, and of nobody who tried in vain', async () => {
        // Of what was there before it came it knows nothing.
        const first = await lock.acquire(null, 'key:1');
        await begin();
        assert.isNull(await lock.tryAcquire(null, 'key:1'));
        const second = lock.acquire(null, 'key:1', { timeout: 5000 });
        await until(async () => (await lock.inspect(null, 'key:1')).waiters.length === 1);
        await first.release();
        await (await second).release();
        await (await lock.acquire(null, 'key:1')).release();
        await seen();
        assert.deepEqual(removed(), ['key:last']);
    });

    /** As another edition asks, with a token of its own. */
    const ask = async (token: string): Promise<unknown> => redis.client.set('key:1', token, 'PX', 20_000, 'NX');

    test('does not believe another edition that asks for a key of which it knows nothing', async () => {
        const lease = await lock.acquire(null, 'key:1');
        await begin();
        assert.isNull(await ask('foreign'));
        await lease.release();
        await seen();
        assert.deepEqual(removed(), ['key:last']);
    });

    test('tells of another edition that had the key, where it was seen free', async () => {
        await begin();
        await (await lock.acquire(null, 'key:1')).release();
        assert.strictEqual(await ask('foreign'), 'OK');
        await redis.client.eval(`redis.call('DEL', KEYS[1])`, 1, 'key:1');
        await seen();
        assert.deepEqual(removed(), ['key:1', 'key:last']);
    });

    test('knows all keys to be free after a FLUSHALL', async () => {
        await begin();
        await redis.client.flushall();
        assert.strictEqual(await ask('foreign'), 'OK');
        await redis.client.eval(`redis.call('DEL', KEYS[1])`, 1, 'key:1');
        await seen();
        assert.deepEqual(removed(), ['key:1', 'key:last']);
    });
});
