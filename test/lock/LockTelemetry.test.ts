import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { CachedCounters, CounterType, Logger, LogCounters, LogLevel, LogTracer } from 'pip-services3-components-nodex';
import type { Counter } from 'pip-services3-components-nodex';
import { Context, Descriptor, References } from 'pip-services4-components-node';
import { DIAGNOSTICS_CHANNEL } from '../../src';
import type { LockContext, LockEvent, RedisLock } from '../../src';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { sharedServer, skipWithoutRedis } from '../fixtures/sharedServer';
import type { RedisAddress } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import { lockOf } from './lockOf';
import type { Settings } from './lockOf';

const TTL = 20_000;

/** The toolkit's logger, that keeps what it is told. */
class CapturingLogger extends Logger {
    readonly lines: { level: LogLevel; context: unknown; error: Error | null; message: string }[] = [];

    constructor() {
        super();
        this.setLevel(LogLevel.Trace);
    }

    protected override write(level: LogLevel, context: string, error: Error, message: string): void {
        this.lines.push({ level, context, error, message });
    }

    messages(level?: LogLevel): string[] {
        return this.lines.filter((line) => level === undefined || line.level === level).map(({ message }) => message);
    }
}

class CapturingCounters extends CachedCounters {
    protected override save(): void {
        // They stay in memory.
    }

    of(name: string): Counter | undefined {
        return this.getAll().find((counter) => counter.name === `redis_lock.acquire.${name}`);
    }
}

interface Span {
    readonly context: unknown;
    readonly name: string;
    outcome: 'open' | 'ended' | Error;
}

class CapturingTracer {
    readonly spans: Span[] = [];

    beginTrace(context: unknown, component: string, operation: string): object {
        const span: Span = { context, name: `${component}.${operation}`, outcome: 'open' };
        this.spans.push(span);
        return {
            endTrace: () => (span.outcome = 'ended'),
            endFailure: (error: Error) => (span.outcome = error),
        };
    }
}

/** A component that throws whatever it is asked for. */
function throwing(...methods: string[]): object {
    const fail = (): never => {
        throw new Error('The telemetry is broken');
    };
    return Object.fromEntries(methods.map((method) => [method, fail]));
}

/** A component whose calls reject when they have returned. */
function rejecting(...methods: string[]): object {
    const fail = (): Promise<never> => Promise.reject(new Error('The telemetry is broken'));
    return Object.fromEntries(methods.map((method) => [method, fail]));
}

function referencesTo(components: Readonly<Record<string, readonly unknown[]>>): References {
    const references = new References();
    for (const [type, all] of Object.entries(components)) {
        all.forEach((one, at) => references.put(new Descriptor('test', type, 'test', String(at), '1.0'), one));
    }
    return references;
}

