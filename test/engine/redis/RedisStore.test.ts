import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { SystemClock } from '../../../src/engine/time/Clock';
import type { Clock } from '../../../src/engine/time/Clock';
import { READER, promised } from '../../../src/engine/port/LockStore';
import type { AcquireAnswer, Granted, ReleaseAnswer, StoreListener } from '../../../src/engine/port/LockStore';
import { newId } from '../../../src/engine/port/holder';
import { SingleServer } from '../../../src/engine/redis/servers/SingleServer';
import type { SingleServerOptions } from '../../../src/engine/redis/servers/SingleServer';
import { RedisStore } from '../../../src/engine/redis/RedisStore';
import type { RedisStoreOptions } from '../../../src/engine/redis/RedisStore';
import { keysOf } from '../../../src/engine/redis/slots';
import { acquireFrom, releaseTo } from '../../fixtures/asks';
import { rejection } from '../../fixtures/rejection';
import { givenServer, sharedServer } from '../../fixtures/sharedServer';
import { until } from '../../fixtures/until';
import { clientOf, ended, ownClient } from '../clientOf';
import { storeContract } from '../port/storeContract';
import type { StoreWorld } from '../port/storeContract';

type Options = Partial<SingleServerOptions & RedisStoreOptions>;

/** A store on one server. */
function storeOf(client: Redis, options: Options = {}, clock: Clock = new SystemClock()): RedisStore {
    const server: SingleServerOptions = { connectTimeout: 5000, commandTimeout: 5000, wait: 'auto', ...options };
    return new RedisStore(new SingleServer(client, server, clock), { keyPrefix: '', ...options });
}

/** The stores on the shared server, as options and protocol say. */
async function world(options: Options, protocol: 2 | 3): Promise<StoreWorld> {
    const server = await sharedServer();
    const clock = new SystemClock();
    const raw = await ownClient(server);
    const prefix = options.keyPrefix ?? '';
    return {
        clock,
        store: () => storeOf(clientOf(server, { protocol }), options, clock),
        pass: sleep,
        set: async (key, value, ttl) => {
            if (ttl === Infinity) await raw.set(prefix + key, value);
            else await raw.set(prefix + key, value, 'PX', ttl);
        },
        delete: async (key) => {
            await raw.del(prefix + key);
        },
        get: async (key) => (await raw.get(prefix + key)) ?? undefined,
        close: () => ended(raw),
    };
}

const WOKEN = { wakes: true, watches: true };
storeContract('RedisStore with RESP3', WOKEN, () => world({}, 3));
storeContract('RedisStore with RESP2', WOKEN, () => world({}, 2));
storeContract('RedisStore with a key prefix', WOKEN, () => world({ keyPrefix: 'pre{fix}:' }, 3));
storeContract('RedisStore that polls', { wakes: false, watches: true }, () => world({ wait: 'poll' }, 3));

