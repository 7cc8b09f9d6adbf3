import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { acquireScript } from '../../../src/engine/redis/scripts/acquire';
import { CLAIM_WINDOW, WAITER_LEASE, parseMessage } from '../../../src/engine/redis/scripts/grant';
import type { Message } from '../../../src/engine/redis/scripts/grant';
import { inspectScript } from '../../../src/engine/redis/scripts/inspect';
import { releaseScript } from '../../../src/engine/redis/scripts/release';
import type { ReleaseReply } from '../../../src/engine/redis/scripts/release';
import { renewScript } from '../../../src/engine/redis/scripts/renew';
import { ScriptError } from '../../../src/engine/redis/scripts/Script';
import type { Script, ScriptItem } from '../../../src/engine/redis/scripts/Script';
import { keysOf } from '../../../src/engine/redis/slots';
import type { LockKeys } from '../../../src/engine/redis/slots';
import { rejection } from '../../fixtures/rejection';
import { ServerCommands } from '../../fixtures/ServerCommands';
import { givenServer, sharedServer } from '../../fixtures/sharedServer';
import { until } from '../../fixtures/until';
import { ended, ownClient } from '../clientOf';

const TTL = 20_000;

/** Longer than any ttl here: what remembers a lock is kept for ten minutes after its last use. */
const MEMORY = 600_000;

interface Wanted {
    readonly id?: string;
    /** And with it the fences to be reserved. */
    readonly ttl?: number | string;
    /** The channel; empty: it polls. */
    readonly on?: string;
}

