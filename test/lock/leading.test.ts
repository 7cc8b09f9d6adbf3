import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { ConfigParams, Context, References } from 'pip-services4-components-node';
import { RedisLock } from '../../src';
import type { Lease } from '../../src';
import { Locks } from '../fixtures/Locks';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';
import type { Term } from '../fixtures/worker';
import { WorkerProcess } from '../fixtures/WorkerProcess';

const KEY = 'leader';
const TTL = 1500;

/** How long after the end of a dead leader's lease the next one may begin, ms, on a machine that has time. */
const MARGIN = 50;

/** A machine whose timers are late is so in many steps of a take-over. */
const STEPS = 10;

suite('Leading', function () {
    this.timeout(60_000);
    let server: RedisServer;
    let commands: ServerCommands;

    suiteSetup(skipWithoutRedis);
    setup(async () => {
        server = await RedisServer.start();
        commands = new ServerCommands(server);
    });
    teardown(async () => {
        await commands[Symbol.asyncDispose]();
        await server.stop();
    });

    suite('among processes', () => {
        let proxy: TcpProxy;
        let first: WorkerProcess;
        let second: WorkerProcess;

        setup(async () => {
            proxy = await TcpProxy.start(server);
            [first, second] = await Promise.all([WorkerProcess.start(proxy), WorkerProcess.start(server)]);
            await first.lead(KEY, TTL);
            await until(() => first.terms.length === 1);
            await second.lead(KEY, TTL);
            await until(async () => (await commands.client.zcard(`redis-lock:{${KEY}}:q`)) === 1);
        });
        teardown(async () => {
            await Promise.all([first.kill(), second.kill()]);
            await proxy.stop();
        });

        /** When the lease of the leader ends, ms on the clock of the server, once it is not renewed any more. */
        async function end(): Promise<number> {
            // A renewal may still be on its way.
            await sleep(TTL / 15);
            const told = await commands.client.multi().time().pttl(KEY).exec();
            const answers = (told ?? []).map(([, answer]) => answer);
            const [[seconds, micros], remaining] = answers as [[string, string], number];
            assert.isAbove(remaining, 0);
            return Number(seconds) * 1000 + Number(micros) / 1000 + remaining;
        }

        /** The term that follows one whose lease ends then, on the clock of the server: a fence is a time of it. */
        async function nextAfter(expiry: number): Promise<Term> {
            await until(() => second.terms.length === 1, 4 * TTL);
            const [term] = second.terms;
            assert.isDefined(term);
            const after = term.fence / 1000 - expiry;
            console.log(`      ${after.toFixed(1)} ms after the end; timers were ${term.late.toFixed(1)} ms late`);
            // The key expires on whole ms of the server's clock, and the two answers are not quite of the same instant.
            assert.isAbove(after, -MARGIN);
            assert.isBelow(after, MARGIN + STEPS * term.late);
            return term;
        }

        /** Nobody saw itself lead when the next one did, and the signal aborted by the deadline. */
        async function checkLoss(next: Term): Promise<void> {
            await until(() => first.terms.some(({ loss }) => loss !== undefined), 4 * TTL);
            const { loss } = first.terms.find((term) => term.loss !== undefined) ?? {};
            assert.isDefined(loss);
            assert.isBelow(loss.held, next.began);
            assert.isBelow(loss.deadline, next.began);
        }

        test('the next leads within the ttl and 50 ms when the leader is killed', async () => {
            await first.kill();
            await nextAfter(await end());
        });

        test('the next leads within the ttl and 50 ms when the leader is frozen, which knows when it thaws', async () => {
            first.freeze();
            const next = await nextAfter(await end());
            await sleep(2 * TTL);
            first.thaw();
            await checkLoss(next);
            // It stands in line, and leads again when the other one is gone.
            await until(async () => (await commands.client.zcard(`redis-lock:{${KEY}}:q`)) === 1);
            assert.lengthOf(second.terms, 1);
            await second.kill();
            await until(() => first.terms.length === 3, 4 * TTL);
            assert.isAbove(first.terms.at(-1)?.fence ?? 0, next.fence);
        });

        test('the next leads within the ttl and 50 ms when the leader is cut off, which knows by its deadline', async () => {
            proxy.pause();
            const next = await nextAfter(await end());
            await checkLoss(next);
            const { loss, late = 0 } = first.terms.find((term) => term.loss !== undefined) ?? {};
            assert.isDefined(loss);
            assert.isBelow(loss.told - loss.deadline, MARGIN + STEPS * late);
            proxy.resume();
            await second.kill();
            await until(() => first.terms.length === 3, 4 * TTL);
            assert.isAbove(first.terms.at(-1)?.fence ?? 0, next.fence);
        });

        test('the next leads at once when the leader closes', async () => {
            await first.close();
            await until(() => second.terms.length === 1);
            assert.isAbove(second.terms[0]?.fence ?? 0, first.terms[0]?.fence ?? Infinity);
        });
    });

    suite('of a component', () => {
        /** Settles when the signal of a lease aborts. */
        function told({ signal }: Lease): Promise<void> {
            return new Promise((resolve) => {
                if (signal.aborted) resolve();
                signal.addEventListener('abort', () => resolve());
            });
        }

        test('runs in one at a time, and again after a loss', async () => {
            await using locks = new Locks(server);
            const [one, other, operator] = [await locks.open(), await locks.open(), await locks.open()];
            const stop = new AbortController();
            const fences: number[] = [];
            let leading = 0;
            const led = [one, other].map((lock) =>
                rejection(
                    lock.lead(null, KEY, { ttl: 600, signal: stop.signal }, async (lease) => {
                        leading += 1;
                        fences.push(lease.fence);
                        await told(lease);
                        leading -= 1;
                    }),
                    'LOCK_ABORTED',
                ),
            );
            for (let count = 1; count <= 5; count++) {
                await until(() => fences.length === count, 10_000);
                await until(async () => (await operator.inspect(null, KEY)).waiters.length === 1, 10_000);
                assert.isAtMost(leading, 2);
                await operator.forceRelease(null, KEY, { by: 'a test', reason: 'to see it' });
            }
            await until(() => fences.length === 6, 10_000);
            assert.deepEqual(
                fences,
                [...fences].sort((a, b) => a - b),
            );
            stop.abort();
            await Promise.all(led);
            assert.deepEqual(await commands.left(), []);
        });

        test('runs in as many as a limit allows', async () => {
            await using locks = new Locks(server);
            const all = await locks.openMany(4);
            const stops = all.map(() => new AbortController());
            const leading = new Set<number>();
            const led = all.map((lock, at) =>
                lock
                    .lead(null, KEY, { limit: 2, signal: stops[at]?.signal }, async (lease) => {
                        leading.add(at);
                        assert.isAtMost(leading.size, 2);
                        assert.strictEqual(lease.mode, 'shared');
                        await told(lease);
                        leading.delete(at);
                    })
                    .catch((error: unknown) => error),
            );
            const seen = new Set<number>();
            while (seen.size < 4) {
                await until(() => leading.size === Math.min(2, 4 - seen.size));
                for (const at of [...leading]) {
                    seen.add(at);
                    stops[at]?.abort();
                }
                await until(() => ![...leading].some((at) => seen.has(at)));
            }
            for (const outcome of await Promise.all(led)) assert.propertyVal(outcome, 'code', 'LOCK_ABORTED');
            assert.deepEqual(await commands.left(), []);
        });

        test('waits through a restart of Redis', async () => {
            await using locks = new Locks(server);
            const [one, other] = [await locks.open({ command_timeout: 500 }), await locks.open()];
            await other.acquire(null, KEY);
            const led = one.lead(null, KEY, () => Promise.resolve('done'));
            await until(async () => (await other.inspect(null, KEY)).waiters.length === 1);
            await server.kill();
            await sleep(1000);
            await server.restart();
            assert.strictEqual(await led, 'done');
        });

        test('waits for Redis where its lock opens by itself', async () => {
            const lock = new RedisLock();
            const { host, port } = server;
            const settings = ['connection.host', host, 'connection.port', port, 'options.connect_timeout', 300];
            lock.configure(ConfigParams.fromTuples(...settings));
            lock.setReferences(new References());
            await server.kill();
            try {
                const led = lock.lead(Context.fromTraceId('trace'), KEY, () => Promise.resolve('done'));
                await sleep(1000);
                await server.restart();
                assert.strictEqual(await led, 'done');
            } finally {
                await lock.close(null);
            }
        });

        test('ends with CLOSED when the lock is closed, waiting and leading', async () => {
            await using locks = new Locks(server);
            const [one, other] = [await locks.open(), await locks.open()];
            const leading = rejection(one.lead(null, KEY, told), 'CLOSED');
            await until(async () => (await one.inspect(null, KEY)).holder !== undefined);
            const waiting = rejection(other.lead(null, KEY, told), 'CLOSED');
            await until(async () => (await one.inspect(null, KEY)).waiters.length === 1);
            await other.close(null);
            assert.strictEqual((await waiting).constructor.name, 'InvalidStateException');
            await one.close(null);
            await leading;
        });

        test('throws what will not pass, as an exception with the trace id', async () => {
            await using locks = new Locks(server);
            const lock = await locks.open();
            await commands.client.rpush(KEY, 'no string');
            const context = Context.fromTraceId('trace');
            const error = await rejection(
                lock.lead(context, KEY, () => Promise.resolve()),
                'WRONG_TYPE',
            );
            assert.strictEqual(error.trace_id, 'trace');
            const none = rejection(lock.lead(context, KEY, {}, 'none' as never), 'BAD_PARAMETER');
            assert.strictEqual((await none).trace_id, 'trace');
            await rejection(
                lock.lead(context, KEY, null as never, () => Promise.resolve()),
                'BAD_PARAMETER',
            );
        });

        test('lets its call chain take the key again while it leads', async () => {
            await using locks = new Locks(server);
            const lock = await locks.open({ reentrant: true });
            const context = Context.fromTraceId('trace');
            const led = lock.lead(context, KEY, async (lease) => {
                await lock.withLock(context, KEY, { timeout: 0 }, () => Promise.resolve());
                lease.assertHeld();
                return lease.fence;
            });
            assert.isAbove(await led, 0);
            assert.deepEqual(await commands.left(), []);
        });
    });
});