suite('RedisStore', () => {
    let raw: Redis;
    let store: RedisStore;
    let key: string;
    let told: string[];
    const more: RedisStore[] = [];

    const listener: StoreListener = {
        granted: (_key, id) => told.push(`granted ${id}`),
        woken: (_key, id) => told.push(`woken ${id}`),
        first: (_key, id) => told.push(`first ${id}`),
        handedOn: (_key, window) => told.push(`handed on ${window}`),
        changed: () => told.push('changed'),
        reconnected: () => told.push('reconnected'),
        disconnected: () => told.push('disconnected'),
        recovered: () => undefined,
        warned: (message) => told.push(message),
    };

    setup(async () => {
        raw = await ownClient(await sharedServer());
        key = `store:${randomUUID()}`;
        told = [];
        store = await storeWith();
    });

    teardown(async () => {
        await Promise.all(more.splice(0).map((one) => one.close()));
        await ended(raw);
    });

    async function storeWith(options: Options = {}): Promise<RedisStore> {
        const one = storeOf(clientOf(await sharedServer()), options);
        more.push(one);
        await one.open(listener);
        return one;
    }

    /** Acquires with a new id. */
    function acquire(of = key, ticket?: number, id = newId()): Promise<AcquireAnswer> {
        return acquireFrom(store, { key: of, id, ttl: 20_000, ticket });
    }

    async function granted(answer: Promise<AcquireAnswer>): Promise<Granted> {
        const settled = await answer;
        if (settled.kind !== 'granted') assert.fail(settled.kind);
        return settled;
    }

    /** How often the command was called so far. */
    async function calls(command: string): Promise<number> {
        const stats = await raw.info('commandstats');
        return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
    }

    suite('a list of steps', () => {
        suiteSetup(function () {
            // Others use somebody else's server at the same time, and so its counts.
            if (givenServer() !== null) this.skip();
        });

        test('goes out as a few commands', async () => {
            await acquire(`${key}:first`);
            const before = await calls('evalsha');
            const leases = await Promise.all(Array.from({ length: 100 }, (_, at) => granted(acquire(`${key}:${at}`))));
            assert.isAtMost((await calls('evalsha')) - before, 100 / 10);
            await Promise.all(leases.map(({ holder }, at) => releaseTo(store, `${key}:${at}`, holder)));
            assert.isAtMost((await calls('evalsha')) - before, 200 / 10);
        });

        test('goes out as one command, which reads the time and writes the clock once, when it is short', async () => {
            await acquire(`${key}:first`);
            const before = await Promise.all(['evalsha', 'time', 'set'].map(calls));
            await Promise.all(Array.from({ length: 5 }, (_, at) => acquire(`${key}:${at}`)));
            const after = await Promise.all(['evalsha', 'time', 'set'].map(calls));
            assert.deepEqual(
                after.map((count, at) => count - (before[at] ?? 0)),
                [1, 1, 1 + 5],
            );
        });

        test('holds the releases before the acquires of the same turn', async () => {
            const { holder } = await granted(acquire());
            // While callers are answered, commands go out as they are asked for.
            await new Promise((resolve) => setImmediate(resolve));
            const [answer, released] = await Promise.all([acquire(), releaseTo(store, key, holder)]);
            assert.strictEqual(released, 'released');
            assert.strictEqual(answer.kind, 'granted');
        });

        test('answers each by itself when one key holds no string', async () => {
            await raw.lpush(`${key}:7`, 'not a lock');
            const keys = Array.from({ length: 40 }, (_, at) => `${key}:${at}`);
            const outcomes = await Promise.allSettled(keys.map((one) => acquire(one)));
            for (const [at, outcome] of outcomes.entries()) {
                assert.strictEqual(outcome.status, at === 7 ? 'rejected' : 'fulfilled');
                if (at !== 7) assert.strictEqual(await raw.type(`${key}:${at}`), 'string');
            }
            const error = await rejection(acquire(`${key}:7`), 'WRONG_TYPE');
            assert.deepInclude({ ...error }, { key: `${key}:7`, unknown: false });
            assert.strictEqual(await raw.type(`${key}:7`), 'list');
        });

        test('survives that the server forgets its scripts', async () => {
            const { holder } = await granted(acquire());
            await raw.script('FLUSH');
            assert.strictEqual((await acquire(key, 0)).kind, 'busy');
            await raw.script('FLUSH');
            const keys = Array.from({ length: 40 }, (_, at) => `${key}:${at}`);
            const answers = await Promise.all(keys.map((one) => acquire(one)));
            assert.isTrue(answers.every(({ kind }) => kind === 'granted'));
            await raw.script('FLUSH');
            assert.strictEqual(await releaseTo(store, key, holder), 'released');
        });
    });

    suite('the commands of a key', () => {
        suiteSetup(function () {
            if (givenServer() !== null) this.skip();
        });

        async function sent<T>(work: () => Promise<T>): Promise<[number, T]> {
            const before = await calls('evalsha');
            const result = await work();
            return [(await calls('evalsha')) - before, result];
        }

        test('are one to acquire and one to release it, when it is free', async () => {
            await releaseTo(store, key, (await granted(acquire())).holder);
            const [acquired, { holder }] = await sent(() => granted(acquire(key, 0)));
            const [released] = await sent(() => releaseTo(store, key, holder));
            assert.deepEqual([acquired, released], [1, 1]);
        });

        test('are one to try it, when somebody has it', async () => {
            await acquire();
            const [tried] = await sent(() => acquire());
            assert.strictEqual(tried, 1);
        });

        test('are one for each step, once somebody was seen to wait, and the short ones again when nobody does', async () => {
            const { holder } = await granted(acquire());
            const id = newId();
            const [first] = await sent(() => acquire(key, 0, id));
            const [release] = await sent(() => releaseTo(store, key, holder));
            const [claim, lease] = await sent(() => granted(acquire(key, 1, id)));
            const [last] = await sent(() => releaseTo(store, key, lease.holder));
            assert.deepEqual([first, release, claim, last], [2, 1, 1, 1]);
            const queued = await calls('zrangebyscore');
            await releaseTo(store, key, (await granted(acquire(key, 0))).holder);
            assert.strictEqual(await calls('zrangebyscore'), queued, 'a command for those who wait');
        });

        test('are one to share it, one to renew and one to release a share, when nobody waits', async () => {
            const shared = { key, ttl: 20_000, ticket: 0, share: READER };
            const share = (): Promise<AcquireAnswer> => acquireFrom(store, { ...shared, id: newId() });
            const { holder: first } = await granted(share());
            const [acquired, { holder }] = await sent(() => granted(share()));
            const [renewed] = await sent(() => store.renew(key, holder, 20_000, true));
            const release = (): Promise<ReleaseAnswer> =>
                promised((callback) => store.release({ key, holder, shared: true }, callback));
            const [released] = await sent(release);
            assert.deepEqual([acquired, renewed, released], [1, 1, 1]);
            await releaseTo(store, key, first);
        });

        test('are one for each reader that goes while others stay and one waits to have it alone', async () => {
            const shared = { key, ttl: 20_000, ticket: 0, share: READER };
            const readers = await Promise.all(
                [1, 2, 3, 4].map(() => granted(acquireFrom(store, { ...shared, id: newId() }))),
            );
            await acquire(key, 0);
            for (const { holder } of readers) {
                const release = (): Promise<ReleaseAnswer> =>
                    promised((callback) => store.release({ key, holder, shared: true }, callback));
                assert.deepEqual(await sent(release), [1, 'released']);
            }
            assert.notStrictEqual((await store.inspect(key)).mode, 'shared');
        });
    });

    test('leaves nothing but the clock of a hundred keys that were locked', async () => {
        const keys = Array.from({ length: 100 }, (_, at) => `${key}:${at}`);
        const leases = await Promise.all(keys.map((one) => granted(acquire(one))));
        await Promise.all(keys.map((one, at) => releaseTo(store, one, leases[at]?.holder ?? '')));
        assert.deepEqual(await raw.keys(`*${key}*`), []);
    });

    test('refuses keys that begin as its own do', async () => {
        for (const one of ['redis-lock:clock', `redis-lock:{${key}}:q`]) await rejection(acquire(one), 'BAD_KEY');
        const prefixed = await storeWith({ keyPrefix: 'redis-' });
        const asked = acquireFrom(prefixed, { key: 'lock:clock', id: newId(), ttl: 1000, ticket: undefined });
        await rejection(asked, 'BAD_KEY');
    });

    test('keeps a lock apart from one whose key is named like a side key of an older protocol', async () => {
        const { holder } = await granted(acquire());
        for (const one of [`{${key}}:q`, `{${key}}:w`]) await granted(acquire(one));
        assert.deepInclude(await acquire(key, 0), { kind: 'busy', holder, rank: 0 });
    });

    test('gives each key the prefix, and speaks of keys without it', async () => {
        const prefixed = await storeWith({ keyPrefix: `${key}:` });
        const request = { id: newId(), ttl: 20_000, ticket: undefined };
        const { holder } = await granted(acquireFrom(prefixed, { ...request, key: 'k' }));
        assert.strictEqual(await raw.get(`${key}:k`), holder);
        await raw.lpush(`${key}:list`, 'not a lock');
        const wrong = acquireFrom(prefixed, { ...request, key: 'list' });
        assert.deepInclude({ ...(await rejection(wrong, 'WRONG_TYPE')) }, { key: 'list' });
    });

    test('keeps stores with different prefixes apart', async () => {
        const one = await storeWith({ keyPrefix: `${key}:one:` });
        const two = await storeWith({ keyPrefix: `${key}:two:` });
        const request = { key: 'k', ttl: 20_000, ticket: undefined };
        assert.strictEqual((await acquireFrom(one, { ...request, id: newId() })).kind, 'granted');
        assert.strictEqual((await acquireFrom(two, { ...request, id: newId() })).kind, 'granted');
    });

    test('lists the locks with its prefix only, and looks at no more than the beginning of a value', async () => {
        const prefixed = await storeWith({ keyPrefix: `${key}*:` });
        await granted(acquireFrom(prefixed, { key: 'k', id: newId(), ttl: 20_000, ticket: undefined }));
        await acquire(`${key}x:k`);
        await raw.set(`${key}*:large`, 'x'.repeat(1_000_000));
        await raw.set(`${key}*:foreign`, 'foreign', 'PX', 20_000);
        await acquireFrom(prefixed, { key: 'foreign', id: newId(), ttl: 20_000, ticket: 0 });
        const keys: string[] = [];
        for await (const info of prefixed.list('*')) keys.push(info.key);
        assert.deepEqual(keys.sort(), ['foreign', 'k']);
    });

    test('leaves nothing that never expires', async () => {
        const { holder } = await granted(acquire());
        const id = newId();
        await acquire(key, 0);
        await acquire(key, 0, id);
        await store.giveUp({ key, id, underWay: true });
        await releaseTo(store, key, holder);
        for (const one of await raw.keys(`*${key}*`)) assert.isAbove(await raw.pttl(one), 0, one);
        assert.isAbove(await raw.pttl('redis-lock:clock'), 0);
    });

    test('keeps the fences rising when the server lost everything', async () => {
        const before = await granted(acquire());
        await raw.del('redis-lock:clock', ...(await raw.keys(`*${key}*`)));
        const after = await granted(acquire());
        assert.isAbove(after.fence, before.fence);
    });

    suite('as a node of a quorum', () => {
        let node: RedisStore;
        let id: string;

        setup(async () => {
            node = await storeWith({ node: true });
            id = newId();
        });

        const attemptOf = (acquisition: string, number: number): string => acquisition.replace(/:$/, `#${number}:`);

        function attempt(number: number, acquisition = id, ticket: number | undefined = 0): Promise<AcquireAnswer> {
            return acquireFrom(node, { key, id: attemptOf(acquisition, number), ttl: 20_000, ticket });
        }

        test('tells the attempts of an acquisition apart, but for its place in line and its end', async () => {
            const first = await granted(attempt(1));
            const second = await granted(attempt(2));
            assert.isAtLeast(second.fence, first.fence);
            // What takes the first back comes late.
            assert.strictEqual(await node.giveUp({ key, id: attemptOf(id, 1), underWay: false }), 'gone');
            assert.strictEqual(await raw.get(key), second.holder);
            const other = newId();
            assert.deepInclude(await attempt(7, other), { kind: 'busy', rank: 0 });
            await node.giveUp({ key, id: attemptOf(other, 6), underWay: false });
            assert.lengthOf((await node.inspect(key)).waiters, 1);
            assert.strictEqual(await node.giveUp({ key, id, underWay: false }), 'released');
            assert.isTrue((await raw.get(key))?.startsWith(other));
            await node.giveUp({ key, id: other, underWay: false });
            assert.isNull(await raw.get(key));
        });

        test('renews and releases an attempt whatever fence the node gave it', async () => {
            await granted(attempt(1));
            assert.strictEqual((await node.renew(key, attemptOf(id, 2), 20_000)).kind, 'gone');
            assert.strictEqual((await node.renew(key, attemptOf(id, 1), 20_000)).kind, 'renewed');
            assert.strictEqual(await releaseTo(node, key, attemptOf(id, 2)), 'gone');
            assert.strictEqual(await releaseTo(node, key, attemptOf(id, 1)), 'released');
        });

        test('releases whatever attempt of an acquisition, or of an owner, has the key', async () => {
            for (const acquisition of [id, `job#${newId()}`]) {
                for (const contended of [false, true]) {
                    await granted(attempt(3, acquisition));
                    if (contended) await attempt(1, newId());
                    const name = acquisition === id ? id.slice(0, -1) : 'job';
                    assert.strictEqual(await releaseTo(node, key, name.slice(0, -1)), 'gone');
                    assert.strictEqual((await node.renew(key, name, 20_000)).kind, 'renewed');
                    assert.strictEqual(await releaseTo(node, key, name), 'released');
                    await raw.del(keysOf(key)[0], keysOf(key)[1]);
                }
            }
        });

        test('releases what a stranger has as it is only', async () => {
            await raw.set(key, 'stranger');
            assert.strictEqual(await releaseTo(node, key, 'stran'), 'gone');
            assert.strictEqual(await releaseTo(node, key, 'stranger'), 'released');
        });

        test('lets no attempt that arrives late put its name on the vote of a later one', async () => {
            const second = await granted(attempt(2));
            assert.include(await rejection(attempt(1)), { code: 'LOCK_ABORTED' });
            // What takes it back is behind it.
            assert.strictEqual(await node.giveUp({ key, id: attemptOf(id, 1), underWay: false }), 'gone');
            assert.strictEqual(await raw.get(key), second.holder);
        });

        test('leaves what an owner has when an acquisition of it is given up', async () => {
            const acquisition = `job#${newId()}`;
            await granted(attempt(1, acquisition));
            assert.strictEqual(await node.giveUp({ key, id: acquisition, underWay: true }), 'gone');
            assert.include(await rejection(attempt(2, acquisition)), { code: 'LOCK_ABORTED' });
            assert.strictEqual(await node.giveUp({ key, id: attemptOf(acquisition, 1), underWay: false }), 'released');
        });

        test('takes a greater fence only while that attempt has the key', async () => {
            const { fence } = await granted(attempt(1));
            assert.isFalse(await node.raise(key, attemptOf(id, 2), fence + 7_000_000));
            assert.isTrue(await node.raise(key, attemptOf(id, 1), fence + 5_000_000));
            await releaseTo(node, key, attemptOf(id, 1));
            assert.isFalse(await node.raise(key, attemptOf(id, 1), fence + 9_000_000));
            assert.isAbove((await granted(attempt(1, newId()))).fence, fence + 5_000_000);
        });

        test('gives no fence below the hint of a client, unless the hint is far from its time', async () => {
            const micros = async (): Promise<number> => {
                const [seconds, rest] = await raw.time();
                return Number(seconds) * 1_000_000 + Number(rest);
            };
            const fenceBy = async (hint: number): Promise<number> => {
                const hinted = attemptOf(newId(), 1);
                const request = { key: `${key}:${hinted}`, id: hinted, ttl: 20_000, ticket: undefined, hint };
                return (await granted(acquireFrom(node, request))).fence;
            };
            await raw.del('redis-lock:clock');
            const far = (await micros()) + 60_000_000;
            assert.isBelow(await fenceBy(far), far);
            assert.isBelow(await fenceBy(1), far);
            const near = (await micros()) + 900_000;
            const fence = await fenceBy(near);
            if ((await micros()) < near) assert.strictEqual(fence, near);
            else assert.isAtLeast(fence, near);
        });
    });

    test('with a yield leaves the key free now and then, and lets another program in', async () => {
        const yielding = await storeWith({ yielding: { after: 0, pause: 60_000 } });
        const request = (id: string): Parameters<RedisStore['acquire']>[0] => ({ key, id, ttl: 20_000, ticket: 0 });
        const { holder } = await granted(acquireFrom(yielding, request(newId())));
        const id = newId();
        await acquireFrom(yielding, request(id));
        await releaseTo(yielding, key, holder);
        assert.isNull(await raw.get(key), 'left free');
        assert.deepInclude(await acquireFrom(yielding, request(id)), { kind: 'busy', holder: '', foreign: false });
        assert.strictEqual(await raw.set(key, 'stranger', 'PX', 5000, 'NX'), 'OK');
        const answer = await acquireFrom(yielding, request(id));
        assert.deepInclude(answer, { kind: 'busy', holder: 'stranger', foreign: true });
        // The pause is over.
        await raw.del(key);
        await raw.hset(keysOf(key)[2], 'yield', '0');
        assert.strictEqual((await acquireFrom(yielding, request(id))).kind, 'granted');
    });

    test('says that it is closed to whatever is under way', async () => {
        const under = [rejection(acquire()), rejection(releaseTo(store, key, 'b')), rejection(store.inspect(key))];
        await new Promise(setImmediate);
        await store.close();
        for (const error of await Promise.all(under)) assert.include(error, { code: 'CLOSED' });
    });

    test('tells of a flush of the server, so that everybody looks again', async function () {
        // Somebody else's server keeps its data.
        if (givenServer() !== null) this.skip();
        await raw.set(key, 'stranger', 'PX', 20_000);
        assert.isTrue(await store.watch(key, 'stranger'));
        told = [];
        await raw.flushall();
        await until(() => told.includes('reconnected') || told.includes('changed'));
    });
});
