import { randomUUID } from 'node:crypto';
import { assert } from 'chai';
import type { Clock } from '../../../src/engine/time/Clock';
import type { LockError } from '../../../src/engine/port/errors';
import type {
    AcquireRequest,
    Busy,
    Granted,
    LockInfo,
    LockStore,
    Renewal,
    RenewAnswer,
    StoreListener,
} from '../../../src/engine/port/LockStore';
import { acquireFrom, releaseTo } from '../../fixtures/asks';
import { rejection } from '../../fixtures/rejection';
import { until } from '../../fixtures/until';

/** A store, and what is around it. */
export interface StoreWorld {
    /** A store of one process, not yet opened. Each call is another process. */
    store(): LockStore;
    /** The clock of the stores. */
    readonly clock: Clock;
    /** Lets time pass. */
    pass(time: number): Promise<void>;
    /** Another program writes the key as its own: a plain string, with an expiry unless that is Infinity. */
    set(key: string, value: string, ttl: number): Promise<void>;
    delete(key: string): Promise<void>;
    /** What the key holds. */
    get(key: string): Promise<string | undefined>;
    /** Closes all but the stores. */
    close(): Promise<void>;
}

export interface StoreFacts {
    /** Whether waiters are woken by messages; else they poll. */
    readonly wakes: boolean;
    /** Whether a holder that is no user of this library is looked out for. */
    readonly watches: boolean;
    /** A message about a grant is only a hint: no time is left that could be relied on. */
    readonly hints?: boolean;
    /** Whether a key can be given back and asked for in one step. */
    readonly exchanges?: boolean;
}

const TTL = 20_000;

/** What a waiter may take to show that it is there, once it was made the holder, ms. */
const WINDOW = 2000;

type GrantMessage = { readonly kind: 'granted' | 'first'; readonly key: string; readonly id: string } & Record<
    string,
    unknown
>;