suite('scripts', () => {
    let client: Redis;
    let keys: LockKeys;
    let key: string;
    let queue: string;
    let waiters: string;
    let memory: string;
    let channel: string;
    let heard: Message[];
    let subscriber: Redis;

    suiteSetup(async () => {
        client = await ownClient(await sharedServer());
        subscriber = await ownClient(await sharedServer());
        subscriber.on('message', (_channel: string, text: string) => {
            const message = parseMessage(text);
            if (message !== undefined) heard.push(message);
        });
    });

    suiteTeardown(async () => {
        await Promise.all([ended(client), ended(subscriber)]);
    });

    setup(async () => {
        heard = [];
        keys = keysOf(`scripts:${randomUUID()}`);
        [key, queue, waiters, memory] = keys;
        channel = `channel:${randomUUID()}`;
        await subscriber.subscribe(channel);
    });

    teardown(async () => {
        await subscriber.unsubscribe(channel);
    });

    /** What the script answers to one item. */
    async function run<Answer>(script: Script<Answer>, item: ScriptItem, common?: string[]): Promise<Answer> {
        const [answer] = await script.run(client, [item], common);
        if (answer === undefined || answer instanceof ScriptError) assert.fail(String(answer));
        return answer;
    }

    function acquire(holder: string, waiting = '', options: Wanted = {}): Promise<AcquireReply> {
        const { id = '', ttl = TTL, on = '' } = options;
        return run(acquireScript, { keys, args: [holder, id, String(ttl), waiting] }, [on]);
    }

    /** Waits in line, and listens. */
    function wait(holder: string, options: Wanted = {}): Promise<AcquireReply> {
        return acquire(holder, '0', { on: channel, ...options });
    }

    function give(holder: string, id = '', tombstone = false, yielding = ''): Promise<ReleaseReply> {
        const which = id === '' ? '' : `${tombstone ? 1 : 0} ${id}`;
        return run(releaseScript, { keys, args: [holder, which] }, [yielding]);
    }

    async function release(...given: Parameters<typeof give>): Promise<string> {
        return (await give(...given)).kind;
    }

    function renew(holder: string, ttl: number): Promise<string> {
        return run(renewScript, { keys: [key, memory], args: [holder, String(ttl)] });
    }

    async function fenceOf(reply: Promise<AcquireReply>): Promise<number> {
        const answer = await reply;
        if (answer.kind === 'refused') assert.fail('It was refused.');
        return answer.fence;
    }

    /** What was heard, when it is so many messages. */
    async function messages(count: number): Promise<Message[]> {
        await until(() => heard.length >= count);
        return heard;
    }

    async function micros(): Promise<number> {
        const [seconds, rest] = await client.time();
        return Number(seconds) * 1_000_000 + Number(rest);
    }

    /** The waiter was not heard of for longer than a waiter is taken to be alive. */
    async function die(id: string): Promise<void> {
        const record = (await client.hget(waiters, id)) ?? assert.fail();
        await client.hset(waiters, id, record.replace(/^\d+/, String(Math.floor((await micros()) / 1000) - 1)));
    }

    suite('acquire answers', () => {
        test('granted, of an absent key: it holds the holder with the ttl', async () => {
            const answer = await acquire('a');
            assert.strictEqual(answer.kind, 'granted');
            assert.strictEqual(await client.get(key), 'a');
            const ttl = await client.pttl(key);
            assert.isTrue(ttl > TTL - 5000 && ttl <= TTL, String(ttl));
        });

        test('granted, with a fence that is at least the clock of the server in µs', async () => {
            const before = await micros();
            const fence = await fenceOf(acquire('a'));
            assert.isAtLeast(fence, before);
            assert.isAtMost(fence, await micros());
        });

        test('granted, with a fence above the last one when the clock was set back', async () => {
            const ahead = (await micros()) + 3_600_000_000;
            await client.hset(memory, 'f', String(ahead));
            assert.strictEqual(await fenceOf(acquire('a')), ahead + 1);
        });

        test('granted, with the same fence, to the holder that has the key; the ttl is lengthened', async () => {
            const fence = await fenceOf(acquire('a', '', { ttl: 5000 }));
            assert.deepEqual(await acquire('a', '', { ttl: 50_000 }), { kind: 'granted', fence, released: false });
            assert.isAbove(await client.pttl(key), 40_000);
            assert.isAbove(await client.pttl(memory), MEMORY + 40_000);
        });

        test('granted, without shortening the ttl, to the holder that has the key', async () => {
            await acquire('a', '', { ttl: 50_000 });
            await acquire('a', '', { ttl: 5000 });
            assert.isAbove(await client.pttl(key), 40_000);
        });

        test('granted, with a new fence, to a holder whose grant is not remembered', async () => {
            const fence = await fenceOf(acquire('a'));
            await client.del(memory);
            assert.isAbove(await fenceOf(acquire('a')), fence);
            assert.strictEqual(await client.hget(memory, 'h'), 'a');
        });

        test('granted, to whoever waits first when the key is absent', async () => {
            await acquire('a');
            await wait('b');
            await client.del(key);
            assert.strictEqual((await wait('b')).kind, 'granted');
            assert.strictEqual(await client.exists(queue), 0);
            assert.isAbove(await client.pttl(key), CLAIM_WINDOW);
        });

        test('granted, to whoever waits first, and the next one is told that it is the first', async () => {
            await acquire('a');
            await wait('b');
            await wait('c');
            await client.del(key);
            await wait('b');
            assert.deepInclude((await messages(1))[0], { kind: 'head', id: 'c', taken: TTL });
        });

        test('granted, to a waiter whose holder has the key by another acquisition: it waits no more', async () => {
            await acquire('a');
            await wait('b', { id: 'first' });
            await wait('b', { id: 'second' });
            await release('a');
            assert.strictEqual((await wait('b', { id: 'second' })).kind, 'granted');
            assert.strictEqual(await client.exists(queue, waiters), 0);
        });

        test('busy, with the remaining ttl, the fence, no ticket and the holder, to a plain try', async () => {
            const fence = await fenceOf(acquire('a'));
            const answer = await acquire('b');
            const plain = { ticket: 0, rank: 0, foreign: false, handedOn: false, holder: 'a' };
            assert.deepInclude(answer, { kind: 'busy', fence, ...plain });
            assert.isTrue(answer.kind === 'busy' && answer.remaining > TTL - 5000 && answer.remaining <= TTL);
            assert.strictEqual(await client.exists(queue, waiters), 0);
        });

        test('busy, with remaining -1, of a key that never expires', async () => {
            await client.set(key, 'stranger');
            assert.deepInclude(await acquire('a'), { kind: 'busy', remaining: -1, foreign: true, holder: 'stranger' });
        });

        test('busy, with a fence above every earlier grant and below every later one, when the memory is lost', async () => {
            const before = await fenceOf(acquire('a'));
            await client.del(memory);
            const seen = await fenceOf(acquire('b'));
            assert.isAbove(seen, before);
            await release('a');
            assert.isAbove(await fenceOf(acquire('b')), seen);
        });

        test('busy, with a ticket that is at least the clock of the server, and the rank, to a waiter', async () => {
            await acquire('a');
            const before = await micros();
            const [b, c] = [await wait('b'), await wait('c')];
            if (b.kind !== 'busy' || c.kind !== 'busy') assert.fail('They were granted.');
            assert.isAtLeast(b.ticket, before);
            assert.isAbove(c.ticket, b.ticket);
            assert.deepEqual([b.rank, c.rank], [0, 1]);
            assert.strictEqual(await client.zscore(queue, 'b'), String(b.ticket));
        });

        test('busy, with the old ticket and place, to a waiter that comes back', async () => {
            await acquire('a');
            const first = await wait('b');
            await wait('c');
            if (first.kind !== 'busy') assert.fail('It was granted.');
            await client.del(queue, waiters);
            await wait('c');
            const again = await acquire('b', String(first.ticket), { on: channel });
            assert.deepInclude(again, { ticket: first.ticket, rank: 0 });
        });

        test('busy, with a ticket above the last one when the clock was set back', async () => {
            await acquire('a');
            const ahead = (await micros()) + 3_600_000_000;
            await client.hset(memory, 't', String(ahead));
            assert.deepInclude(await wait('b'), { ticket: ahead + 1 });
        });

        test('busy, with a rank that counts live waiters only', async () => {
            await acquire('a');
            for (const id of ['b', 'c', 'd']) await wait(id);
            await die('b');
            await die('c');
            assert.deepInclude(await wait('d'), { rank: 0 });
            assert.deepEqual(await client.zrange(queue, '0', '-1'), ['d']);
        });

        test('busy, to whoever finds an absent key that somebody waits for: it goes to the first in line', async () => {
            await acquire('a');
            await wait('b');
            await client.del(key);
            const answer = await acquire('c');
            assert.deepInclude(answer, { kind: 'busy', holder: 'b', foreign: false, handedOn: true });
            assert.isTrue(answer.kind === 'busy' && answer.remaining <= CLAIM_WINDOW);
            const [message] = await messages(1);
            assert.deepInclude(message, { kind: 'grant', key, id: 'b', ttl: CLAIM_WINDOW });
            assert.deepInclude(answer, { fence: message?.kind === 'grant' ? message.fence : NaN });
        });

        test('busy, with no holder, while the key is left free for others', async () => {
            await acquire('a');
            await wait('b');
            await release('a', '', false, '0 5000');
            const answer = await wait('b');
            assert.deepInclude(answer, { kind: 'busy', holder: '', foreign: false, rank: 0 });
            assert.isTrue(answer.kind === 'busy' && answer.remaining > 1000 && answer.remaining <= 5000);
        });

        test('refused, by a tombstone', async () => {
            await release('a', 'a', true);
            assert.deepEqual(await acquire('a'), { kind: 'refused' });
            assert.deepEqual(await wait('a'), { kind: 'refused' });
            assert.strictEqual(await client.exists(key, queue), 0);
        });

        test('granted, once the tombstone is old', async () => {
            await release('a', 'a', true);
            await client.hset(waiters, 'a', `x${Math.floor((await micros()) / 1000) - 1}`);
            assert.strictEqual((await acquire('a')).kind, 'granted');
        });
    });

    suite('release answers', () => {
        test('released, when the holder has the key', async () => {
            await acquire('a');
            assert.strictEqual(await release('a'), 'released');
            assert.strictEqual(await client.exists(key), 0);
        });

        test('already, when this holder was the last that released it', async () => {
            await acquire('a');
            await release('a');
            assert.strictEqual(await release('a'), 'already');
            await acquire('b');
            assert.strictEqual(await release('a'), 'already');
            assert.strictEqual(await client.get(key), 'b');
        });

        test('gone, when somebody else has the key', async () => {
            await acquire('a');
            assert.strictEqual(await release('b'), 'gone');
            assert.strictEqual(await client.get(key), 'a');
        });

        test('gone, when nobody has it', async () => {
            assert.strictEqual(await release('a'), 'gone');
        });

        test('the window, when it handed the key on', async () => {
            await acquire('a');
            await wait('b');
            await wait('c', { ttl: 700 });
            assert.deepEqual(await give('a'), { kind: 'released', handedOn: CLAIM_WINDOW });
            assert.deepEqual(await give('a'), { kind: 'already', handedOn: 0 });
            assert.deepEqual(await give('b', 'b'), { kind: 'released', handedOn: 700 });
            assert.deepEqual(await give('c'), { kind: 'released', handedOn: 0 });
        });

        test('gone and the window, without a holder, when the key is absent and somebody waits', async () => {
            await acquire('a');
            await wait('b');
            assert.deepEqual(await give(''), { kind: 'gone', handedOn: 0 });
            await client.del(key);
            assert.deepEqual(await give(''), { kind: 'gone', handedOn: CLAIM_WINDOW });
            assert.strictEqual(await client.get(key), 'b');
        });

        test('gone, without a holder, of a key that is an empty string', async () => {
            await client.set(key, '', 'PX', TTL);
            assert.deepEqual(await give(''), { kind: 'gone', handedOn: 0 });
            assert.strictEqual(await client.exists(key), 1);
        });

        test('gone, of another acquisition of the holder', async () => {
            await acquire('a', '', { id: 'first' });
            assert.strictEqual(await release('a', 'second'), 'gone');
            assert.strictEqual(await release('a', 'first'), 'released');
        });

        test('released, of an acquisition that is its own holder, also when the memory is lost', async () => {
            await acquire('a');
            await client.del(memory);
            assert.strictEqual(await release('a', 'a'), 'released');
        });

        test('nothing handed on, when nobody has a key that is left free for others', async () => {
            await acquire('a');
            await acquire('b', '0');
            await client.del(key);
            await client.hset(memory, 'y', Date.now() + TTL);
            await release('');
            assert.strictEqual(await client.exists(key), 0);
        });
    });

    suite('release', () => {
        test('grants to the first waiter for a claim window, and tells it and the next one', async () => {
            const fence = await fenceOf(acquire('a'));
            await wait('b');
            await wait('c');
            await release('a');
            const told = await messages(2);
            const grant = told.find(({ kind }) => kind === 'grant');
            assert.deepInclude(grant, { key, id: 'b', ttl: CLAIM_WINDOW });
            assert.isAbove(grant?.kind === 'grant' ? grant.fence : 0, fence);
            assert.deepInclude(
                told.find(({ kind }) => kind === 'head'),
                { key, id: 'c', taken: CLAIM_WINDOW },
            );
            assert.strictEqual(await client.get(key), 'b');
            assert.isAtMost(await client.pttl(key), CLAIM_WINDOW);
        });

        test('holds the key under the holder of the waiter, not its acquisition', async () => {
            await acquire('a');
            await wait('the holder', { id: 'the acquisition' });
            await release('a');
            assert.strictEqual(await client.get(key), 'the holder');
            assert.deepInclude((await messages(1))[0], { id: 'the acquisition' });
        });

        test('passes over waiters whose lease ran out', async () => {
            await acquire('a');
            for (const id of ['b', 'c', 'd']) await wait(id);
            await die('b');
            await die('c');
            await release('a');
            assert.strictEqual(await client.get(key), 'd');
            assert.strictEqual(await client.exists(queue, waiters), 0);
        });

        test('passes over waiters whose channel nobody listens to', async () => {
            await acquire('a');
            await acquire('b', '0', { on: 'nobody' });
            await acquire('c', '0', { on: 'nobody' });
            await wait('d');
            await release('a');
            assert.strictEqual(await client.get(key), 'd');
        });

        test('keeps waiters that listened to another start of the server: it may hear them again', async () => {
            const [start] = /(?<=run_id:)\w{12}/.exec(await client.info('server')) ?? assert.fail();
            for (const [listened, next] of [
                [start, 0],
                ['0'.repeat(start.length), 1],
            ] as const) {
                await acquire('a');
                await acquire('b', '0', { on: `redis-lock:@${listened}:nobody` });
                await release('a');
                assert.strictEqual(await client.exists(key), next);
                await release('b');
            }
        });

        test('passes over those also when it tells who is the next one', async () => {
            await acquire('a');
            await wait('b');
            await acquire('c', '0', { on: 'nobody' });
            await wait('d');
            await release('a');
            assert.deepInclude(
                (await messages(2)).find(({ kind }) => kind === 'head'),
                { id: 'd' },
            );
            assert.deepEqual(await client.zrange(queue, '0', '-1'), ['d']);
        });

        test('grants to a waiter that polls, without a message', async () => {
            await acquire('a');
            await acquire('b', '0');
            await release('a');
            assert.strictEqual(await client.get(key), 'b');
        });

        test('frees the key when all who waited are dead', async () => {
            await acquire('a');
            await wait('b');
            await die('b');
            await release('a');
            assert.strictEqual(await client.exists(key, queue, waiters), 0);
        });

        test('of a place in line that is the first one tells the next one', async () => {
            await acquire('a');
            await wait('b');
            await wait('c');
            await release('b', 'b');
            const [message] = await messages(1);
            assert.deepInclude(message, { kind: 'head', id: 'c' });
            const taken = message?.kind === 'head' ? message.taken : 0;
            assert.isTrue(taken > TTL - 5000 && taken <= TTL);
        });

        test('of a place in line grants a key that came free unnoticed', async () => {
            await acquire('a');
            await wait('b');
            await wait('c');
            await client.del(key);
            await release('b', 'b');
            assert.strictEqual(await client.get(key), 'c');
        });

        test('with a yield hands on so many times, then leaves the key free for the pause', async () => {
            const order = ['a', 'b', 'c', 'd'];
            for (const holder of order) await wait(holder);
            for (const holder of ['a', 'b']) await release(holder, '', false, '2 60000');
            assert.strictEqual(await client.get(key), 'c');
            await release('c', '', false, '2 60000');
            assert.strictEqual(await client.exists(key), 0);
            assert.strictEqual((await acquire('e')).kind, 'busy', 'a plain try does not overtake');
            assert.deepInclude((await messages(5)).at(-1), { kind: 'head', id: 'd', taken: 60_000 });
            // The pause is over.
            await client.hset(memory, 'y', '0');
            assert.strictEqual((await wait('d')).kind, 'granted');
        });

        test('with a yield hands on as ever when nobody waits', async () => {
            await acquire('a');
            await release('a', '', false, '0 5000');
            assert.strictEqual((await acquire('b')).kind, 'granted');
        });

        test('sweeps out old tombstones when they are many', async () => {
            const old = `x${Math.floor((await micros()) / 1000) - 1000}`;
            for (let count = 0; count < 63; count++) await client.hset(waiters, `old${count}`, old);
            await release('new', 'new', true);
            assert.deepEqual(await client.hkeys(waiters), ['new']);
        });
    });

    suite('reserves fences', () => {
        const SPARE = 5;
        const spare = { ttl: `${TTL}+${SPARE}` };

        test('below that of a grant', async () => {
            const before = await micros();
            const fence = await fenceOf(acquire('a', '', spare));
            assert.isAtLeast(fence, before + SPARE);
            assert.isAtMost(fence, (await micros()) + SPARE);
            assert.approximately(await client.pttl(key), TTL, 5000);
            assert.strictEqual(await fenceOf(acquire('a', '', spare)), fence);
        });

        test('above that of the last grant', async () => {
            const ahead = (await micros()) + 3_600_000_000;
            await client.hset(memory, 'f', String(ahead));
            assert.strictEqual(await fenceOf(acquire('a', '', spare)), ahead + 1 + SPARE);
            await release('a');
            assert.strictEqual(await fenceOf(acquire('b')), ahead + 2 + SPARE);
        });

        test('for one that waits, as it asked for', async () => {
            const ahead = (await micros()) + 3_600_000_000;
            await client.hset(memory, 'f', String(ahead));
            await acquire('a');
            await wait('b', spare);
            await release('a');
            const [grant] = await messages(1);
            assert.deepInclude(grant, { kind: 'grant', id: 'b', fence: ahead + 2 + SPARE, ttl: CLAIM_WINDOW });
        });

        test('for a holder whose grant is not remembered', async () => {
            await client.set(key, 'a', 'PX', TTL);
            const before = await micros();
            assert.isAtLeast(await fenceOf(acquire('a', '', spare)), before + SPARE);
        });

        test('and tells others of the last of them', async () => {
            const fence = await fenceOf(acquire('a', '', spare));
            assert.strictEqual(await fenceOf(acquire('b')), fence);
            await wait('c');
            await client.del(key);
            const granted = await fenceOf(acquire('b', '', {}));
            const [grant] = await messages(1);
            assert.deepInclude(grant, { kind: 'grant', id: 'c', fence: granted });
        });

        test('and inspect tells who waits', async () => {
            await acquire('a');
            await wait('b', spare);
            const { waiters: line } = await run(inspectScript, { keys, args: [] });
            assert.deepEqual(
                line.map(({ holder }) => holder),
                ['b'],
            );
        });
    });

    suite('acquire in exchange', () => {
        /** Asks for the key when `before` gives it back. */
        const after = (before: string): string => `0 ${before}`;

        test('takes the key over when nobody else waits', async () => {
            const fence = await fenceOf(acquire('a'));
            const reply = await acquire('b', after('a'), { on: channel });
            assert.deepInclude(reply, { kind: 'granted', released: true });
            assert.isAbove(reply.kind === 'granted' ? reply.fence : 0, fence);
            assert.strictEqual(await client.get(key), 'b');
            assert.approximately(await client.pttl(key), TTL, 5000);
            assert.strictEqual(await release('a'), 'already');
            assert.strictEqual(await client.exists(queue), 0);
        });

        test('lets those go first who waited before', async () => {
            await acquire('a');
            await wait('c');
            const reply = await acquire('b', after('a'), { on: channel });
            assert.deepInclude(reply, { kind: 'busy', released: true, handedOn: true, holder: 'c', rank: 0 });
            assert.strictEqual(await client.get(key), 'c');
            await release('c');
            assert.strictEqual(await client.get(key), 'b');
        });

        test('does not tell the one that asks that it is the first', async () => {
            await acquire('a');
            await wait('c');
            await acquire('b', after('a'), { on: channel });
            await release('c');
            const kinds = (await messages(2)).map(({ kind, id }) => `${kind} ${id}`);
            assert.deepEqual(kinds, ['grant c', 'grant b']);
        });

        test('of a key that another has waits in line', async () => {
            await acquire('a');
            const reply = await acquire('b', after('z'), { on: channel });
            assert.deepInclude(reply, { kind: 'busy', released: false, handedOn: false, holder: 'a' });
            assert.strictEqual(await client.get(key), 'a');
            assert.strictEqual(await client.zcard(queue), 1);
        });

        test('of a key that is free takes it', async () => {
            assert.deepInclude(await acquire('b', after('a'), { on: channel }), { kind: 'granted', released: false });
        });

        test('leaves the key free when others are to have a chance', async () => {
            await acquire('a');
            await wait('c');
            await client.hset(memory, 'y', String((await micros()) / 1000 + 60_000));
            const reply = await acquire('b', after('a'), { on: channel });
            assert.deepInclude(reply, { kind: 'busy', released: true, handedOn: false, holder: '', rank: 1 });
            assert.strictEqual(await client.exists(key), 0);
        });

        test('does nothing for an acquisition that was given up', async () => {
            await acquire('a');
            await give('b', 'b', true);
            assert.strictEqual((await acquire('b', after('a'), { on: channel })).kind, 'refused');
            assert.strictEqual(await client.get(key), 'a');
        });

        test('gives back what a holder has whose id has spaces', async () => {
            await acquire('a holder', '', { id: 'a' });
            assert.deepInclude(await acquire('b', after('a holder'), { on: channel }), {
                kind: 'granted',
                released: true,
            });
        });
    });

    suite('what is usual, a free key for which nobody waits,', () => {
        let server: ServerCommands;

        suiteSetup(async function () {
            // Others use somebody else's server at the same time, and so its counts.
            if (givenServer() !== null) this.skip();
            server = new ServerCommands(await sharedServer());
        });
        suiteTeardown(async () => {
            await server?.[Symbol.asyncDispose]();
        });

        /** Which commands the scripts run for one acquire and release. */
        async function cycle(): Promise<Record<string, number>> {
            await server.reset();
            await acquire('a', '0');
            await release('a');
            const calls = await server.calls();
            return Object.fromEntries([...calls].filter(([name]) => !/^(evalsha|info|config)/.test(name)));
        }

        test('takes six commands and the clock, when it was used before', async () => {
            await acquire('b');
            await release('b');
            assert.deepEqual(await cycle(), { time: 1, hmget: 1, set: 1, hset: 2, get: 1, del: 1 });
        });

        test('takes eight commands and the clock, when it was never used', async () => {
            const first = { time: 1, hmget: 1, exists: 1, set: 1, hset: 2, pexpire: 1, get: 1, del: 1 };
            assert.deepEqual(await cycle(), first);
        });

        for (const refused of [['hset'], ['hset', 'del'], ['pexpire'], ['set'], ['hmget']]) {
            test(`is as it was, when the user may not run ${refused.join(' and ')}`, async () => {
                const user = `user:${randomUUID()}`;
                const rights = ['on', '>secret', '~*', '+@all', ...refused.map((name) => `-${name}`)];
                await server.client.call('ACL', 'SETUSER', user, ...rights);
                const limited = await ownClient(await sharedServer());
                await limited.auth(user, 'secret');
                const [answer] = await acquireScript.run(limited, [{ keys, args: ['a', '', String(TTL), ''] }], ['']);
                await ended(limited);
                assert.match(answer instanceof ScriptError ? answer.message : '', /NOPERM|can't run this command/);
                await until(async () => (await client.exists(key)) === 0, 50);
                await server.client.call('ACL', 'DELUSER', user);
                assert.strictEqual((await acquire('b')).kind, 'granted');
                assert.isAbove(await client.pttl(memory), MEMORY);
            });
        }
    });

    suite('the mark that nobody waits', () => {
        /** The last holder that released, if the mark is there. */
        function mark(): Promise<string | null> {
            return client.hget(memory, 'r');
        }

        setup(async () => {
            await acquire('before');
            await release('before');
            await acquire('a');
            assert.strictEqual(await mark(), 'before');
        });

        test('is not left by one that may not take it back: then there is rather no memory', async () => {
            await wait('b');
            const user = `user:${randomUUID()}`;
            await client.call('ACL', 'SETUSER', user, 'on', '>secret', '~*', '&*', '+@all', '-hdel');
            const limited = await ownClient(await sharedServer());
            await limited.auth(user, 'secret');
            const [answer] = await releaseScript.run(limited, [{ keys, args: ['a', ''] }], ['']);
            await ended(limited);
            await client.call('ACL', 'DELUSER', user);
            assert.match(answer instanceof ScriptError ? answer.message : '', /NOPERM|can't run this command/);
            assert.isNull(await mark());
            await client.del(key);
            assert.strictEqual((await acquire('c')).kind, 'busy');
            assert.strictEqual(await client.get(key), 'b');
        });

        test('goes when somebody begins to wait; who released last is known on', async () => {
            await wait('b');
            assert.isNull(await mark());
            assert.strictEqual(await release('before'), 'already');
        });

        test('goes with a tombstone, which refuses what comes late', async () => {
            await release('b', 'b', true);
            assert.isNull(await mark());
            await release('a');
            assert.strictEqual((await acquire('b')).kind, 'refused');
            assert.isNull(await mark());
            assert.strictEqual(await release('a'), 'already');
        });

        test('goes with the tombstone of the very acquisition that gives the key back', async () => {
            assert.strictEqual(await release('a', 'a', true), 'released');
            assert.isNull(await mark());
            assert.strictEqual((await acquire('a')).kind, 'refused');
            assert.strictEqual(await release('a'), 'already');
        });

        test('goes when somebody waits, so that a plain try does not overtake', async () => {
            await wait('b');
            await client.del(key);
            assert.deepInclude(await acquire('c'), { kind: 'busy', holder: 'b', handedOn: true });
        });

        test('goes when somebody waits, so that a release hands on', async () => {
            await wait('b');
            assert.deepEqual(await give('a'), { kind: 'released', handedOn: CLAIM_WINDOW });
            assert.isNull(await mark());
        });

        test('comes back with who takes the key once nobody waits', async () => {
            await wait('b');
            await release('a');
            await release('b');
            assert.isNull(await mark(), 'a release does not know');
            await acquire('c');
            assert.strictEqual(await mark(), 'b');
            assert.strictEqual(await release('b'), 'already');
            assert.strictEqual(await release('c'), 'released');
        });

        test('comes back after a waiter gave up', async () => {
            await wait('b');
            await release('b', 'b');
            await release('a');
            await acquire('c');
            assert.strictEqual(await mark(), 'a');
        });

        test('stays when the key is passed on in one step', async () => {
            await acquire('b', '0 a');
            assert.strictEqual(await mark(), 'a');
            assert.strictEqual(await client.get(key), 'b');
        });

        test('is not there when the memory was lost while somebody waits: a plain try does not overtake', async () => {
            await wait('b');
            await client.del(memory, key);
            assert.deepInclude(await acquire('c'), { kind: 'busy', holder: 'b', handedOn: true });
            assert.isNull(await mark());
        });

        test('is not there when the memory was lost while somebody waits: a release hands on', async () => {
            await wait('b');
            await client.del(memory);
            assert.deepEqual(await give('a'), { kind: 'released', handedOn: CLAIM_WINDOW });
            assert.isNull(await mark());
        });

        test('is not there for a key of others that was never used', async () => {
            await client.del(key, memory);
            await client.set(key, 'stranger', 'PX', TTL);
            await wait('b');
            assert.isNull(await mark());
            await client.del(key);
            assert.deepInclude(await acquire('c'), { kind: 'busy', holder: 'b', handedOn: true });
        });
    });

    suite('a waiter whose queue was lost', () => {
        setup(async () => {
            await acquire('holder');
            await wait('waiter');
            await client.del(queue);
        });

        test('leaves nothing behind when it gives up', async () => {
            await release('waiter', 'waiter');
            assert.strictEqual(await client.exists(waiters), 0);
        });

        test('leaves nothing behind when it is granted the key', async () => {
            await client.del(key);
            assert.strictEqual((await wait('waiter')).kind, 'granted');
            assert.strictEqual(await client.exists(waiters), 0);
        });

        test('keeps its tombstone when it gives up again', async () => {
            await release('waiter', 'waiter', true);
            await release('waiter', 'waiter');
            assert.strictEqual((await wait('waiter')).kind, 'refused');
        });
    });

    suite('renew answers', () => {
        test('renewed, and lengthens the ttl', async () => {
            await acquire('a', '', { ttl: 5000 });
            assert.strictEqual(await renew('a', 50_000), 'renewed');
            assert.isAbove(await client.pttl(key), 40_000);
            assert.isAbove(await client.pttl(memory), MEMORY + 40_000);
        });

        test('renewed, and never shortens the ttl', async () => {
            await acquire('a', '', { ttl: 50_000 });
            assert.strictEqual(await renew('a', 100), 'renewed');
            assert.isAbove(await client.pttl(key), 40_000);
        });

        test('gone, of an absent key, which stays absent', async () => {
            assert.strictEqual(await renew('a', 5000), 'gone');
            assert.strictEqual(await client.exists(key, memory), 0);
        });

        test('gone, of a key that somebody else has, whose ttl stays', async () => {
            await acquire('a', '', { ttl: 5000 });
            assert.strictEqual(await renew('b', 50_000), 'gone');
            assert.isAtMost(await client.pttl(key), 5000);
        });
    });

    suite('inspect answers', () => {
        function inspect(): Promise<InspectReply> {
            return run(inspectScript, { keys, args: [] });
        }

        test('no holder and -2, of an absent key', async () => {
            const free = { holder: undefined, remaining: -2, fence: 0, foreign: false, waiters: [] };
            assert.deepInclude(await inspect(), free);
        });

        test('the holder, its ttl and its fence', async () => {
            const fence = await fenceOf(acquire('a'));
            const answer = await inspect();
            assert.deepInclude(answer, { holder: 'a', fence, foreign: false });
            assert.isTrue(answer.remaining > TTL - 5000 && answer.remaining <= TTL);
        });

        test('-1, and foreign, of a key that another program wrote and that never expires', async () => {
            await client.set(key, 'stranger');
            assert.deepInclude(await inspect(), { holder: 'stranger', remaining: -1, foreign: true });
        });

        test('the waiters in order, with the ms they wait', async () => {
            await acquire('a');
            await wait('b');
            await sleep(60);
            await wait('c');
            const [b, c] = (await inspect()).waiters;
            assert.deepEqual([b?.holder, c?.holder], ['b', 'c']);
            assert.isAtLeast(b?.waited ?? 0, 50);
            assert.isBelow(c?.waited ?? Infinity, b?.waited ?? 0);
        });

        test('no waiter whose lease ran out', async () => {
            await acquire('a');
            await wait('b');
            await wait('c');
            await die('b');
            assert.deepEqual(
                (await inspect()).waiters.map(({ holder }) => holder),
                ['c'],
            );
            assert.strictEqual(await client.zcard(queue), 2, 'and changes nothing');
        });

        test('a holder that is an empty string, which is not the same as none', async () => {
            await client.set(key, '', 'PX', 5000);
            assert.deepInclude(await inspect(), { holder: '', foreign: true });
        });
    });

    suite('expiry', () => {
        test('ends a tombstone', async () => {
            await release('c', 'c', true);
            const life = await client.pttl(waiters);
            assert.isTrue(life > WAITER_LEASE && life <= 2 * WAITER_LEASE, String(life));
        });

        test('ends everything that a lock leaves behind', async () => {
            await acquire('a');
            await wait('b');
            const lives = await Promise.all([queue, waiters, memory].map((one) => client.pttl(one)));
            for (const life of lives.slice(0, 2)) assert.isTrue(life > WAITER_LEASE && life <= 2 * WAITER_LEASE);
            assert.isTrue((lives[2] ?? 0) > MEMORY && (lives[2] ?? 0) <= 1.5 * MEMORY + TTL);
        });

        test('keeps the memory for longer than the lease, and after it for ten minutes', async () => {
            await acquire('a', '', { ttl: 3_600_000 });
            assert.isAbove(await client.pttl(memory), 3_600_000);
            await release('a');
            assert.isAbove(await client.pttl(memory), MEMORY - 5000);
        });

        test('keeps the memory on by a new lease, when it would end soon', async () => {
            await acquire('a');
            await release('a');
            const now = (await micros()) / 1000;
            await client.hset(memory, 'e', String(Math.floor(now) + 1000));
            await client.pexpire(memory, 1000);
            await acquire('b');
            assert.isAbove(await client.pttl(memory), MEMORY);
            assert.isAbove(Number(await client.hget(memory, 'e')), now + MEMORY);
        });

        test('ends a memory that was lost while the key was held', async () => {
            await acquire('a');
            await client.del(memory);
            await release('a');
            assert.isAbove(await client.pttl(memory), MEMORY - 5000);
        });

        test('keeps the memory for a lease that is renewed for longer', async () => {
            await acquire('a');
            await renew('a', 3_600_000);
            assert.isAbove(await client.pttl(memory), 3_600_000 + MEMORY - 5000);
        });
    });

    suite('an error of one item', () => {
        /** Items on ten locks of which one is no lock. */
        async function ten(args: string[], count: 2 | 4 = 4): Promise<ScriptItem[]> {
            const all = Array.from({ length: 10 }, (_, at) => keysOf(`${key}:${at}`));
            await client.lpush(`${key}:4`, 'not a lock');
            return all.map(([one, q, w, m]) => ({
                keys: count === 4 ? [one, q, w, m] : [one, m],
                args,
            }));
        }

        function assertOneFailed(answers: readonly unknown[]): void {
            assert.lengthOf(answers, 10);
            for (const [at, answer] of answers.entries()) {
                if (at !== 4) assert.notInstanceOf(answer, ScriptError);
                else if (answer instanceof ScriptError) assert.match(answer.message, /^WRONGTYPE/);
                else assert.fail('It was answered.');
            }
        }

        test('of acquire leaves the others granted', async () => {
            const items = await ten(['a', '', String(TTL), '']);
            assertOneFailed(await acquireScript.run(client, items, ['']));
            assert.strictEqual(await client.get(`${key}:9`), 'a');
        });

        test('of release leaves the others released', async () => {
            const items = await ten(['a', '']);
            await client.set(`${key}:9`, 'a', 'PX', TTL);
            assertOneFailed(await releaseScript.run(client, items, ['']));
            assert.strictEqual(await client.exists(`${key}:9`), 0);
        });

        test('of renew leaves the others renewed', async () => {
            const items = await ten(['a', '50000'], 2);
            await client.set(`${key}:9`, 'a', 'PX', 1000);
            assertOneFailed(await renewScript.run(client, items));
            assert.isAbove(await client.pttl(`${key}:9`), 40_000);
        });

        test('of inspect leaves the others told', async () => {
            const items = await ten([]);
            assertOneFailed(await inspectScript.run(client, items));
        });

        test('is told also when it is a side key that holds something else', async () => {
            await client.set(memory, 'no hash');
            const [answer] = await acquireScript.run(client, [{ keys, args: ['a', '', String(TTL), ''] }], ['']);
            assert.instanceOf(answer, ScriptError);
            assert.strictEqual(await client.exists(key), 0);
        });
    });

    suite('Script', () => {
        for (const script of [acquireScript, releaseScript, renewScript, inspectScript]) {
            test(`${script.name} loads under the hash that it is run by`, async () => {
                assert.strictEqual(await client.script('LOAD', script.lua), script.sha);
            });
        }

        test('runs a script that the server does not have any more', async () => {
            await client.script('FLUSH');
            assert.strictEqual((await acquire('a')).kind, 'granted');
            await client.script('FLUSH');
            assert.strictEqual(await renew('a', TTL), 'renewed');
            await client.script('FLUSH');
            assert.strictEqual(await release('a'), 'released');
        });

        test('sends the text only when the server does not have it', async () => {
            const sent: string[] = [];
            const counting = {
                evalsha: (...args: [string, number, ...string[]]) => {
                    sent.push('evalsha');
                    return client.evalsha(...args);
                },
                eval: (...args: [string, number, ...string[]]) => {
                    sent.push('eval');
                    return client.eval(...args);
                },
            };
            await client.script('FLUSH');
            const item = { keys: [key, memory], args: ['a', String(TTL)] };
            await renewScript.run(counting, [item]);
            await renewScript.run(counting, [item]);
            assert.deepEqual(sent, ['evalsha', 'eval', 'evalsha']);
        });

        test('passes on an error that concerns all items', async () => {
            const refusing = {
                evalsha: () => Promise.reject(new Error('NOPERM this user has no permissions')),
                eval: () => Promise.reject(new Error('It must not be sent.')),
            };
            const error = await rejection(renewScript.run(refusing, [{ keys: [key, memory], args: ['a', '1'] }]));
            assert.match(error.message, /^NOPERM/);
        });

        for (const reply of [null, 'OK', [], [1, 1], [-7], [1.5], [[1]], [{}]]) {
            test(`refuses the reply ${JSON.stringify(reply)}`, async () => {
                const odd = { evalsha: () => Promise.resolve(reply), eval: () => Promise.resolve(reply) };
                for (const script of [acquireScript, releaseScript, renewScript, inspectScript]) {
                    if (script !== releaseScript && script !== renewScript && JSON.stringify(reply) === '[1]') continue;
                    const error = await rejection(script.run(odd, [{ keys: [], args: [] }]));
                    assert.include(error.message, script.name);
                }
            });
        }
    });

    suite('a message', () => {
        test('of a grant is read', () => {
            const message = { kind: 'grant', key: 'k', id: 'host:1:x', ttl: 2000, fence: 123 };
            assert.deepEqual(parseMessage('grant\n2000\n123\nhost:1:x\nk'), message as Message);
        });

        test('to the head is read', () => {
            assert.deepEqual(parseMessage('head\n1500\n0\nid\nk'), { kind: 'head', key: 'k', id: 'id', taken: 1500 });
        });

        test('about a key of several lines is read', () => {
            assert.deepInclude(parseMessage('head\n1500\n0\nid\ntwo\nlines\n'), { key: 'two\nlines\n' });
        });

        for (const text of ['', 'grant', 'grant\n1\n2\n3', 'else\n1\n2\n3\n4', 'grant\nx\n2\n3\n4']) {
            test(`that is ${JSON.stringify(text)} is none`, () => {
                assert.isUndefined(parseMessage(text));
            });
        }
    });
});

type AcquireReply = typeof acquireScript extends Script<infer Reply> ? Reply : never;
type InspectReply = typeof inspectScript extends Script<infer Reply> ? Reply : never;
