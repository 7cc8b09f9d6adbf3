import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { Redis as Client } from 'ioredis';
import type { Redis } from 'ioredis';
import { SystemClock } from '../../../src/engine/time/Clock';
import type { Clock } from '../../../src/engine/time/Clock';
import type { AcquireAnswer, StoreListener } from '../../../src/engine/port/LockStore';
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

    function acquire(holder: string, of = key, ticket?: number): Promise<AcquireAnswer> {
        return acquireFrom(store, { key: of, holder, id: holder, ttl: 20_000, ticket });
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
            await acquire('me', `${key}:first`);
            const before = await calls('evalsha');
            await Promise.all(Array.from({ length: 100 }, (_, at) => acquire('me', `${key}:${at}`)));
            assert.isAtMost((await calls('evalsha')) - before, 100 / 10);
            await Promise.all(Array.from({ length: 100 }, (_, at) => releaseTo(store, `${key}:${at}`, 'me')));
            assert.isAtMost((await calls('evalsha')) - before, 200 / 10);
        });

        test('goes out as one command, which reads the clock once, when it is short', async () => {
            await acquire('me', `${key}:first`);
            const [before, reads] = [await calls('evalsha'), await calls('time')];
            await Promise.all(Array.from({ length: 5 }, (_, at) => acquire('me', `${key}:${at}`)));
            assert.strictEqual((await calls('evalsha')) - before, 1);
            assert.strictEqual((await calls('time')) - reads, 1);
        });

        test('holds the releases before the acquires of the same turn', async () => {
            await acquire('a');
            const [answer, released] = await Promise.all([acquire('b'), releaseTo(store, key, 'a')]);
            assert.strictEqual(released, 'released');
            assert.strictEqual(answer.kind, 'granted');
        });

        test('answers each by itself when one key holds no string', async () => {
            await raw.lpush(`${key}:7`, 'not a lock');
            const keys = Array.from({ length: 40 }, (_, at) => `${key}:${at}`);
            const outcomes = await Promise.allSettled(keys.map((one) => acquire('me', one)));
            for (const [at, outcome] of outcomes.entries()) {
                assert.strictEqual(outcome.status, at === 7 ? 'rejected' : 'fulfilled');
                if (at !== 7) assert.strictEqual(await raw.get(`${key}:${at}`), 'me');
            }
            const error = await rejection(acquire('me', `${key}:7`), 'WRONG_TYPE');
            assert.deepInclude({ ...error }, { key: `${key}:7`, unknown: false });
            assert.strictEqual(await raw.type(`${key}:7`), 'list');
        });

        test('survives that the server forgets its scripts', async () => {
            await acquire('a');
            await raw.script('FLUSH');
            assert.strictEqual((await acquire('b')).kind, 'busy');
            await raw.script('FLUSH');
            const keys = Array.from({ length: 40 }, (_, at) => `${key}:${at}`);
            const answers = await Promise.all(keys.map((one) => acquire('me', one)));
            assert.isTrue(answers.every(({ kind }) => kind === 'granted'));
            await raw.script('FLUSH');
            assert.strictEqual(await releaseTo(store, key, 'a'), 'released');
        });
    });

    test('gives each key the prefix, and speaks of keys without it', async () => {
        const prefixed = await storeWith({ keyPrefix: `${key}:` });
        const request = { key: 'k', ttl: 20_000 };
        await acquireFrom(prefixed, { ...request, holder: 'a', id: 'a', ticket: undefined });
        assert.strictEqual(await raw.get(`${key}:k`), 'a');
        await raw.lpush(`${key}:list`, 'not a lock');
        const wrong = acquireFrom(prefixed, { ...request, key: 'list', holder: 'a', id: 'a', ticket: undefined });
        assert.deepInclude({ ...(await rejection(wrong, 'WRONG_TYPE')) }, { key: 'list' });
    });

    test('keeps stores with different prefixes apart', async () => {
        const one = await storeWith({ keyPrefix: `${key}:one:` });
        const two = await storeWith({ keyPrefix: `${key}:two:` });
        const request = { key: 'k', holder: 'a', id: 'a', ttl: 20_000, ticket: undefined };
        assert.strictEqual((await acquireFrom(one, request)).kind, 'granted');
        assert.strictEqual((await acquireFrom(two, { ...request, holder: 'b', id: 'b' })).kind, 'granted');
    });

    test('leaves nothing that never expires', async () => {
        await acquire('a');
        await acquire('b', key, 0);
        await acquire('c', key, 0);
        await store.giveUp(key, 'c', 'c', true);
        await releaseTo(store, key, 'a');
        for (const one of await raw.keys(`*${key}*`)) assert.isAbove(await raw.pttl(one), 0, one);
    });

    test('keeps the fences rising when the server lost everything', async () => {
        const before = await acquire('a');
        await raw.del(...(await raw.keys(`*${key}*`)));
        const after = await acquire('b');
        if (before.kind !== 'granted' || after.kind !== 'granted') assert.fail('It is busy.');
        assert.isAbove(after.fence, before.fence);
    });

    test('as a node of a quorum tells the attempts of an acquisition apart, but for its end', async () => {
        const node = await storeWith({ node: true });
        const attempt = (number: number): Promise<AcquireAnswer> =>
            acquireFrom(node, { key, holder: 'a', id: `a#${number}`, ttl: 20_000, ticket: 0 });
        const first = await attempt(1);
        const second = await attempt(2);
        if (first.kind !== 'granted' || second.kind !== 'granted') assert.fail('It is busy.');
        assert.strictEqual(first.fence, second.fence);
        // What takes the first back comes late.
        assert.strictEqual(await node.giveUp(key, 'a', 'a#1', false), 'gone');
        assert.strictEqual(await raw.get(key), 'a');
        const waiting = await acquireFrom(node, { key, holder: 'b', id: 'b#7', ttl: 20_000, ticket: 0 });
        assert.deepInclude(waiting, { kind: 'busy', rank: 0 });
        await node.giveUp(key, 'b', 'b#6', false);
        assert.lengthOf((await node.inspect(key)).waiters, 1);
        assert.strictEqual(await node.giveUp(key, 'a', 'a', false), 'released');
        assert.strictEqual(await raw.get(key), 'b');
        await node.giveUp(key, 'b', 'b', false);
        assert.isNull(await raw.get(key));
    });

    test('as a node of a quorum remembers a greater fence only while that holder has the key', async () => {
        const node = await storeWith({ node: true });
        const answer = await acquireFrom(node, { key, holder: 'a', id: 'a#1', ttl: 20_000, ticket: undefined });
        if (answer.kind !== 'granted') assert.fail('It is busy.');
        assert.isFalse(await node.raise(key, 'b', answer.fence + 7));
        assert.isTrue(await node.raise(key, 'a', answer.fence + 5));
        assert.isTrue(await node.raise(key, 'a', answer.fence + 3));
        await releaseTo(node, key, 'a');
        assert.isFalse(await node.raise(key, 'a', answer.fence + 9));
        const next = await acquireFrom(node, { key, holder: 'c', id: 'c#1', ttl: 20_000, ticket: undefined });
        assert.deepInclude(next, { kind: 'granted', fence: answer.fence + 6 });
        await raw.del(key, keysOf(key)[3]);
        assert.isFalse(await node.raise(key, 'c', 5));
        assert.strictEqual(await raw.exists(keysOf(key)[3]), 0);
    });

    test('can exchange a key only where a grant needs no other step, and no pause is owed', () => {
        const exchanges = (options: Options): boolean | undefined =>
            storeOf(new Client({ lazyConnect: true }), options).exchanges;
        assert.isTrue(exchanges({}));
        assert.isFalse(exchanges({ acks: { replicas: 1, timeout: 100 } }));
        assert.isFalse(exchanges({ yielding: { after: 1, pause: 100 } }));
        assert.isFalse(exchanges({ node: true }));
    });

    test('with a yield leaves the key free after so many hand-offs, then serves the first in line', async () => {
        const yielding = await storeWith({ yielding: { after: 2, pause: 60_000 } });
        const request = (holder: string): Parameters<RedisStore['acquire']>[0] => {
            return { key, holder, id: holder, ttl: 20_000, ticket: 0 };
        };
        const order = ['a', 'b', 'c', 'd'];
        for (const holder of order) await acquireFrom(yielding, request(holder));
        await releaseTo(yielding, key, 'a');
        assert.strictEqual(await raw.get(key), 'b');
        await releaseTo(yielding, key, 'b');
        assert.strictEqual(await raw.get(key), 'c');
        await releaseTo(yielding, key, 'c');
        assert.isNull(await raw.get(key), 'left free');
        const answer = await acquireFrom(yielding, request('d'));
        assert.deepInclude(answer, { kind: 'busy', holder: '', foreign: false });
        // The pause is over.
        await raw.hset(keysOf(key)[3], 'y', '0');
        assert.strictEqual((await acquireFrom(yielding, request('d'))).kind, 'granted');
    });

    test('with a yield lets another program in', async () => {
        const yielding = await storeWith({ yielding: { after: 0, pause: 5000 } });
        for (const holder of ['a', 'b']) {
            await acquireFrom(yielding, { key, holder, id: holder, ttl: 20_000, ticket: 0 });
        }
        await releaseTo(yielding, key, 'a');
        assert.strictEqual(await raw.set(key, 'stranger', 'PX', 5000, 'NX'), 'OK');
        const answer = await acquireFrom(yielding, { key, holder: 'b', id: 'b', ttl: 20_000, ticket: 0 });
        assert.deepInclude(answer, { kind: 'busy', holder: 'stranger', foreign: true });
    });

    test('says that it is closed to whatever is under way', async () => {
        const under = [rejection(acquire('a')), rejection(releaseTo(store, key, 'b')), rejection(store.inspect(key))];
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