suite('Telemetry', () => {
    let server: RedisAddress;
    let redis: ServerCommands;
    let logger: CapturingLogger;
    let counters: CapturingCounters;
    let tracer: CapturingTracer;
    let made: RedisLock[];
    let key: string;
    let counter = 0;

    suiteSetup(async () => {
        server = await sharedServer();
        redis = new ServerCommands(server);
    });
    suiteTeardown(() => redis[Symbol.asyncDispose]());
    setup(() => {
        counter += 1;
        key = `telemetry-${process.pid}-${counter}`;
        logger = new CapturingLogger();
        counters = new CapturingCounters();
        tracer = new CapturingTracer();
        made = [];
    });
    teardown(async () => {
        await Promise.all(made.map((lock) => lock.close(null)));
    });

    async function open(references?: References, settings: Settings = {}, address = server): Promise<RedisLock> {
        const lock = lockOf(address, settings);
        made.push(lock);
        lock.setReferences(references ?? referencesTo({ logger: [logger], counters: [counters], tracer: [tracer] }));
        await lock.open(null);
        return lock;
    }

    suite('counters', () => {
        test('count what is acquired and released, and measure how long was waited and held', async () => {
            const lock = await open();
            for (let times = 0; times < 3; times++) {
                await lock.tryAcquireLock(null, key, TTL);
                await lock.releaseLock(null, key);
            }
            assert.strictEqual(counters.of('acquired')?.count, 3);
            assert.strictEqual(counters.of('released')?.count, 3);
            for (const name of ['wait_time', 'hold_time']) {
                const measured = counters.of(name);
                assert.strictEqual(measured?.type, CounterType.Statistics);
                assert.strictEqual(measured?.count, 3);
                assert.isTrue((measured?.min ?? -1) >= 0 && (measured?.max ?? Infinity) < 5000);
            }
        });

        test('count what was busy and what timed out', async () => {
            const lock = await open();
            await lock.tryAcquireLock(null, key, TTL);
            await lock.tryAcquireLock(null, key, TTL);
            await rejection(lock.acquireLock(null, key, TTL, 150), 'LOCK_TIMEOUT');
            assert.strictEqual(counters.of('busy')?.count, 1);
            assert.strictEqual(counters.of('timeout')?.count, 1);
            assert.strictEqual(counters.of('acquired')?.count, 1);
        });

        test('count what was renewed and what was lost', async () => {
            const lock = await open();
            const lease = await lock.acquire(null, key, { ttl: 5000, keepAlive: false });
            await lease.renew();
            assert.strictEqual(counters.of('renewed')?.count, 1);
            await redis.client.del(key);
            await rejection(lease.renew(), 'LOCK_LOST');
            assert.strictEqual(counters.of('lost')?.count, 1);
            assert.strictEqual(counters.of('hold_time')?.count, 1);
            assert.isUndefined(counters.of('released'));
        });

        test('gauge how many are held and how many wait', async () => {
            const lock = await open();
            const lease = await lock.acquire(null, key);
            assert.strictEqual(counters.of('held')?.type, CounterType.LastValue);
            assert.strictEqual(counters.of('held')?.last, 1);
            assert.strictEqual(counters.of('waiting')?.last, 0);
            const waiting = lock.acquire(null, key, { timeout: 8000 });
            await until(() => counters.of('waiting')?.last === 1);
            await lease.release();
            await (await waiting).release();
            assert.strictEqual(counters.of('held')?.last, 0);
            assert.strictEqual(counters.of('waiting')?.last, 0);
        });

        test("may be the toolkit's LogCounters", async () => {
            const logging = new LogCounters();
            const references = referencesTo({ logger: [logger], counters: [logging] });
            logging.setReferences(references);
            const lock = await open(references);
            await lock.tryAcquireLock(null, key, TTL);
            await lock.releaseLock(null, key);
            logging.dump();
            const said = logger.messages(LogLevel.Info).join('\n');
            for (const name of ['acquired', 'released', 'wait_time', 'hold_time', 'held', 'waiting']) {
                assert.include(said, `redis_lock.acquire.${name} `);
            }
        });
    });

    suite('the logger', () => {
        test('is told of each step, at debug level, with the context of its caller', async () => {
            const lock = await open();
            const contexts = [Context.fromTraceId('trace-1'), 'trace-2', null];
            for (const context of contexts) {
                await lock.tryAcquireLock(context, key, TTL);
                await lock.tryAcquireLock(context, key, TTL);
                await rejection(lock.acquireLock(context, key, TTL, 150), 'LOCK_TIMEOUT');
                await lock.releaseLock(context, key);
                const lines = logger.lines.splice(0).filter(({ message }) => message.includes(key));
                assert.deepEqual(
                    lines.map(({ message }) => message.split(' ')[0]),
                    ['Acquired', 'Lock', 'Waiting', 'Lock', 'Released'],
                );
                for (const line of lines) {
                    assert.strictEqual(line.level, LogLevel.Debug);
                    assert.strictEqual(line.context, context);
                }
            }
        });

        test('is told of holder and fence', async () => {
            const lock = await open();
            const lease = await lock.acquire(null, key);
            assert.include(logger.messages(), `Acquired lock ${key} as ${lease.holder}, fence ${lease.fence}`);
            await lease.renew();
            assert.include(logger.messages(), `Renewed lock ${key} of ${lease.holder}`);
        });

        test('is told nothing wrong of keys with a percent sign', async () => {
            const lock = await open();
            await lock.tryAcquireLock(null, `${key}-100%d%s`, TTL);
            await lock.releaseLock(null, `${key}-100%d%s`);
            assert.isTrue(logger.messages().some((message) => message.startsWith(`Acquired lock ${key}-100%d%s as `)));
        });

        test('is warned when a lock is lost, with the context of who lost it', async () => {
            const lock = await open();
            const context = Context.fromTraceId('trace-1');
            const lease = await lock.acquire(context, key, { ttl: 200, keepAlive: false });
            await until(() => !lease.isHeld());
            const [warning] = logger.lines.filter(({ level }) => level === LogLevel.Warn);
            assert.strictEqual(warning?.context, context);
            assert.include(warning?.message, `Lost lock ${key} of ${lease.holder}: `);
        });
    });

    test('tells who took a lock by force, and why', async () => {
        const lock = await open();
        const { holder } = await lock.acquire(null, key);
        const context = Context.fromTraceId('trace-1');
        await lock.forceRelease(context, key, { by: 'anna@host', reason: 'it hangs' });
        const [warning] = logger.lines.filter(({ level }) => level === LogLevel.Warn);
        assert.strictEqual(warning?.context, context);
        assert.strictEqual(warning?.message, `Lock ${key} was taken from ${holder} by anna@host: it hangs`);
        assert.strictEqual(counters.of('forced')?.count, 1);
    });

    suite('the tracer', () => {
        test('gets a span of every operation, ended when it is done', async () => {
            const lock = await open();
            const context = Context.fromTraceId('trace-1');
            await lock.tryAcquireLock(context, key, TTL);
            await lock.releaseLock(context, key);
            await lock.acquireLock(context, key, TTL, 100);
            const { holder = '' } = await lock.inspect(context, key);
            await lock.renew(context, key, holder, TTL);
            await lock.release(context, key, holder);
            await lock.forceRelease(context, key, { by: 'a test', reason: 'to see it', holder });
            await (await lock.tryAcquire(context, key))?.release();
            await (await lock.acquire(context, key)).release();
            await lock.withLock(context, key, {}, () => Promise.resolve());
            await lock.lead(context, key, {}, () => Promise.resolve());
            assert.deepEqual(
                tracer.spans.map(({ name }) => name),
                [
                    'try_acquire_lock',
                    'release_lock',
                    'acquire_lock',
                    'inspect',
                    'renew',
                    'release',
                    'force_release',
                    'try_acquire',
                    'acquire',
                    'acquire',
                    'with_lock',
                    'acquire',
                    'lead',
                ].map((operation) => `redis_lock.${operation}`),
            );
            for (const span of tracer.spans) {
                assert.strictEqual(span.context, context);
                assert.strictEqual(span.outcome, 'ended', span.name);
            }
        });

        test('is told of the failure that the caller sees', async () => {
            const lock = await open();
            await lock.tryAcquireLock(null, key, TTL);
            const error = await rejection(lock.acquireLock('trace-1', key, TTL, 150), 'LOCK_TIMEOUT');
            const mine = new Error('of the work');
            await rejection(lock.withLock(null, `${key}-2`, {}, () => Promise.reject(mine)));
            // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- what others throw need not be an error
            const work = (): Promise<never> => Promise.reject('text');
            const [thrown] = await Promise.allSettled([lock.withLock(null, `${key}-2`, {}, work)]);
            assert.deepInclude(thrown, { status: 'rejected', reason: 'text' });
            const failed = tracer.spans.filter(({ outcome }) => outcome instanceof Error);
            assert.deepEqual(
                failed.map(({ name }) => name),
                ['redis_lock.acquire_lock', 'redis_lock.with_lock', 'redis_lock.with_lock'],
            );
            assert.strictEqual(failed[0]?.outcome, error);
            assert.strictEqual(failed[0]?.context, 'trace-1');
            assert.strictEqual(failed[1]?.outcome, mine);
            assert.strictEqual(String(failed[2]?.outcome), 'Error: text');
        });

        test("may be the toolkit's LogTracer", async () => {
            const logging = new LogTracer();
            const references = referencesTo({ logger: [logger], tracer: [logging] });
            logging.setReferences(references);
            const lock = await open(references);
            await lock.tryAcquireLock('trace-1', key, TTL);
            await rejection(lock.tryAcquireLock('trace-1', key, 0), 'BAD_TTL');
            assert.isTrue(
                logger.messages(LogLevel.Debug).some((one) => one.startsWith('Executed redis_lock.try_acquire_lock')),
            );
            const [failure] = logger.lines.filter(({ level }) => level === LogLevel.Error);
            assert.include(failure?.message, 'Failed to execute redis_lock.try_acquire_lock');
            assert.strictEqual(failure?.context, 'trace-1');
        });
    });

    suite('a lease that is renewed for very long', () => {
        const warnings = (): string[] =>
            logger.messages(LogLevel.Warn).filter((one) => one.includes('is still renewed'));

        test('is warned about once, with its key, holder and the name of the option', async () => {
            const lock = await open(undefined, { 'options.warn_held_after': 400 });
            const lease = await lock.acquire(null, key, { ttl: 300 });
            await until(() => warnings().length > 0);
            await sleep(500);
            assert.lengthOf(warnings(), 1);
            for (const part of [key, lease.holder, 'options.warn_held_after']) assert.include(warnings()[0], part);
            await lease.release();
        });

        test('is not warned about when it is that of a leader, whose term lasts', async () => {
            const lock = await open(undefined, { 'options.warn_held_after': 200 });
            const renewals = (): number => counters.of('renewed')?.count ?? 0;
            await lock.lead(null, key, { ttl: 300 }, () => until(() => renewals() > 3));
            assert.isEmpty(warnings());
        });

        test('is not warned about by default, nor when the option is 0', async () => {
            for (const settings of [{}, { 'options.warn_held_after': 0 }]) {
                const lock = await open(undefined, settings);
                const lease = await lock.acquire(null, key, { ttl: 300 });
                await sleep(500);
                await lease.release();
            }
            assert.isEmpty(warnings());
        });
    });

    suite('references', () => {
        test('to several of a kind are all served', async () => {
            const [more, others, another] = [new CapturingLogger(), new CapturingCounters(), new CapturingTracer()];
            const lock = await open(
                referencesTo({ logger: [logger, more], counters: [counters, others], tracer: [tracer, another] }),
            );
            await lock.tryAcquireLock(null, key, TTL);
            assert.deepEqual(more.messages(), logger.messages());
            assert.strictEqual(others.of('acquired')?.count, counters.of('acquired')?.count);
            assert.strictEqual(another.spans.length, tracer.spans.length);
        });

        test('to none, or to what is none of it, are no matter', async () => {
            const odd = ['text', 42, {}, { debug: 'text' }, throwing('debug')];
            for (const references of [new References(), referencesTo({ logger: odd, counters: odd, tracer: odd })]) {
                const lock = await open(references);
                assert.isTrue(await lock.tryAcquireLock(null, key, TTL));
                await lock.releaseLock(null, key);
            }
        });

        test('to what throws do not break the lock, and the others are told all the same', async () => {
            const badLogger = throwing('debug', 'info', 'warn');
            const badCounters = throwing('incrementOne', 'stats', 'last');
            const badTracers = [throwing('beginTrace'), { beginTrace: () => throwing('endTrace', 'endFailure') }];
            const lock = await open(
                referencesTo({
                    logger: [badLogger, logger, badLogger],
                    counters: [badCounters, counters, badCounters],
                    tracer: [...badTracers, tracer, ...badTracers],
                }),
            );
            assert.isTrue(await lock.tryAcquireLock(null, key, TTL));
            assert.isFalse(await lock.tryAcquireLock(null, key, TTL));
            await rejection(lock.acquireLock(null, key, TTL, 150), 'LOCK_TIMEOUT');
            await lock.releaseLock(null, key);
            assert.strictEqual(await lock.withLock(null, key, {}, () => Promise.resolve(7)), 7);
            assert.strictEqual(await redis.client.exists(key), 0);
            assert.strictEqual(counters.of('acquired')?.count, 2);
            assert.lengthOf(tracer.spans, 6);
            assert.include(logger.messages().join('\n'), 'Released');
        });

        test('to what rejects later do not break the lock, and leave no rejection to nobody', async () => {
            const lock = await open(
                referencesTo({
                    logger: [rejecting('debug', 'info', 'warn'), logger],
                    counters: [rejecting('incrementOne', 'stats', 'last'), counters],
                    tracer: [
                        rejecting('beginTrace'),
                        { beginTrace: () => rejecting('endTrace', 'endFailure') },
                        tracer,
                    ],
                }),
            );
            assert.isTrue(await lock.tryAcquireLock(null, key, TTL));
            await rejection(lock.acquireLock(null, key, TTL, 50), 'LOCK_TIMEOUT');
            await lock.releaseLock(null, key);
            await new Promise(setImmediate);
            assert.strictEqual(counters.of('acquired')?.count, 1);
            assert.lengthOf(tracer.spans, 3);
            assert.include(logger.messages().join('\n'), 'Released');
        });

        test('to tracers that give no span are no matter', async () => {
            const lock = await open(
                referencesTo({ tracer: [{ beginTrace: () => undefined }, { beginTrace: () => null }] }),
            );
            assert.isTrue(await lock.tryAcquireLock(null, key, TTL));
            await rejection(lock.tryAcquireLock(null, key, 0), 'BAD_TTL');
        });
    });

    suite('the diagnostics channel', () => {
        test('has every event, also without any references', async () => {
            const events: LockEvent[] = [];
            const listen = (event: unknown): void => void events.push(event as LockEvent);
            subscribe(DIAGNOSTICS_CHANNEL, listen);
            const lock = await open(new References());
            const context: LockContext = Context.fromTraceId('trace-1');
            const lease = await lock.acquire(context, key);
            await lock.tryAcquireLock(context, key, TTL);
            await lease.renew();
            await lease.release();
            unsubscribe(DIAGNOSTICS_CHANNEL, listen);
            const ours = events.filter((event) => 'key' in event && event.key === key);
            assert.deepEqual(
                ours.map(({ kind }) => kind),
                ['acquired', 'busy', 'renewed', 'released'],
            );
            assert.deepInclude(ours[0], { key, holder: lease.holder, context, fence: lease.fence });
        });

        test('may have subscribers that throw or reject: the process lives, and the others are told', async () => {
            const told: unknown[] = [];
            const throwsAtOnce = (): void => {
                throw new Error('The subscriber is broken');
            };
            const rejects = (): Promise<void> => Promise.reject(new Error('The subscriber is broken'));
            const listens = (event: unknown): void => void told.push(event);
            const all = [throwsAtOnce, rejects as () => void, listens];
            for (const one of all) subscribe(DIAGNOSTICS_CHANNEL, one);
            const lock = await open(new References());
            await lock.tryAcquireLock(null, key, TTL);
            await lock.releaseLock(null, key);
            await new Promise(setImmediate);
            for (const one of all) unsubscribe(DIAGNOSTICS_CHANNEL, one);
            assert.isAtLeast(told.length, 2);
        });

        test('may have a subscriber that unsubscribes while it is told', async () => {
            const told: string[] = [];
            const once = (): void => {
                told.push('once');
                unsubscribe(DIAGNOSTICS_CHANNEL, once);
            };
            const always = (): void => void told.push('always');
            for (const one of [once, always]) subscribe(DIAGNOSTICS_CHANNEL, one);
            const lock = await open(new References());
            await lock.tryAcquireLock(null, key, TTL);
            unsubscribe(DIAGNOSTICS_CHANNEL, always);
            assert.deepEqual(told.slice(0, 2), ['once', 'always']);
            assert.strictEqual(told.lastIndexOf('once'), 0);
        });

        test('is named as the package', () => {
            assert.strictEqual(DIAGNOSTICS_CHANNEL, 'pip-services4-redis-lock-node');
        });
    });

    suite('on a server of its own', () => {
        suiteSetup(skipWithoutRedis);

        test('the logger is warned when the server is gone, and told when it is back', async () => {
            await using own = await RedisServer.start();
            const lock = await open(undefined, { 'options.command_timeout': 300 }, own);
            logger.lines.length = 0;
            await own.kill();
            await until(() =>
                logger.messages(LogLevel.Warn).some((message) => message.startsWith('Redis cannot be used: ')),
            );
            await rejection(lock.tryAcquireLock('trace-1', key, TTL), 'CONNECTION_FAILED');
            const failed = logger.lines.find(({ message }) => message.startsWith(`A step of lock ${key} failed`));
            assert.strictEqual(failed?.context, 'trace-1');
            await own.restart();
            await until(
                () => logger.messages(LogLevel.Info).some((message) => /^Redis works again after \d+ ms/.test(message)),
                8000,
            );
            await lock.close(null);
        });

        test('the logger is warned of a server that may evict locks', async () => {
            await using own = await RedisServer.start({
                args: ['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru'],
            });
            const lock = await open(undefined, {}, own);
            const warnings = logger.messages(LogLevel.Warn);
            assert.lengthOf(warnings, 1);
            assert.include(warnings[0], 'allkeys-lru');
            await lock.close(null);
        });

        test('nothing is warned of a server that keeps everything, by its policy or for want of a limit', async () => {
            for (const args of [
                ['--maxmemory', '64mb'],
                ['--maxmemory-policy', 'allkeys-lru'],
            ]) {
                await using own = await RedisServer.start({ args });
                const lock = await open(undefined, {}, own);
                assert.isEmpty(logger.messages(LogLevel.Warn));
                await lock.close(null);
            }
        });
    });
});
