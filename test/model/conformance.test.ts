import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { READER } from '../../src/engine/port/LockStore';
import { acquireQueuedScript, acquireScript, acquireSharedScript } from '../../src/engine/redis/scripts/acquire';
import { downgradeScript } from '../../src/engine/redis/scripts/downgrade';
import { inspectScript } from '../../src/engine/redis/scripts/inspect';
import { releaseQueuedScript, releaseScript, releaseSharedScript } from '../../src/engine/redis/scripts/release';
import { renewScript, renewSharedScript } from '../../src/engine/redis/scripts/renew';
import { ended, ownClient } from '../engine/clientOf';
import { sharedServer } from '../fixtures/sharedServer';
import { Comparison, KEPT, PAUSE, SPARE, TTLS } from './Comparison';
import { Ear } from './Ear';

/** How many sequences, or as many as there is time for, ms. */
const RUNS = 400;
const TIME = 40_000;

/** Acquisitions with an id of their own. */
const [z1, z2, z3] = ['host:1:aaaaaaaa:z1:', 'host:1:aaaaaaaa:z2:', 'host:1:aaaaaaaa:z3:'] as const;

/** Some whose caller has chosen the holder: also one that other ids begin with, another's, and one that was handed over. */
const chosen = ['owner\rn1:', 'owner\rn2:', 'host:1:aaaaaaaa:z1\rn3:', 'foreign\rn4:', `${z1}77\rn5:`] as const;

const id = fc.constantFrom(z1, z2, z3, ...chosen);
const ownId = fc.constantFrom(z1, z2, z3);
const channel = fc.constantFrom('one', 'two', 'three');

const ttl = fc.constantFrom(...TTLS);

/** Readers, and permits under two limits. */
const share = fc.constantFrom(
    READER,
    { limit: 2, permits: 1 },
    { limit: 3, permits: 1 },
    { limit: 3, permits: 2 },
    { limit: 3, permits: 3 },
);

const acquire = fc.record({ kind: fc.constant('acquire'), id: ownId, ttl });
const acquireQueued = fc.record({
    kind: fc.constant('acquire queued'),
    id,
    ttl,
    /** The ticket: that of the last attempt, none yet, or one that nobody gave. */
    ticket: fc.constantFrom<'no' | 'last' | number>('no', 'last', 'last', 0, 0, 7, 2 ** 52),
    /** Empty: it polls. */
    channel: fc.oneof({ arbitrary: channel, weight: 4 }, fc.constant('')),
    spare: fc.constantFrom(0, 0, SPARE),
    share: fc.oneof({ arbitrary: share, weight: 3 }, { arbitrary: fc.constant(undefined), weight: 2 }),
});
const acquireShared = fc.record({ kind: fc.constant('acquire shared'), id: ownId, ttl, share });
const releaseShared = fc.record({ kind: fc.constant('release shared'), id });
const release = fc.record({ kind: fc.constant('release'), id });
const releaseQueued = fc.record({
    kind: fc.constant('release queued'),
    id,
    /** A release, also with the acquisition named, or buried; a give-up; a hand-on. */
    what: fc.constantFrom('release', 'release by id', 'release and bury', 'give up', 'give up', 'hand on'),
    underWay: fc.boolean(),
    pause: fc.constantFrom(0, 0, 0, PAUSE),
    keep: fc.constantFrom(0, 0, 0, KEPT),
});
const outside = fc.oneof(
    fc.record({ kind: fc.constant('set'), value: fc.constantFrom('foreign', `${z1}77`), ttl, always: fc.boolean() }),
    fc.record({
        kind: fc.constant('lose'),
        what: fc.constantFrom('key', 'key', 'queue', 'waiters', 'sharers', 'clock', 'all'),
    }),
    fc.record({ kind: fc.constant('outlive'), id }),
    fc.record({ kind: fc.constantFrom('age', 'age', 'set a list', 'set the clock back') }),
    fc.record({ kind: fc.constant('bury'), many: fc.constantFrom(3, 70) }),
);
const listen = fc.record({ kind: fc.constant('listen'), channel, on: fc.boolean() });

const action = fc.oneof(
    { arbitrary: acquire, weight: 2 },
    { arbitrary: acquireQueued, weight: 8 },
    { arbitrary: release, weight: 1 },
    { arbitrary: releaseQueued, weight: 5 },
    { arbitrary: acquireShared, weight: 4 },
    { arbitrary: releaseShared, weight: 2 },
    fc.record({ kind: fc.constantFrom('renew', 'renew shared', 'downgrade', 'downgrade'), id, ttl }),
    fc.record({ kind: fc.constant('inspect') }),
    { arbitrary: listen, weight: 2 },
    { arbitrary: outside, weight: 3 },
);