/** Declares what every store must do. Keys are new in each test, so that a server may be shared. */
export function storeContract(name: string, facts: StoreFacts, open: () => Promise<StoreWorld>): void {
    const { exchanges = true } = facts;
    suite(`${name} as a lock store`, () => {
        let world: StoreWorld;
        let stores: LockStore[];
        let store: LockStore;
        let told: GrantMessage[];
        let changes: string[];
        let handOffs: { readonly key: string; readonly window: number }[];
        let key: string;

        const listener: StoreListener = {
            granted: (of, id, fence, ttl) => told.push({ kind: 'granted', key: of, id, fence, ttl }),
            first: (of, id, remaining) => told.push({ kind: 'first', key: of, id, remaining }),
            handedOn: (of, window) => handOffs.push({ key: of, window }),
            changed: (of) => changes.push(of),
            reconnected: () => undefined,
            disconnected: () => undefined,
            recovered: () => undefined,
            warned: () => undefined,
        };

        setup(async () => {
            world = await open();
            stores = [];
            told = [];
            changes = [];
            handOffs = [];
            key = `contract:${randomUUID()}`;
            store = await another();
        });

        teardown(async () => {
            await Promise.all(stores.map((one) => one.close()));
            await world.close();
        });

        /** A store of another process. */
        async function another(): Promise<LockStore> {
            const one = world.store();
            stores.push(one);
            await one.open(listener);
            return one;
        }

        function request(holder: string, options: Partial<AcquireRequest> = {}): AcquireRequest {
            return { key, holder, id: holder, ttl: TTL, ticket: undefined, ...options };
        }

        async function granted(holder: string, options: Partial<AcquireRequest> = {}): Promise<Granted> {
            const answer = await acquireFrom(store, request(holder, options));
            if (answer.kind !== 'granted') assert.fail(`${holder} found it busy.`);
            return answer;
        }

        async function busy(holder: string, options: Partial<AcquireRequest> = {}): Promise<Busy> {
            const answer = await acquireFrom(store, request(holder, options));
            if (answer.kind !== 'busy') assert.fail(`${holder} was granted it.`);
            return answer;
        }

        /** Takes a place in line. */
        function wait(holder: string, options: Partial<AcquireRequest> = {}): Promise<Busy> {
            return busy(holder, { ticket: 0, ...options });
        }

        /** What the acquisition was told of its grant. */
        async function grantOf(id: string): Promise<GrantMessage> {
            const find = (): GrantMessage | undefined => told.find((one) => one.kind === 'granted' && one.id === id);
            await until(() => find() !== undefined);
            return find() ?? assert.fail();
        }

        async function firstOf(id: string): Promise<GrantMessage> {
            const find = (): GrantMessage | undefined => told.find((one) => one.kind === 'first' && one.id === id);
            await until(() => find() !== undefined);
            return find() ?? assert.fail();
        }

        suite('acquire', () => {
            test('grants a key that is free, as a plain string', async () => {
                const { fence } = await granted('a');
                assert.isAbove(fence, 0);
                assert.isTrue(Number.isSafeInteger(fence));
                assert.strictEqual(await world.get(key), 'a');
            });

            test('counts the lease from before the request, less drift', async () => {
                const before = world.clock.now();
                const { deadline } = await granted('a');
                const after = world.clock.now();
                assert.isAtLeast(deadline, before + 0.99 * TTL - 2);
                assert.isAtMost(deadline, after + 0.99 * TTL - 2);
            });

            test('of the same holder again is granted, with the same fence', async () => {
                const first = await granted('a');
                const again = await granted('a');
                assert.strictEqual(again.fence, first.fence);
            });

            test('of the same holder again lengthens the lease, and never shortens it', async () => {
                await granted('a', { ttl: 5000 });
                await granted('a', { ttl: 50_000 });
                assert.isAbove((await store.inspect(key)).remaining, 40_000);
                await granted('a', { ttl: 5000 });
                assert.isAbove((await store.inspect(key)).remaining, 40_000);
            });

            test('tells who has the key, for how long, and with which fence', async () => {
                const { fence } = await granted('a');
                const sentAt = world.clock.now();
                const answer = await busy('b');
                assert.deepInclude(answer, { kind: 'busy', holder: 'a', fence, foreign: false });
                assert.isAtMost(answer.remaining, TTL);
                assert.isAbove(answer.remaining, TTL / 2);
                assert.isAtLeast(answer.sentAt, sentAt);
                assert.isAtMost(answer.sentAt, world.clock.now());
            });

            test('that does not wait leaves no trace', async () => {
                await granted('a');
                await busy('b');
                assert.isEmpty((await store.inspect(key)).waiters);
            });

            test('grants one of many that come at once, through several stores', async () => {
                const processes = [store, await another(), await another()];
                const answers = await Promise.all(
                    Array.from({ length: 60 }, (_, at) =>
                        acquireFrom(processes[at % 3] ?? store, request(`holder${at}`)),
                    ),
                );
                assert.lengthOf(
                    answers.filter(({ kind }) => kind === 'granted'),
                    1,
                );
            });

            test('grants many keys at once, each to its own holder', async () => {
                const keys = Array.from({ length: 100 }, (_, at) => `${key}:${at}`);
                await Promise.all(keys.map((one, at) => granted(`holder${at}`, { key: one })));
                const holders = await Promise.all(keys.map((one) => world.get(one)));
                assert.deepEqual(
                    holders,
                    keys.map((_, at) => `holder${at}`),
                );
                await Promise.all(keys.map((one, at) => releaseTo(store, one, `holder${at}`)));
            });

            test('grants a key whose lease ran out, with a greater fence', async () => {
                const { fence } = await granted('a', { ttl: 50 });
                await world.pass(80);
                assert.isAbove((await granted('b')).fence, fence);
            });

            test('gives rising fences, in whatever way the key came free', async () => {
                const fences: number[] = [];
                for (let count = 0; count < 5; count++) {
                    fences.push((await granted(`released${count}`)).fence);
                    await releaseTo(store, key, `released${count}`);
                    fences.push((await granted(`deleted${count}`)).fence);
                    await world.delete(key);
                }
                assert.deepEqual(
                    fences,
                    [...new Set(fences)].sort((a, b) => a - b),
                );
            });
        });

        suite('waiting', () => {
            test('takes places in the order of arrival', async () => {
                await granted('a');
                const ranks = [await wait('b'), await wait('c'), await wait('d')];
                assert.deepEqual(
                    ranks.map(({ rank }) => rank),
                    [0, 1, 2],
                );
                const tickets = ranks.map(({ ticket }) => ticket);
                assert.deepEqual(
                    tickets,
                    [...new Set(tickets)].sort((a, b) => a - b),
                );
            });

            test('keeps the place for whoever asks again', async () => {
                await granted('a');
                const first = await wait('b');
                await wait('c');
                assert.deepInclude(await wait('b', { ticket: first.ticket }), { ticket: first.ticket, rank: 0 });
                assert.deepInclude(await wait('b'), { ticket: first.ticket, rank: 0 });
            });

            test('gives the old place back to whoever was dropped meanwhile', async () => {
                await granted('a');
                const first = await wait('b');
                await wait('c');
                await store.giveUp(key, 'b', 'b', false);
                assert.strictEqual((await wait('b', { ticket: first.ticket })).rank, 0);
            });

            test('is never overtaken by a plain try', async () => {
                await granted('a');
                await wait('b');
                await world.delete(key);
                assert.strictEqual((await busy('c')).holder, 'b');
                assert.strictEqual(await world.get(key), 'b');
            });

            test('is never overtaken by a later waiter', async () => {
                await granted('a');
                await wait('b');
                await wait('c');
                await world.delete(key);
                assert.strictEqual((await wait('c')).holder, 'b');
            });

            test('is over with the grant', async () => {
                await granted('a');
                await wait('b');
                await world.delete(key);
                await granted('b', { ticket: 0 });
                assert.isEmpty((await store.inspect(key)).waiters);
            });
        });

        suite('release', () => {
            test('frees the key', async () => {
                await granted('a');
                assert.strictEqual(await releaseTo(store, key, 'a'), 'released');
                assert.isUndefined(await world.get(key));
            });

            test('sent again says so', async () => {
                await granted('a');
                await releaseTo(store, key, 'a');
                assert.strictEqual(await releaseTo(store, key, 'a'), 'already');
            });

            test('by anybody else does nothing', async () => {
                await granted('a');
                assert.strictEqual(await releaseTo(store, key, 'b'), 'gone');
                assert.strictEqual(await world.get(key), 'a');
            });

            test('of a key that nobody has does nothing', async () => {
                assert.strictEqual(await releaseTo(store, key, 'a'), 'gone');
            });

            test('after the lease ran out leaves the key to whoever has it now', async () => {
                await granted('a', { ttl: 50 });
                await world.pass(80);
                await granted('b');
                assert.strictEqual(await releaseTo(store, key, 'a'), 'gone');
                assert.strictEqual(await world.get(key), 'b');
            });

            test('makes the first waiter the holder in the same step, for a claim window', async () => {
                await granted('a');
                await wait('b');
                await wait('c');
                await releaseTo(store, key, 'a');
                assert.strictEqual(await world.get(key), 'b');
                const info = await store.inspect(key);
                assert.isAtMost(info.remaining, WINDOW);
                assert.deepEqual(
                    info.waiters.map(({ holder }) => holder),
                    ['c'],
                );
            });

            test('gives the first waiter no more than it asked for', async () => {
                await granted('a');
                await wait('b', { ttl: 500 });
                await releaseTo(store, key, 'a');
                assert.isAtMost((await store.inspect(key)).remaining, 500);
            });

            test('is followed by the claim of the waiter, with the same fence, for all of its ttl', async () => {
                const { fence } = await granted('a');
                await wait('b');
                await releaseTo(store, key, 'a');
                const claim = await granted('b', { ticket: 0 });
                assert.isAbove(claim.fence, fence);
                const info = await store.inspect(key);
                assert.strictEqual(info.fence, claim.fence);
                assert.isAbove(info.remaining, WINDOW);
            });

            test('serves the waiters of several stores in order', async () => {
                const other = await another();
                await granted('w0');
                const order = ['w1', 'w2', 'w3', 'w4'];
                for (const [at, id] of order.entries()) {
                    await acquireFrom(at % 2 === 0 ? store : other, request(id, { ticket: 0 }));
                }
                const served: (string | undefined)[] = [];
                for (const id of ['w0', ...order]) {
                    await releaseTo(order.indexOf(id) % 2 === 0 ? store : other, key, id);
                    served.push(await world.get(key));
                }
                assert.deepEqual(served, [...order, undefined]);
            });

            if (facts.wakes) {
                test('tells the waiter of its grant, with the fence, and the next one that it is the first', async () => {
                    const { fence } = await granted('a');
                    await wait('b');
                    await wait('c');
                    await releaseTo(store, key, 'a');
                    const grant = await grantOf('b');
                    assert.strictEqual(grant.key, key);
                    assert.isAbove(Number(grant['fence']), fence);
                    assert.strictEqual(grant['ttl'], facts.hints === true ? 0 : WINDOW);
                    assert.strictEqual(grant['fence'], (await granted('b', { ticket: 0 })).fence);
                    const first = await firstOf('c');
                    assert.strictEqual(first.key, key);
                    assert.isAtMost(Number(first['remaining']), WINDOW);
                });

                test('tells nobody but the first waiter of the grant', async () => {
                    await granted('a');
                    for (const id of ['b', 'c', 'd']) await wait(id);
                    await releaseTo(store, key, 'a');
                    await grantOf('b');
                    await firstOf('c');
                    assert.lengthOf(told, 2);
                });

                test('passes over waiters whose process is gone', async () => {
                    const gone = await another();
                    await granted('a');
                    for (const id of ['b', 'c', 'd']) await acquireFrom(gone, request(id, { ticket: 0 }));
                    await wait('e');
                    await gone.close();
                    // The server may take a moment to see it.
                    await world.pass(500);
                    await releaseTo(store, key, 'a');
                    assert.strictEqual(await world.get(key), 'e');
                    await grantOf('e');
                });
            }
        });

        suite('renew', () => {
            test('lengthens the lease from its send', async () => {
                await granted('a', { ttl: 5000 });
                const before = world.clock.now();
                const answer = await store.renew(key, 'a', TTL);
                if (answer.kind !== 'renewed') assert.fail('It is gone.');
                assert.isAtLeast(answer.deadline, before + 0.99 * TTL - 2);
                assert.isAtMost(answer.deadline, world.clock.now() + 0.99 * TTL - 2);
                assert.isAbove((await store.inspect(key)).remaining, TTL / 2);
            });

            test('never shortens it', async () => {
                await granted('a');
                await store.renew(key, 'a', 100);
                assert.isAbove((await store.inspect(key)).remaining, TTL / 2);
            });

            test('never creates it again', async () => {
                assert.deepEqual(await store.renew(key, 'a', TTL), { kind: 'gone' });
                assert.isUndefined(await world.get(key));
            });

            test('leaves alone what somebody else has', async () => {
                await granted('a', { ttl: 5000 });
                assert.deepEqual(await store.renew(key, 'b', TTL), { kind: 'gone' });
                assert.isAtMost((await store.inspect(key)).remaining, 5000);
            });

            test('goes on beside those of many other keys, each answered by itself', async () => {
                const keys = Array.from({ length: 50 }, (_, at) => `${key}:${at}`);
                await Promise.all(keys.filter((_, at) => at % 2 === 0).map((one) => granted('a', { key: one })));
                const answers = await Promise.all(keys.map((one) => store.renew(one, 'a', TTL)));
                assert.deepEqual(
                    answers.map(({ kind }) => kind),
                    keys.map((_, at) => (at % 2 === 0 ? 'renewed' : 'gone')),
                );
            });
        });

        suite('renewAll', () => {
            /** Settles with the answers in the order of the keys. */
            function renewAll(keys: readonly string[]): Promise<(RenewAnswer | LockError)[]> {
                const renewals: Renewal[] = [];
                const answers = keys.map((one) => {
                    return new Promise<RenewAnswer | LockError>((answered) => {
                        renewals.push({ key: one, holder: 'a', ttl: TTL, answered });
                    });
                });
                store.renewAll(renewals);
                return Promise.all(answers);
            }

            test('answers each by itself', async () => {
                const keys = Array.from({ length: 50 }, (_, at) => `${key}:${at}`);
                await Promise.all(keys.filter((_, at) => at % 2 === 0).map((one) => granted('a', { key: one })));
                const before = world.clock.now();
                for (const [at, answer] of (await renewAll(keys)).entries()) {
                    if (answer instanceof Error) throw answer;
                    assert.strictEqual(answer.kind, at % 2 === 0 ? 'renewed' : 'gone');
                    if (answer.kind === 'gone') continue;
                    assert.isAtLeast(answer.deadline, before + 0.99 * TTL - 2);
                    assert.isAtMost(answer.deadline, world.clock.now() + 0.99 * TTL - 2);
                }
                assert.isAbove((await store.inspect(`${key}:0`)).remaining, 0.9 * TTL);
            });

            test('says why there is no answer', async () => {
                await store.close();
                for (const answer of await renewAll([key, `${key}:2`])) assert.include(answer, { code: 'CLOSED' });
            });
        });

        test('says whether it can exchange a key', () => {
            assert.strictEqual(store.exchanges ?? false, exchanges);
        });

        if (exchanges) {
            suite('an exchange', () => {
                test('gives the key back and takes it in one step when nobody else waits', async () => {
                    const before = await granted('a');
                    const after = await granted('b', { ticket: 0, before: 'a', spare: 4 });
                    assert.isTrue(after.released);
                    assert.isAtLeast(after.fence, before.fence + 5);
                    assert.strictEqual(await world.get(key), 'b');
                    assert.strictEqual(await releaseTo(store, key, 'a'), 'already');
                });

                test('gives the key to whoever waited before', async () => {
                    await granted('a');
                    await wait('c');
                    const answer = await wait('b', { before: 'a' });
                    assert.isTrue(answer.released);
                    assert.strictEqual(await world.get(key), 'c');
                    await releaseTo(store, key, 'c');
                    assert.strictEqual(await world.get(key), 'b');
                });

                test('of a key that was lost says so', async () => {
                    await granted('a');
                    await world.delete(key);
                    assert.isFalse((await granted('b', { ticket: 0, before: 'a' })).released);
                    assert.isFalse((await wait('c', { before: 'a' })).released);
                });
            });
        }

        suite('a hand-off', () => {
            test('is told to whoever made it by a release, with the window', async () => {
                await granted('a');
                await wait('b');
                await releaseTo(store, key, 'a');
                await until(() => handOffs.length > 0);
                assert.deepEqual(handOffs, [{ key, window: WINDOW }]);
            });

            test('is told to whoever made it by finding the key absent, with the window', async () => {
                await granted('a');
                await wait('b', { ttl: 1000 });
                await world.delete(key);
                await busy('c');
                await until(() => handOffs.length > 0);
                assert.strictEqual(handOffs[0]?.key, key);
                assert.approximately(handOffs[0]?.window ?? NaN, 1000, 100);
            });

            test('is told by nothing else', async () => {
                await granted('a');
                await wait('b');
                await busy('c');
                await store.giveUp(key, 'b', 'b', false);
                await releaseTo(store, key, 'a');
                await releaseTo(store, key, 'a');
                await granted('d');
                assert.isEmpty(handOffs);
            });

            test('is made again when the key is absent, to the first in line', async () => {
                await granted('a');
                await wait('b');
                await wait('c');
                await world.delete(key);
                await store.handOn(key);
                assert.strictEqual(await world.get(key), 'b');
                await until(() => handOffs.length > 0);
                assert.deepEqual(handOffs, [{ key, window: WINDOW }]);
            });

            test('is not made again when somebody has the key, or nobody waits for it', async () => {
                await granted('a');
                await wait('b');
                await store.handOn(key);
                assert.strictEqual(await world.get(key), 'a');
                await store.giveUp(key, 'b', 'b', false);
                await releaseTo(store, key, 'a');
                await store.handOn(key);
                assert.isUndefined(await world.get(key));
                assert.isEmpty(handOffs);
            });

            test('leaves alone a key that holds an empty string', async () => {
                await world.set(key, '', TTL);
                await wait('a');
                await store.handOn(key);
                assert.strictEqual(await world.get(key), '');
            });
        });

        suite('giving up', () => {
            test('leaves the line', async () => {
                await granted('a');
                await wait('b');
                await wait('c');
                assert.strictEqual(await store.giveUp(key, 'b', 'b', false), 'gone');
                assert.deepEqual(
                    (await store.inspect(key)).waiters.map(({ holder }) => holder),
                    ['c'],
                );
                assert.strictEqual(await world.get(key), 'a');
            });

            test('passes on a key that was granted meanwhile', async () => {
                await granted('a');
                await wait('b');
                await wait('c');
                await releaseTo(store, key, 'a');
                assert.strictEqual(await store.giveUp(key, 'b', 'b', false), 'released');
                assert.strictEqual(await world.get(key), 'c');
            });

            test('refuses what arrives later of an attempt that is under way', async () => {
                await store.giveUp(key, 'a', 'a', true);
                await rejection(acquireFrom(store, request('a')), 'LOCK_ABORTED');
                await rejection(acquireFrom(store, request('a', { ticket: 0 })), 'LOCK_ABORTED');
                assert.isUndefined(await world.get(key));
                assert.isEmpty((await store.inspect(key)).waiters);
            });

            test('refuses only that acquisition', async () => {
                await store.giveUp(key, 'a', 'first', true);
                await granted('a', { id: 'second' });
            });

            test('of nothing under way refuses nothing', async () => {
                await store.giveUp(key, 'a', 'a', false);
                await granted('a');
            });

            test('passes on a key that came free unnoticed', async () => {
                await granted('a');
                await wait('b');
                await wait('c');
                await world.delete(key);
                await store.giveUp(key, 'b', 'b', false);
                assert.strictEqual(await world.get(key), 'c');
            });

            test('keeps the key of another acquisition of the same holder', async () => {
                await granted('a', { id: 'first' });
                assert.strictEqual(await store.giveUp(key, 'a', 'second', true), 'gone');
                assert.strictEqual(await world.get(key), 'a');
                assert.strictEqual(await store.giveUp(key, 'a', 'first', true), 'released');
            });

            test('keeps the key of a later acquisition of the same holder', async () => {
                await granted('a', { id: 'first' });
                await granted('a', { id: 'second' });
                assert.strictEqual(await store.giveUp(key, 'a', 'first', true), 'gone');
                assert.strictEqual(await world.get(key), 'a');
                assert.strictEqual(await store.giveUp(key, 'a', 'second', false), 'released');
            });

            test('keeps the key of a later acquisition that took on the holder of the first', async () => {
                await granted('a', { id: 'a' });
                await granted('a', { id: 'second' });
                assert.strictEqual(await store.giveUp(key, 'a', 'a', false), 'gone');
                assert.strictEqual(await world.get(key), 'a');
                assert.strictEqual(await store.giveUp(key, 'a', 'second', false), 'released');
            });

            if (facts.wakes) {
                test('by the first in line tells the next one, with the time that is left', async () => {
                    await granted('a');
                    await wait('b');
                    await wait('c');
                    await store.giveUp(key, 'b', 'b', false);
                    const first = await firstOf('c');
                    assert.isAbove(Number(first['remaining']), TTL / 2);
                    assert.isAtMost(Number(first['remaining']), TTL);
                });

                test('by any other tells nobody', async () => {
                    await granted('a');
                    for (const id of ['b', 'c', 'd']) await wait(id);
                    await store.giveUp(key, 'c', 'c', false);
                    await store.giveUp(key, 'b', 'b', false);
                    await firstOf('d');
                    assert.lengthOf(told, 1);
                });
            }
        });

        suite('a foreign holder', () => {
            test('keeps everybody out until its lease ends', async () => {
                await world.set(key, 'stranger', 1000);
                assert.deepInclude(await busy('a'), { holder: 'stranger', foreign: true });
                await world.pass(1050);
                await granted('a');
            });

            test('keeps everybody out until it deletes the key', async () => {
                await world.set(key, 'stranger', TTL);
                await wait('a');
                await world.delete(key);
                await granted('a', { ticket: 0 });
            });

            test('whose key never expires remains for ever', async () => {
                await world.set(key, 'stranger', Infinity);
                assert.strictEqual((await busy('a')).remaining, Infinity);
                assert.strictEqual((await store.inspect(key)).remaining, Infinity);
            });

            test('is left alone by renew and release', async () => {
                await granted('a');
                await world.delete(key);
                await world.set(key, 'stranger', TTL);
                assert.deepEqual(await store.renew(key, 'a', TTL), { kind: 'gone' });
                assert.strictEqual(await releaseTo(store, key, 'a'), 'gone');
                assert.strictEqual(await world.get(key), 'stranger');
            });

            test('has no fence, and is followed by a greater one', async () => {
                const { fence } = await granted('a');
                await world.delete(key);
                await world.set(key, 'stranger', TTL);
                assert.isUndefined((await store.inspect(key)).fence);
                await world.delete(key);
                assert.isAbove((await granted('b')).fence, fence);
            });

            test('is recognised also when ours was there before', async () => {
                await granted('a');
                await releaseTo(store, key, 'a');
                await world.set(key, 'stranger', TTL);
                assert.isTrue((await busy('b')).foreign);
            });

            if (facts.watches) {
                test('is looked out for: its delete is told', async () => {
                    await world.set(key, 'stranger', TTL);
                    assert.isTrue(await store.watch(key, 'stranger'));
                    assert.isEmpty(changes);
                    await world.delete(key);
                    await until(() => changes.includes(key));
                });

                test('is looked out for: its expiry is told when the server sees it', async () => {
                    await world.set(key, 'stranger', 200);
                    assert.isTrue(await store.watch(key, 'stranger'));
                    await world.pass(250);
                    // A server with many keys may take a while to see it, unless somebody asks.
                    await world.get(key);
                    await until(() => changes.includes(key));
                });

                test('that has gone before it is looked out for is told at once', async () => {
                    assert.isTrue(await store.watch(key, 'stranger'));
                    await until(() => changes.includes(key));
                });

                test('of another key is not told', async () => {
                    await world.set(key, 'stranger', TTL);
                    await store.watch(key, 'stranger');
                    await world.set(`${key}:other`, 'stranger', TTL);
                    await world.delete(`${key}:other`);
                    await world.delete(key);
                    await until(() => changes.length > 0);
                    assert.notInclude(changes, `${key}:other`);
                });
            } else {
                test('that cannot be looked out for says so', async () => {
                    await world.set(key, 'stranger', TTL);
                    assert.isFalse(await store.watch(key, 'stranger'));
                });
            }
        });

        suite('list', () => {
            async function listed(pattern: string): Promise<LockInfo[]> {
                const found: LockInfo[] = [];
                for await (const info of store.list(pattern)) found.push(info);
                return found.sort((a, b) => (a.key < b.key ? -1 : 1));
            }

            test('tells every key that is held and fits the pattern, whatever it looks like, once', async () => {
                const odd = [
                    'plain',
                    '{tag}ged',
                    'a}b',
                    '{}x',
                    '{a',
                    'a{b}c{d}',
                    'ключ ✓',
                    '{{x}}',
                    'x:m',
                    '{y}:m',
                    'li\nne',
                ];
                const keys = odd.map((one) => `${one}:${key}`).sort();
                const others = await another();
                for (const one of keys) await acquireFrom(others, request('a', { key: one }));
                await granted('a', { key: `other:${key}:1` });
                const found = await listed(`*:${key}`);
                assert.deepEqual(
                    found.map((info) => info.key),
                    keys,
                );
                for (const info of found) assert.deepEqual({ ...info, ...(await about(info)) }, info);
            });

            test('tells none that was given back, ran out or was deleted', async () => {
                await granted('a');
                await releaseTo(store, key, 'a');
                await granted('a', { key: `${key}:1`, ttl: 30 });
                await granted('a', { key: `${key}:2` });
                await world.delete(`${key}:2`);
                await world.pass(60);
                assert.isEmpty(await listed(`${key}*`));
            });

            test('tells more than one page of them', async () => {
                const keys = Array.from({ length: 1200 }, (_, at) => `${key}:${at}`);
                await Promise.all(keys.map((one) => granted('a', { key: one })));
                const found = await listed(`${key}:*`);
                assert.sameMembers(
                    found.map((info) => info.key),
                    keys,
                );
                assert.lengthOf(await listed(`${key}:11?`), 10);
                await Promise.all(keys.map((one) => releaseTo(store, one, 'a')));
            });

            test('tells a holder that is no user of this library when somebody waits for its key', async () => {
                await world.set(key, 'stranger', TTL);
                await wait('b');
                const [info] = await listed(key);
                assert.deepInclude(info, { key, holder: 'stranger', fence: undefined, held: undefined });
                assert.deepEqual(
                    info?.waiters.map(({ holder }) => holder),
                    ['b'],
                );
            });

            /** What does not change with time. */
            async function about(info: LockInfo): Promise<Partial<LockInfo>> {
                const { fence, holder, waiters } = await store.inspect(info.key);
                return { fence, holder, waiters };
            }
        });

        suite('inspect', () => {
            test('of a free key tells that nobody has it', async () => {
                const nobody = { key, holder: undefined, remaining: 0, fence: undefined, held: undefined, waiters: [] };
                assert.deepEqual(await store.inspect(key), nobody);
            });

            test('tells the holder and the fence', async () => {
                const { fence } = await granted('a');
                const info = await store.inspect(key);
                assert.deepInclude(info, { key, holder: 'a', fence });
                assert.isAtMost(info.remaining, TTL);
                assert.isAbove(info.remaining, TTL / 2);
            });

            test('tells for how long the holder has it, where that is known', async () => {
                await granted('a');
                await world.pass(100);
                const { held } = await store.inspect(key);
                if (facts.hints === true) assert.isUndefined(held);
                else assert.approximately(held ?? NaN, 100 + 500, 520);
            });

            test('tells the waiters in order, and for how long they wait', async () => {
                await granted('a');
                await wait('b');
                await world.pass(100);
                await wait('c');
                const { waiters } = await store.inspect(key);
                assert.deepEqual(
                    waiters.map(({ holder }) => holder),
                    ['b', 'c'],
                );
                const [b, c] = waiters.map(({ waited }) => waited);
                assert.isAtLeast(b ?? NaN, (c ?? NaN) + 90);
            });

            test('tells a waiter by its holder', async () => {
                await granted('a');
                await wait('the holder', { id: 'the acquisition' });
                assert.strictEqual((await store.inspect(key)).waiters[0]?.holder, 'the holder');
            });

            test('changes nothing', async () => {
                await granted('a');
                await wait('b');
                await world.delete(key);
                await store.inspect(key);
                assert.isUndefined(await world.get(key));
            });
        });

        const KEYS = [
            'a}b',
            '{}x',
            '{a',
            'a{}b',
            '}{',
            '{x}y',
            'a b',
            'two\nlines',
            ':',
            '\0',
            'ключ',
            '🔒',
            'k'.repeat(5000),
        ];
        for (const odd of KEYS) {
            test(`works with the key ${JSON.stringify(odd.slice(0, 10))}`, async () => {
                key = `${odd}${key}`;
                await granted('a');
                await wait('b');
                await wait('c');
                await releaseTo(store, key, 'a');
                if (facts.wakes) assert.strictEqual((await grantOf('b')).key, key);
                const claim = await granted('b', { ticket: 0 });
                assert.deepInclude(await store.inspect(key), { key, holder: 'b', fence: claim.fence });
                assert.deepEqual(await store.renew(key, 'a', TTL), { kind: 'gone' });
                await store.giveUp(key, 'c', 'c', true);
                assert.strictEqual(await releaseTo(store, key, 'b'), 'released');
                assert.isUndefined(await world.get(key));
            });
        }

        const HOLDERS = ['two words', 'host:1:x', '}{', '{x}', 'владелец', '🔑', '1', 'x123', 'h'.repeat(1000)];
        for (const odd of HOLDERS) {
            test(`works with the holder ${JSON.stringify(odd.slice(0, 10))}`, async () => {
                await granted('a');
                await wait(odd, { id: 'of the odd one' });
                await releaseTo(store, key, 'a');
                assert.strictEqual(await world.get(key), odd);
                if (facts.wakes) await grantOf('of the odd one');
                await granted(odd, { id: 'of the odd one', ticket: 0 });
                assert.strictEqual(await releaseTo(store, key, odd), 'released');
            });
        }

        test('tells whether waiters are woken', () => {
            assert.strictEqual(store.wakes, facts.wakes);
        });

        test('refuses everything after close', async () => {
            await store.close();
            await rejection(acquireFrom(store, request('a')), 'CLOSED');
            await rejection(store.renew(key, 'a', TTL), 'CLOSED');
            await rejection(releaseTo(store, key, 'a'), 'CLOSED');
            await rejection(store.giveUp(key, 'a', 'a', true), 'CLOSED');
            await rejection(store.inspect(key), 'CLOSED');
        });

        test('is closed twice without harm', async () => {
            await store.close();
            await store.close();
        });
    });
}
