import { assert } from 'chai';
import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import type { Lease } from '../../../src/engine/lease/Lease';
import { Locker } from '../../../src/engine/locker/Locker';
import type { LeaseOptions } from '../../../src/engine/locker/LeaseOptions';
import { LockError } from '../../../src/engine/port/errors';
import type { LockErrorCode } from '../../../src/engine/port/errors';
import type { LockEvent } from '../../../src/engine/port/LockObserver';
import { FakeStore } from '../../fixtures/FakeStore';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

const TTL = 30_000;

/** One term: its lease, and how it ends. */
interface Term {
    readonly lease: Lease;
    readonly resolve: (result: string) => void;
    readonly reject: (error: Error) => void;
}

suite('Locker.lead', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let locker: Locker;
    let events: LockEvent[];
    let terms: Term[];
    /** How many terms are under way. */
    let leading: number;

    setup(async () => {
        clock = new VirtualClock();
        store = new FakeStore(clock);
        events = [];
        terms = [];
        leading = 0;
        locker = new Locker(store, { ttl: TTL }, { observe: (event) => events.push(event) }, clock);
        await locker.open();
    });
    teardown(() => {
        assert.deepEqual(locker.load, { held: 0, waiting: 0 });
        assert.strictEqual(clock.timers, 0);
    });

    /** Leads `key`; each term is ended by hand. */
    function lead(options: LeaseOptions = {}, keys: string | readonly string[] = 'key'): Promise<string> {
        return locker.lead(keys, options, async (lease) => {
            leading += 1;
            assert.strictEqual(leading, 1, 'one term at a time');
            try {
                return await new Promise<string>((resolve, reject) => terms.push({ lease, resolve, reject }));
            } finally {
                leading -= 1;
            }
        });
    }

    /** The present term. */
    function term(): Term {
        const last = terms.at(-1);
        assert.isDefined(last);
        return last;
    }

    /** Another process takes the key for a while, by force; the leader is told of it. */
    async function lose(): Promise<void> {
        store.put('key', 'other', TTL);
        await clock.advance(TTL / 2);
        assert.isTrue(term().lease.signal.aborted);
    }

    function warnings(): string[] {
        return events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
    }

    suite('when the work ends by itself', () => {
        test('gives what it returns, and the key is free', async () => {
            const led = lead();
            await settled();
            assert.strictEqual(store.holderOf('key'), term().lease.holder);
            term().resolve('done');
            assert.strictEqual(await led, 'done');
            assert.isUndefined(store.holderOf('key'));
            assert.lengthOf(terms, 1);
        });

        test('rejects with what it throws, and the key is free', async () => {
            const led = lead();
            await settled();
            term().reject(new Error('the work failed'));
            assert.strictEqual((await rejection(led)).message, 'the work failed');
            assert.isUndefined(store.holderOf('key'));
            assert.isEmpty(warnings());
        });

        test('rejects with what it throws before it returns a promise', async () => {
            const led = locker.lead('key', {}, () => {
                throw new Error('the work failed');
            });
            assert.strictEqual((await rejection(led)).message, 'the work failed');
            assert.isUndefined(store.holderOf('key'));
        });

        test('gives what it returns when it has resigned by itself', async () => {
            for (const resign of [(lease: Lease) => lease.release(), (lease: Lease) => lease.handOver()]) {
                const led = lead();
                await settled();
                await resign(term().lease);
                term().resolve('done');
                assert.strictEqual(await led, 'done');
                store.delete('key');
            }
        });

        test('gives what it returns when the release has no answer', async () => {
            const led = lead();
            await settled();
            store.holding = true;
            term().resolve('done');
            await settled();
            store.releases[0]?.fail();
            assert.strictEqual(await led, 'done');
            store.proceed();
            await clock.advance(TTL);
        });

        test('gives what it returns, and warns, when the key was taken and nobody knew of it', async () => {
            const led = lead();
            await settled();
            store.put('key', 'other', TTL);
            term().resolve('done');
            assert.strictEqual(await led, 'done');
            assert.strictEqual(store.holderOf('key'), 'other');
            assert.match(warnings().join(), /^key was taken or deleted/);
        });
    });

    suite('waits', () => {
        test('without end, and leads then', async () => {
            store.put('key', 'other', 100 * TTL);
            const led = lead({ timeout: 5 });
            await clock.advance(100 * TTL - 1000);
            assert.isEmpty(terms);
            await clock.advance(2000);
            term().resolve('done');
            await led;
        });

        test('through an outage', async () => {
            store.holding = true;
            const led = lead();
            for (let time = 0; time < 600; time++) {
                for (const call of store.acquires) if (!call.answered) call.fail('SERVER_REFUSED');
                await clock.advance(100);
            }
            assert.isEmpty(terms);
            store.proceed();
            await clock.advance(2000);
            term().resolve('done');
            await led;
            assert.lengthOf(warnings(), 1);
        });

        test('while replicas are away, and says so once', async () => {
            store.holding = true;
            const led = lead();
            for (let time = 0; time < 100; time++) {
                for (const call of store.acquires) if (!call.answered) call.fail('NOT_REPLICATED');
                await clock.advance(100);
            }
            assert.isBelow(store.acquires.length, 25, 'with pauses');
            store.proceed();
            await clock.advance(2000);
            term().resolve('done');
            await led;
            assert.match(warnings().join('\n'), /^key cannot be led for now.*NOT_REPLICATED.$/);
        });

        test('on when one of several keys is lost while another is waited for', async () => {
            store.put('b', 'other', 2 * TTL);
            const led = lead({}, ['a', 'b']);
            await clock.advance(1000);
            store.delete('a');
            await clock.advance(3 * TTL);
            assert.deepEqual(term().lease.keys, ['a', 'b']);
            term().resolve('done');
            await led;
        });

        for (const code of ['NO_PERMISSION', 'WRONG_TYPE', 'NOT_SUPPORTED'] satisfies LockErrorCode[]) {
            test(`no longer when that is no use: ${code}`, async () => {
                store.holding = true;
                const led = rejection(lead(), code);
                await settled();
                store.acquires[0]?.fail(code);
                await clock.advance(10);
                await led;
                assert.isEmpty(terms);
                store.proceed();
            });
        }
    });

    suite('keeps its lease alive', () => {
        test('for as long as the work takes, whatever it was told', async () => {
            const led = lead({ keepAlive: false, ttl: 1000 });
            await clock.advance(100_000);
            assert.lengthOf(terms, 1);
            assert.isTrue(term().lease.isHeld());
            term().resolve('done');
            await led;
        });
    });

    suite('when the lease is lost', () => {
        test('tells the work, waits for it, stands in line again, and leads with a greater fence', async () => {
            const led = lead();
            await settled();
            const first = term();
            await lose();
            assert.include(first.lease.signal.reason, { code: 'LOCK_LOST' });
            // The work takes its time.
            await clock.advance(10 * TTL);
            assert.lengthOf(terms, 1);
            assert.deepEqual(store.lineOf('key'), []);
            first.resolve('too late');
            await clock.advance(2000);
            assert.lengthOf(terms, 2);
            assert.isAbove(term().lease.fence, first.lease.fence);
            assert.notStrictEqual(term().lease.holder, first.lease.holder);
            assert.isFalse(term().lease.signal.aborted);
            term().resolve('done');
            assert.strictEqual(await led, 'done');
        });

        test('stands at the end of the line', async () => {
            const other = new Locker(store.another(), { ttl: TTL }, undefined, clock);
            await other.open();
            const led = lead();
            await settled();
            const waiting = other.acquire('key', { timeout: Infinity });
            await settled();
            await locker.forceRelease('key', { by: 'a test', reason: 'to see it' });
            const next = await waiting;
            await clock.advance(TTL / 2);
            term().resolve('too late');
            await clock.advance(1000);
            assert.lengthOf(store.lineOf('key'), 1);
            await next.release();
            await settled();
            assert.lengthOf(terms, 2);
            assert.isAbove(term().lease.fence, next.fence);
            term().resolve('done');
            assert.strictEqual(await led, 'done');
            await other.close();
        });

        test('drops what the work throws because of it, and warns of what it throws besides', async () => {
            const led = lead();
            const aborted = new DOMException('The operation was aborted', 'AbortError');
            for (const error of [
                undefined,
                aborted,
                new LockError('LOCK_LOST', 'From assertHeld.'),
                new Error('Mine.'),
            ]) {
                await clock.advance(2000);
                const { lease, reject } = term();
                await lose();
                reject(error ?? (lease.signal.reason as Error));
                await clock.advance(TTL);
            }
            assert.lengthOf(warnings(), 1);
            assert.match(warnings().join(), /^key was led no more when the work failed: Mine\.$/);
            term().resolve('done');
            assert.strictEqual(await led, 'done');
            assert.lengthOf(terms, 5);
        });

        test('also while the event loop was blocked, leads again', async () => {
            const led = lead();
            await settled();
            clock.skip(TTL);
            term().resolve('too late');
            await clock.advance(2000);
            assert.lengthOf(terms, 2);
            term().resolve('done');
            assert.strictEqual(await led, 'done');
        });

        test('does not loop when every term is lost at once', async () => {
            let count = 0;
            let isLasting = false;
            const led = locker.lead('key', {}, async (lease) => {
                count += 1;
                if (isLasting) return;
                store.delete('key');
                await lease.renew();
            });
            await clock.advance(60_000);
            assert.isAtLeast(count, 30);
            assert.isAtMost(count, 130);
            isLasting = true;
            await clock.advance(2000);
            await led;
        });

        test('waits no longer for each loss after a term that lasted', async () => {
            const led = lead();
            for (let time = 0; time < 10; time++) {
                await clock.advance(2000);
                const { resolve } = term();
                store.put('key', 'other', TTL);
                await clock.advance(TTL / 2);
                store.delete('key');
                resolve('too late');
                await clock.advance(1);
                assert.lengthOf(terms, time + 2);
            }
            term().resolve('done');
            await led;
        });
    });

    suite('when its signal aborts', () => {
        let stop: AbortController;
        let options: LeaseOptions;

        setup(() => {
            stop = new AbortController();
            options = { signal: stop.signal };
        });
        teardown(() => {
            assert.isEmpty(getEventListeners(stop.signal, 'abort'));
        });

        test('before, does nothing', async () => {
            stop.abort('enough');
            const error = await rejection(lead(options), 'LOCK_ABORTED');
            assert.strictEqual(error.cause, 'enough');
            assert.isEmpty(store.acquires);
        });

        test('while it waits, leaves the line', async () => {
            store.put('key', 'other', TTL);
            const led = rejection(lead(options), 'LOCK_ABORTED');
            await clock.advance(1000);
            stop.abort();
            await led;
            await settled();
            assert.deepEqual(store.lineOf('key'), []);
        });

        test('while it leads, tells the work, and resigns when that has settled', async () => {
            for (const end of [(one: Term) => one.resolve('done'), (one: Term) => one.reject(new Error('Mine.'))]) {
                stop = new AbortController();
                const led = rejection(lead({ signal: stop.signal }), 'LOCK_ABORTED');
                await settled();
                const { lease } = term();
                stop.abort('enough');
                assert.isTrue(lease.signal.aborted);
                assert.include(lease.signal.reason, { code: 'LOCK_ABORTED', cause: 'enough' });
                await clock.advance(5 * TTL);
                assert.isTrue(lease.isHeld(), 'the work is still under the lease');
                end(term());
                await led;
                assert.isUndefined(store.holderOf('key'));
            }
        });

        test('after a loss, does not lead again', async () => {
            const led = rejection(lead(options), 'LOCK_ABORTED');
            await settled();
            await lose();
            stop.abort();
            term().resolve('too late');
            await led;
            assert.lengthOf(terms, 1);
        });

        test('in the pause after a short term, ends at once', async () => {
            const led = rejection(lead(options), 'LOCK_ABORTED');
            await settled();
            store.delete('key');
            const { lease, reject } = term();
            reject(await rejection(lease.renew()));
            await settled();
            stop.abort();
            await led;
        });

        test('many calls end, which listen to it once', async () => {
            store.put('key', 'other', TTL);
            const many = Array.from({ length: 20 }, () => rejection(lead(options), 'LOCK_ABORTED'));
            await settled();
            // One for all that wait, one for all calls.
            assert.isAtMost(getEventListeners(stop.signal, 'abort').length, 2);
            stop.abort();
            await Promise.all(many);
            await settled();
        });
    });

    suite('when the locker is closed', () => {
        test('while it waits, rejects with CLOSED', async () => {
            store.put('key', 'other', TTL);
            const led = rejection(lead(), 'CLOSED');
            await clock.advance(1000);
            await locker.close();
            await led;
        });

        test('while it leads, tells the work, and rejects with CLOSED when that has settled', async () => {
            const led = rejection(lead(), 'CLOSED');
            await settled();
            await locker.close();
            assert.include(term().lease.signal.reason, { code: 'CLOSED' });
            term().resolve('too late');
            await led;
            assert.lengthOf(terms, 1);
        });

        test('in the pause after a short term, rejects with CLOSED at once', async () => {
            const led = rejection(lead(), 'CLOSED');
            await settled();
            store.delete('key');
            const { lease, reject } = term();
            reject(await rejection(lease.renew()));
            await settled();
            await locker.close();
            await led;
        });
    });

    test('gives the work a whole lease', async () => {
        const led = locker.lead('key', { context: 'mine' }, async (lease) => {
            await lease.renew(2 * TTL);
            assert.isAbove(lease.remaining(), TTL);
            lease.assertHeld();
            assert.strictEqual(lease.fenceOf('key'), lease.fence);
            assert.match(inspect(lease), /Lease.*key/);
            locker.keepAlive(lease, true);
            return 'done';
        });
        assert.strictEqual(await led, 'done');
        for (const event of events) if ('context' in event) assert.strictEqual(event.context, 'mine');
        assert.includeMembers(
            events.map(({ kind }) => kind),
            ['acquired', 'released'],
        );
    });

    test('gives each term a holder of its own, whichever it was told', async () => {
        const led = lead({ holder: 'me' });
        await settled();
        assert.notInclude(term().lease.holder, 'me:');
        assert.notStrictEqual(term().lease.holder, 'me');
        term().resolve('done');
        await led;
    });

    test('refuses what makes no sense, before it takes the key', async () => {
        const work = (): Promise<void> => Promise.resolve();
        assert.include((await rejection(locker.lead('key', {}, 5 as never), 'BAD_PARAMETER')).message, 'work');
        assert.include((await rejection(locker.lead('key', null as never, work), 'BAD_PARAMETER')).message, 'options');
        const signal = {} as AbortSignal;
        assert.include((await rejection(locker.lead('key', { signal }, work), 'BAD_PARAMETER')).message, 'signal');
        await rejection(locker.lead('', {}, work), 'BAD_KEY');
        await rejection(locker.lead('key', { ttl: 0 }, work), 'BAD_TTL');
        assert.isEmpty(store.acquires);
    });

    test('refuses to lead before open and after close', async () => {
        const one = new Locker(store.another(), {}, undefined, clock);
        await rejection(
            one.lead('key', {}, () => Promise.resolve()),
            'NOT_OPENED',
        );
        await one.open();
        await one.close();
        await rejection(
            one.lead('key', {}, () => Promise.resolve()),
            'CLOSED',
        );
    });
});
