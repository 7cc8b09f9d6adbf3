import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import type { Lease, RedisLock } from '../../src';
import { ALONE, KINDS, lockOfKind } from '../fixtures/kinds';
import type { Locks } from '../fixtures/Locks';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { suiteServer } from '../fixtures/suiteServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';
import { WorkerProcess } from '../fixtures/WorkerProcess';

for (const kind of KINDS) {
    suite(`Leases${kind.name}`, function () {
        this.timeout(20_000);
        const ours = suiteServer();
        let lock: RedisLock;
        let other: RedisLock;

        setup(async () => {
            [lock, other] = [await opened(), await ours.locks.open()];
        });

        /** Its leases are of the kind. */
        async function opened(...parameters: Parameters<Locks['open']>): Promise<RedisLock> {
            return lockOfKind(await ours.locks.open(...parameters), kind);
        }

        /** Who has the key: what it holds, or the first of those who share it. */
        async function holderOf(key: string): Promise<string | undefined> {
            return (await other.inspect(null, key)).holder;
        }

        suite('of one key', () => {
            test('await using releases at the end of the block', async () => {
                {
                    await using lease = await lock.acquire(null, 'using', { ttl: 30_000 });
                    assert.strictEqual(await holderOf('using'), lease.holder);
                }
                assert.strictEqual(await ours.commands.client.exists('using'), 0);
            });

            test('release says whether the lease was still ours, and says it again', async () => {
                const lease = await lock.acquire(null, 'again', { ttl: 30_000 });
                assert.isTrue(await lease.release());
                assert.isTrue(await lease.release());
                assert.isFalse(lease.isHeld());
                assert.strictEqual(lease.remaining(), 0);
                assert.isFalse(lease.signal.aborted);
            });

            test('is alive after several ttls, without a gap', async () => {
                const lease = await lock.acquire(null, 'alive', { ttl: 400 });
                const end = performance.now() + 4 * 400;
                while (performance.now() < end) {
                    assert.isTrue(lease.isHeld());
                    assert.strictEqual(await holderOf('alive'), lease.holder);
                    assert.isNull(await other.tryAcquire(null, 'alive', { ttl: 400 }));
                    await sleep(10);
                }
                assert.isTrue(await lease.release());
            });

            test('runs out when it is not kept alive', async () => {
                const lease = await lock.acquire(null, 'out', { ttl: 300, keepAlive: false });
                const next = await other.acquire(null, 'out', { ttl: 300, timeout: Infinity });
                assert.isFalse(lease.isHeld());
                assert.isTrue(lease.signal.aborted);
                assert.isTrue(next.isHeld());
                assert.isFalse(await lease.release());
                assert.isTrue(await next.release());
            });

            test('renew lengthens it, by the ttl that is given', async () => {
                const lease = await lock.acquire(null, 'longer', { ttl: 500, keepAlive: false });
                await lease.renew(60_000);
                assert.isAbove(lease.remaining(), 50_000);
                assert.isAbove(await ours.commands.client.pttl('longer'), 50_000);
            });
        });

        suite('of several keys', () => {
            test('have all of them, in order, with a fence for each', async () => {
                const lease = await lock.acquire(null, ['b', 'c', 'a', 'b'], { ttl: 30_000 });
                assert.deepEqual(lease.keys, ['a', 'b', 'c']);
                assert.strictEqual(lease.fence, lease.fenceOf('a'));
                for (const key of lease.keys) {
                    assert.strictEqual(await holderOf(key), lease.holderOf(key));
                    assert.strictEqual(lease.fenceOf(key), (await other.inspect(null, key)).fence);
                }
                assert.isUndefined(lease.fenceOf('d'));
                assert.isTrue(await lease.release());
                assert.deepEqual(await ours.commands.left(), []);
            });

            test('that are all free take one round trip, and one to be given back', async () => {
                await (await lock.acquire(null, ['x', 'y'])).release();
                const keys = Array.from({ length: 96 }, (_, at) => `key:${at}`);
                await ours.commands.reset();
                const lease = await lock.acquire(null, keys, { ttl: 30_000 });
                // 32 in a command.
                assert.strictEqual(await ours.commands.scripts(), 3);
                assert.lengthOf(await ours.commands.left('key:*'), 96);
                await ours.commands.reset();
                assert.isTrue(await lease.release());
                assert.strictEqual(await ours.commands.scripts(), 3);
                assert.deepEqual(await ours.commands.left(), []);
            });

            test('have none when one of them is busy', async () => {
                const holder = await other.acquire(null, 'b', { ttl: 30_000 });
                assert.isNull(await lock.tryAcquire(null, ['a', 'b', 'c'], { ttl: 30_000 }));
                const error = await rejection(lock.acquire(null, ['a', 'b', 'c'], { timeout: 1000 }), 'LOCK_TIMEOUT');
                assert.strictEqual(error.details?.getAsString('key'), 'b');
                await until(async () => (await ours.commands.left()).join() === 'b');
                await holder.release();
            });

            test('have none when one of them holds something else', async () => {
                await ours.commands.client.lpush('b', 'no lock');
                await rejection(lock.acquire(null, ['a', 'b', 'c'], { ttl: 30_000 }), 'WRONG_TYPE');
                assert.deepEqual(await ours.commands.left(), ['b']);
            });

            test('keep what they have while they wait for the rest', async () => {
                const holder = await other.acquire(null, 'b', { ttl: 30_000 });
                const waiting = lock.acquire(null, ['a', 'b'], { ttl: 300, keepAlive: false, timeout: Infinity });
                await until(async () => (await other.inspect(null, 'b')).waiters.length === 1);
                await sleep(900);
                assert.isNull(await other.tryAcquire(null, 'a', { ttl: 300 }));
                await holder.release();
                const lease = await waiting;
                assert.isAbove(lease.remaining(), 100);
                assert.isTrue(lease.isHeld());
                await until(() => lease.signal.aborted);
            });

            test('do not block each other, whatever the order', async () => {
                let inside = 0;
                const work = async (component: RedisLock, keys: string[]): Promise<void> => {
                    for (let round = 0; round < 50; round++) {
                        await component.withLock(null, keys, { ttl: 30_000, timeout: Infinity }, async () => {
                            inside += 1;
                            await sleep(0);
                            assert.strictEqual(inside, 1);
                            inside -= 1;
                        });
                    }
                };
                await Promise.all([work(lock, ['x', 'y', 'z']), work(other, ['z', 'y', 'x'])]);
                assert.deepEqual(await ours.commands.left(), []);
            });

            test('are lost together', async () => {
                const lease = await lock.acquire(null, ['a', 'b'], { ttl: 300 });
                await ours.commands.client.del('b');
                await until(() => lease.signal.aborted);
                await until(async () => (await ours.commands.client.exists('a')) === 0);
            });
        });

        suite('by a holder of the caller', () => {
            test('are given again, with a greater fence', async () => {
                const lease = await lock.acquire(null, 'mine', { ttl: 500, holder: 'me' });
                const again = await lockOfKind(other, kind).tryAcquire(null, 'mine', { ttl: 60_000, holder: 'me' });
                assert.isAtLeast(again?.fence ?? 0, lease.fence + (kind === ALONE ? 1 : 0));
                assert.isAbove(await ours.commands.client.pttl('mine'), 50_000);
                assert.isNull(await other.tryAcquire(null, 'mine', { holder: 'somebody else' }));
            });

            test('are not released by somebody else', async () => {
                const lease = await lock.acquire(null, 'mine', { ttl: 30_000, holder: 'me' });
                assert.isFalse(await other.release(null, 'mine', 'somebody else'));
                assert.isFalse(await other.renew(null, 'mine', 'somebody else', 60_000));
                assert.isTrue(lease.isHeld());
                assert.isTrue(await other.release(null, 'mine', 'me'));
                assert.isFalse(await other.renew(null, 'mine', 'me', 60_000));
                assert.strictEqual(await ours.commands.client.exists('mine'), 0);
            });

            test('wait in line like others', async () => {
                const holder = await lock.acquire(null, 'mine', { ttl: 30_000 });
                const waiting = other.acquire(null, 'mine', { ttl: 30_000, holder: 'me', timeout: Infinity });
                await until(async () => (await lock.inspect(null, 'mine')).waiters.length === 1);
                await holder.release();
                const lease = await waiting;
                assert.strictEqual(await holderOf('mine'), 'me');
                assert.isTrue(await lease.release());
            });
        });

        suite('that are handed over', () => {
            test('are renewed and released by another process', async () => {
                await using worker = await WorkerProcess.start(ours.server);
                const lease = await lock.acquire(null, 'over', { ttl: 500 });
                const holder = lease.handOver();
                assert.isFalse(lease.isHeld());
                assert.isTrue(await worker.renew('over', holder, 60_000));
                assert.isAbove(await ours.commands.client.pttl('over'), 50_000);
                assert.isNull(await other.tryAcquire(null, 'over'));
                assert.isTrue(await worker.release('over', holder));
                assert.isFalse(await worker.renew('over', holder, 60_000));
                assert.isNotNull(await other.tryAcquire(null, 'over'));
            });

            test('are taken on from another process', async () => {
                await using worker = await WorkerProcess.start(ours.server);
                const { fence } = await worker.acquire('over', { ...kind.options, ttl: 60_000, keepAlive: true });
                const holder = await worker.handOver('over');
                await worker.kill();
                const lease = await lock.acquire(null, 'over', { holder, ttl: 60_000 });
                assert.strictEqual(lease.fence, fence);
                assert.isTrue(await lease.release());
            });

            test('are not renewed by who handed them over', async () => {
                const lease = await lock.acquire(null, 'over', { ttl: 300 });
                lease.handOver();
                await until(async () => (await ours.commands.client.exists('over')) === 0);
                assert.isFalse(lease.signal.aborted);
            });
        });

        suite('have a fence that', () => {
            test('rises over release, expiry, hand-off, SCRIPT FLUSH, FLUSHALL and a restart', async () => {
                await using own = await RedisServer.start();
                await using admin = new ServerCommands(own);
                const component = await opened({}, own);
                const fences: number[] = [];
                const alone = await ours.locks.open({}, own);
                const take = async (keepAlive = true, by = component): Promise<Lease> => {
                    const lease = await by.acquire(null, 'key', { ttl: 200, keepAlive, timeout: 10_000 });
                    fences.push(lease.fence);
                    return lease;
                };
                for (let at = 0; at < 20; at++) await (await take()).release();
                await take(false);
                const holder = await take(true, alone);
                const next = take();
                await until(async () => (await component.inspect(null, 'key')).waiters.length === 1);
                await holder.release();
                await (await next).release();
                await admin.client.script('FLUSH');
                await (await take()).release();
                await take(false);
                await admin.client.flushall();
                await (await take()).release();
                await own.restart();
                await (await take()).release();
                for (const [at, fence] of fences.entries()) {
                    assert.isAbove(fence, fences[at - 1] ?? 0);
                    assert.isTrue(Number.isSafeInteger(fence));
                }
            });

            test('rises also when the clock of the server is behind the last one', async () => {
                const future = 2 ** 52;
                await ours.commands.client.set('redis-lock:clock', String(future));
                const first = await lock.acquire(null, 'ahead', { ttl: 30_000 });
                assert.strictEqual(first.fence, future + 1);
                await first.release();
                assert.strictEqual((await lock.acquire(null, 'ahead')).fence, future + 2);
            });

            test('is the same for all that one acquisition sends', async () => {
                await using proxy = await TcpProxy.start(ours.server);
                const component = await opened({ command_timeout: 200 }, proxy);
                const holder = await other.acquire(null, 'resent', { ttl: 30_000 });
                const waiting = component.acquire(null, 'resent', { ttl: 30_000, timeout: Infinity });
                await until(async () => (await lock.inspect(null, 'resent')).waiters.length === 1);
                // It is granted, and does not hear of it before it asks again.
                proxy.pause('toClient');
                await holder.release();
                const { fence } = await lock.inspect(null, 'resent');
                proxy.cut();
                proxy.resume();
                assert.strictEqual((await waiting).fence, fence);
            });
        });

        suite('of withLock', () => {
            test('are released on every path', async () => {
                const options = { ttl: 30_000 };
                assert.strictEqual(await lock.withLock(null, 'with', options, async () => 42), 42);
                assert.strictEqual(await ours.commands.client.exists('with'), 0);
                const thrown = new Error('The work failed');
                const error = await rejection(lock.withLock(null, 'with', options, () => Promise.reject(thrown)));
                assert.strictEqual(error, thrown);
                assert.strictEqual(await ours.commands.client.exists('with'), 0);
            });

            test('let the error of the body win over the loss of the lock', async () => {
                const thrown = new Error('The work failed');
                const outcome = lock.withLock(null, 'with', { ttl: 30_000 }, async () => {
                    await ours.commands.client.del('with');
                    throw thrown;
                });
                assert.strictEqual(await rejection(outcome), thrown);
            });

            test('let the error of the body win over that of the release', async () => {
                await using proxy = await TcpProxy.start(ours.server);
                const component = await opened({ command_timeout: 200 }, proxy);
                const thrown = new Error('The work failed');
                const outcome = component.withLock(null, 'with', { ttl: 30_000 }, async () => {
                    proxy.pause();
                    throw thrown;
                });
                assert.strictEqual(await rejection(outcome), thrown);
                proxy.resume();
                await until(async () => (await ours.commands.client.exists('with')) === 0);
            });

            test('reject with LOCK_LOST when the lock was taken and the body did not notice', async () => {
                const outcome = lock.withLock(null, 'with', { ttl: 30_000 }, async () => {
                    await ours.commands.client.set('with', 'somebody');
                });
                await rejection(outcome, 'LOCK_LOST');
                assert.strictEqual(await ours.commands.client.get('with'), 'somebody');
            });
        });

        suite('of withLock whose lock is closed meanwhile', () => {
            for (const [what, options, context] of [
                ['', {}, null],
                [' within a call chain', { reentrant: true }, 'chain'],
            ] as const) {
                test(`reject with CLOSED${what}, though the work did not notice`, async () => {
                    const own = await opened(options);
                    const outcome = own.withLock(context, 'with', async () => {
                        await own.close(null);
                        return 7;
                    });
                    const error = await rejection(outcome, 'CLOSED');
                    assert.strictEqual(error.trace_id ?? null, context);
                    assert.strictEqual(await ours.commands.client.exists('with'), 0);
                });
            }

            test('tell the work by their signal, also when it is read later, and let its error win', async () => {
                const own = await opened();
                const thrown = new Error('The work failed');
                const outcome = own.withLock(null, 'with', async (lease) => {
                    await own.close(null);
                    assert.isTrue(lease.signal.aborted);
                    assert.strictEqual((lease.signal.reason as { code?: string }).code, 'CLOSED');
                    assert.throws(() => lease.assertHeld(), /closed/);
                    throw thrown;
                });
                assert.strictEqual(await rejection(outcome), thrown);
            });

            test('resolve where the work had released its lease before', async () => {
                const own = await opened();
                const outcome = own.withLock(null, 'with', async (lease) => {
                    assert.isTrue(await lease.release());
                    await own.close(null);
                    return 7;
                });
                assert.strictEqual(await outcome, 7);
            });
        });

        suite('end', () => {
            test('close releases what is held and sends away who waits', async () => {
                const held = await Promise.all(
                    Array.from({ length: 50 }, (_, at) => lock.acquire(null, `held:${at}`, { ttl: 30_000 })),
                );
                const holder = await other.acquire(null, 'busy', { ttl: 30_000 });
                const waiting = rejection(lock.acquire(null, 'busy', { timeout: Infinity }), 'CLOSED');
                await until(async () => (await other.inspect(null, 'busy')).waiters.length === 1);
                await lock.close(null);
                await waiting;
                assert.deepEqual(await ours.commands.left(), ['busy']);
                assert.isFalse(held.some((lease) => lease.isHeld()));
                await rejection(lock.tryAcquire(null, 'busy'), 'CLOSED');
                await holder.release();
            });

            test('close also releases what is granted in the same moment', async () => {
                const leases = Array.from({ length: 50 }, (_, at) =>
                    lock.acquire(null, `held:${at}`, { ttl: 30_000 }).catch(() => null),
                );
                await Promise.race(leases);
                await lock.close(null);
                await Promise.all(leases);
                await until(async () => (await ours.commands.left()).length === 0);
            });

            test('close takes no longer than command_timeout when the server is silent', async () => {
                await using proxy = await TcpProxy.start(ours.server);
                const component = await opened({ command_timeout: 300 }, proxy);
                await component.acquire(null, 'silent', { ttl: 500 });
                proxy.pause();
                const began = performance.now();
                await component.close(null);
                const took = performance.now() - began;
                console.log(`      closed after ${Math.round(took)} ms`);
                assert.isBelow(took, 3000);
            });

            test('1,000 random aborts leave no key, no timer, no listener', async () => {
                // Held now and then, so that some wait, some are granted and some are asking when they are aborted.
                const shared = new AbortController();
                let acquired = 0;
                // Only now does mocha's own timer run.
                await sleep(1);
                const timers = timersNow();
                const attempts = Array.from({ length: 1000 }, async (_, at) => {
                    const own = new AbortController();
                    const signal = at % 3 === 0 ? AbortSignal.any([own.signal, shared.signal]) : own.signal;
                    const timeout = at % 2 === 0 ? Infinity : Math.floor(Math.random() * 200) + 1;
                    const timer = setTimeout(() => own.abort(), Math.random() * 600);
                    const keys = at % 10 === 0 ? [`random:${at % 7}`, `random:${at % 5}`] : `random:${at % 20}`;
                    await sleep(Math.random() * 50);
                    const component = at % 4 === 0 ? other : lock;
                    try {
                        const lease = await component.acquire(null, keys, { ttl: 30_000, timeout, signal });
                        acquired += 1;
                        if (at % 5 === 0) await sleep(Math.random() * 5);
                        assert.isTrue(await lease.release());
                    } catch (error) {
                        // CONNECTION_FAILED: within a timeout of a few ms no answer came.
                        const codes = ['LOCK_ABORTED', 'LOCK_TIMEOUT', 'CONNECTION_FAILED'];
                        assert.include(codes, (error as { code?: string }).code);
                    } finally {
                        clearTimeout(timer);
                    }
                    assert.isEmpty(getEventListeners(own.signal, 'abort'));
                    assert.isEmpty(getEventListeners(signal, 'abort'));
                });
                await Promise.all(attempts);
                console.log(`      ${acquired} of 1,000 were served`);
                // What was given up is taken back in the background.
                await until(async () => (await ours.commands.left()).length === 0);
                for (let at = 0; at < 20; at++) await (await other.acquire(null, `random:${at}`)).release();
                // The hand-offs that were made are followed for one claim window.
                await until(() => timersNow() <= timers, 8000);
            });

            test('an attempt in flight is given up, and what it was granted late is undone', async () => {
                await using proxy = await TcpProxy.start(ours.server);
                const component = await opened({}, proxy);
                const controller = new AbortController();
                const { signal } = controller;
                proxy.pause('toServer');
                const attempt = component.acquire(null, 'late', { ttl: 30_000, signal });
                await sleep(20);
                controller.abort(new Error('No longer wanted'));
                const error = await rejection(attempt, 'LOCK_ABORTED');
                assert.notInclude(error.message, 'undefined');
                await rejection(component.acquire(null, 'late', { ttl: 30_000, timeout: 50 }));
                proxy.resume();
                await until(async () => (await lock.inspect(null, 'late')).holder === undefined);
                const lease = await lock.tryAcquire(null, 'late');
                assert.isTrue(await lease?.release());
            });
        });
    });
}

function timersNow(): number {
    return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
}
