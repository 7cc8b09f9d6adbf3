import { randomBytes } from 'node:crypto';
import { assert } from 'chai';
import { Redis } from 'ioredis';
import { Locks } from '../fixtures/Locks';
import { rejection } from '../fixtures/rejection';
import { sharedServer } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import type { RedisLock } from '../../src';

const TTL = 20_000;

/** The lock of another edition of the toolkit: one token per component, the plain key, WATCH to compare and delete. */
class OtherEdition {
    readonly token = randomBytes(16).toString('hex');

    constructor(readonly redis: Redis) {}

    async tryAcquireLock(key: string, ttl: number): Promise<boolean> {
        return (await this.redis.set(key, this.token, 'PX', ttl, 'NX')) === 'OK';
    }

    async releaseLock(key: string): Promise<void> {
        await this.redis.watch(key);
        if ((await this.redis.get(key)) === this.token) await this.redis.multi().del(key).exec();
        else await this.redis.unwatch();
    }
}

/** As the one before, but with a script to compare and delete. */
class ScriptingEdition extends OtherEdition {
    override async releaseLock(key: string): Promise<void> {
        const lua = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
        await this.redis.eval(lua, 1, key, this.token);
    }
}

for (const [name, Edition] of [
    ['WATCH, GET, MULTI, DEL', OtherEdition],
    ['a script', ScriptingEdition],
] as const) {
    suite(`Together with an edition that releases by ${name}`, () => {
        let locks: Locks;
        let ours: RedisLock;
        let theirs: OtherEdition;
        let key: string;
        let counter = 0;

        suiteSetup(async () => {
            const server = await sharedServer();
            locks = new Locks(server);
            ours = await locks.open({ retry_timeout: 20 });
            theirs = new Edition(new Redis(server));
        });
        suiteTeardown(async () => {
            await theirs.redis.quit();
            await locks[Symbol.asyncDispose]();
        });
        setup(() => {
            counter += 1;
            key = `interoperability-${process.pid}-${Edition.name}-${counter}`;
        });
        teardown(() => theirs.redis.del(key));

        test('its lock keeps us out, by every method', async () => {
            assert.isTrue(await theirs.tryAcquireLock(key, TTL));
            assert.isFalse(await ours.tryAcquireLock(null, key, TTL));
            assert.isNull(await ours.tryAcquire(null, key));
            const error = await rejection(ours.acquireLock(null, key, TTL, 150), 'LOCK_TIMEOUT');
            assert.strictEqual(error.details?.getAsString('holder'), theirs.token);
            assert.isAbove(error.details?.getAsInteger('remaining') ?? 0, 1000);
            assert.strictEqual(await theirs.redis.get(key), theirs.token);
        });

        test('our lock keeps it out', async () => {
            assert.isTrue(await ours.tryAcquireLock(null, key, TTL));
            assert.isFalse(await theirs.tryAcquireLock(key, TTL));
            await ours.releaseLock(null, key);
            assert.isTrue(await theirs.tryAcquireLock(key, TTL));
        });

        test('its release frees its lock for us', async () => {
            await theirs.tryAcquireLock(key, TTL);
            await theirs.releaseLock(key);
            assert.isTrue(await ours.tryAcquireLock(null, key, TTL));
        });

        test('its release does not free our lock', async () => {
            await ours.tryAcquireLock(null, key, TTL);
            const holder = await theirs.redis.get(key);
            assert.isString(holder);
            await theirs.releaseLock(key);
            assert.strictEqual(await theirs.redis.get(key), holder);
        });

        test('our release does not free its lock, by whatever method', async () => {
            await theirs.tryAcquireLock(key, TTL);
            await ours.releaseLock(null, key);
            assert.isFalse(await ours.release(null, key, 'somebody else'));
            assert.isFalse(await ours.renew(null, key, 'somebody else', TTL));
            await ours.tryAcquireLock(null, key, TTL);
            await ours.releaseLock(null, key);
            assert.strictEqual(await theirs.redis.get(key), theirs.token);
        });

        test('our late release does not free the lock that it took when ours ran out', async () => {
            await ours.tryAcquireLock(null, key, 200);
            await until(() => theirs.tryAcquireLock(key, TTL));
            await ours.releaseLock(null, key);
            assert.strictEqual(await theirs.redis.get(key), theirs.token);
        });

        test('its late release does not free the lock that we took when its ran out', async () => {
            await theirs.tryAcquireLock(key, 200);
            await ours.acquireLock(null, key, TTL, 3000);
            const holder = await theirs.redis.get(key);
            await theirs.releaseLock(key);
            assert.isString(holder);
            assert.notStrictEqual(holder, theirs.token);
            assert.strictEqual(await theirs.redis.get(key), holder);
        });

        test('we wait for its release', async () => {
            await theirs.tryAcquireLock(key, TTL);
            const waiting = ours.acquireLock(null, key, TTL, 8000);
            await until(async () => (await ours.inspect(null, key)).waiters.length === 1);
            await theirs.releaseLock(key);
            await waiting;
            assert.isFalse(await theirs.tryAcquireLock(key, TTL));
        });

        test('it gets the key by polling when we release it and nobody of us waits', async () => {
            await ours.tryAcquireLock(null, key, TTL);
            const polling = until(() => theirs.tryAcquireLock(key, TTL));
            await ours.releaseLock(null, key);
            await polling;
        });

        test('its lock is shown as it is, without a fence', async () => {
            await theirs.tryAcquireLock(key, TTL);
            const info = await ours.inspect(null, key);
            assert.deepInclude(info, { key, holder: theirs.token, fence: undefined, waiters: [] });
            assert.isTrue(info.remaining > 1000 && info.remaining <= TTL);
        });

        test('fences rise over its locks', async () => {
            const before = await ours.acquire(null, key);
            await before.release();
            await theirs.tryAcquireLock(key, TTL);
            await theirs.releaseLock(key);
            const after = await ours.acquire(null, key);
            assert.isAbove(after.fence, before.fence);
            await after.release();
        });

        test('our lock is a plain string with an expiry under the plain key', async () => {
            await ours.tryAcquireLock(null, key, TTL);
            assert.strictEqual(await theirs.redis.type(key), 'string');
            const left = await theirs.redis.pttl(key);
            assert.isTrue(left > 1000 && left <= TTL);
        });

        test('of many that compete, one at a time is in', async () => {
            let inside = 0;
            let most = 0;
            const visit = async (): Promise<void> => {
                inside += 1;
                most = Math.max(most, inside);
                await new Promise(setImmediate);
                inside -= 1;
            };
            const ourTurns = Array.from({ length: 10 }, () => ours.withLock(null, key, { timeout: 9000 }, visit));
            const theirTurns = async (): Promise<void> => {
                for (let turns = 0; turns < 5; turns++) {
                    await until(() => theirs.tryAcquireLock(key, TTL), 9000);
                    await visit();
                    await theirs.releaseLock(key);
                }
            };
            await Promise.all([...ourTurns, theirTurns()]);
            assert.strictEqual(most, 1);
        });
    });
}