type Action = typeof action extends fc.Arbitrary<infer Value> ? Value : never;

suite('LockModel', () => {
    let client: Redis;
    let subscriber: Redis;
    let ear: Ear;

    suiteSetup(async () => {
        const address = await sharedServer();
        client = await ownClient(address);
        subscriber = await ownClient(address);
        ear = new Ear(subscriber, client, `mark:${randomUUID()}`);
        await ear.open();
        const scripts = [acquireScript, acquireQueuedScript, releaseScript, releaseQueuedScript, renewScript];
        const shared = [acquireSharedScript, releaseSharedScript, renewSharedScript, downgradeScript];
        for (const { lua } of [...scripts, ...shared, inspectScript]) await client.script('LOAD', lua);
    });

    suiteTeardown(async () => {
        await Promise.all([ended(client), ended(subscriber)]);
    });

    test('does what the scripts do on a server, step by step, in random sequences', async function () {
        this.timeout(4 * TIME);
        let steps = 0;
        const sequence = fc.array(action, { maxLength: 45, size: 'max' });
        const property = fc.asyncProperty(sequence, async (actions) => {
            const run = randomUUID();
            const lock = new Comparison(client, ear, `model:${run}`);
            try {
                for (const one of actions) await perform(one, lock, run);
            } finally {
                steps += lock.steps;
                await subscriber.unsubscribe(`one:${run}`, `two:${run}`, `three:${run}`);
                await lock.lose('all');
            }
        });
        await fc.assert(property, {
            numRuns: RUNS,
            includeErrorInReport: true,
            interruptAfterTimeLimit: TIME,
            markInterruptAsFailure: false,
        });
        console.log(`      compared ${steps} steps`);
    });
});

async function perform(one: Action, lock: Comparison, run: string): Promise<void> {
    switch (one.kind) {
        case 'acquire':
            return lock.acquire(one);
        case 'acquire shared':
            return lock.acquireShared(one);
        case 'acquire queued': {
            const { ticket: asked } = one;
            const ticket = asked === 'last' ? lock.ticketOf(one.id) : asked === 'no' ? undefined : asked;
            return lock.acquireQueued({ ...one, ticket, channel: one.channel === '' ? '' : `${one.channel}:${run}` });
        }
        case 'release':
            return lock.release(lock.holderOf(one.id));
        case 'release shared':
            return lock.releaseShared(lock.holderOf(one.id));
        case 'release queued':
            return releaseOf(one, lock);
        case 'renew':
            return lock.renew({ holder: lock.holderOf(one.id), ttl: one.ttl });
        case 'renew shared':
            return lock.renewShared({ holder: lock.holderOf(one.id), ttl: one.ttl });
        case 'downgrade':
            return lock.downgrade({ holder: lock.holderOf(one.id), ttl: one.ttl });
        case 'outlive':
            return lock.outlive(one.id);
        case 'inspect':
            return lock.inspect();
        case 'listen':
            return lock.listen(`${one.channel}:${run}`, one.on);
        case 'set':
            return lock.set(one.value, one.ttl, one.always);
        case 'lose':
            return lock.lose(one.what);
        case 'age':
            return lock.age();
        case 'set a list':
            return lock.setList();
        case 'set the clock back':
            return lock.setBack();
        case 'bury':
            return lock.bury(one.many);
    }
}

function releaseOf(
    { what, id: given, keep, pause, underWay }: Extract<Action, { kind: 'release queued' }>,
    lock: Comparison,
): Promise<void> {
    switch (what) {
        case 'release':
            return lock.releaseQueued({ holder: lock.holderOf(given), id: '', underWay: false, pause, keep });
        case 'release by id':
            return lock.releaseQueued({ holder: lock.holderOf(given), id: given, underWay: false, pause, keep });
        case 'release and bury':
            return lock.releaseQueued({ holder: lock.holderOf(given), id: given, underWay: true, pause, keep });
        case 'give up':
            return lock.releaseQueued({ holder: '', id: given, underWay, pause });
        case 'hand on':
            return lock.releaseQueued({ holder: '', id: '', underWay: false, pause: 0 });
        default:
            throw new Error(`Not a release: ${String(what)}`);
    }
}
