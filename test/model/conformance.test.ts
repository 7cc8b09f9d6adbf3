import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { acquireScript } from '../../src/engine/redis/scripts/acquire';
import { inspectScript } from '../../src/engine/redis/scripts/inspect';
import { releaseScript } from '../../src/engine/redis/scripts/release';
import { renewScript } from '../../src/engine/redis/scripts/renew';
import { ended, ownClient } from '../engine/clientOf';
import { sharedServer } from '../fixtures/sharedServer';
import { Comparison, PAUSE, SPARE } from './Comparison';
import { Ear } from './Ear';

const RUNS = 400;

/** Each acquisition has a holder: itself, or one that its caller chose. */
const who = fc.constantFrom(
    { id: 'z1', holder: 'z1' },
    { id: 'z2', holder: 'z2' },
    { id: 'z3', holder: 'Holder of two' },
    { id: 'z4', holder: 'Holder of two' },
    { id: 'z5', holder: 'foreign' },
);
const channel = fc.constantFrom('one', 'two', 'three');

/** Shorter than the claim window and longer; far apart, because those of a key are compared with a tolerance. */
const ttl = fc.constantFrom(1500, 30_000, 90_000);

const acquire = fc.record({
    kind: fc.constant('acquire'),
    who,
    ttl,
    /** The ticket: that of the last attempt, none yet, or one that nobody gave. */
    wait: fc.constantFrom<'no' | 'last' | 'new' | number>('no', 'last', 'last', 'new', 7, 2 ** 52),
    /** Empty: it polls. */
    channel: fc.oneof({ arbitrary: channel, weight: 4 }, fc.constant('')),
    spare: fc.constantFrom(0, 0, SPARE),
    /** Who gives the key back in the same step. */
    before: fc.constantFrom(undefined, undefined, 'z1', 'z2', 'z3', 'Holder of two'),
});
const release = fc.record({
    kind: fc.constant('release'),
    who,
    /** Empty: whatever the holder has. */
    id: fc.constantFrom('', '', 'own', 'own', 'z4'),
    tombstone: fc.boolean(),
    yieldAfter: fc.constantFrom(undefined, undefined, 0, 2),
});
const outside = fc.oneof(
    fc.record({ kind: fc.constant('set'), ttl, always: fc.boolean() }),
    fc.record({ kind: fc.constant('lose'), what: fc.constantFrom('key', 'key', 'queue', 'waiters', 'memory', 'all') }),
    fc.record({ kind: fc.constantFrom('age', 'age', 'set a list', 'set the clock back') }),
    fc.record({ kind: fc.constant('bury'), fields: fc.constantFrom(63, 64) }),
);
const listen = fc.record({ kind: fc.constant('listen'), channel, on: fc.boolean() });

const action = fc.oneof(
    { arbitrary: acquire, weight: 8 },
    { arbitrary: release, weight: 5 },
    fc.record({ kind: fc.constant('renew'), who, ttl }),
    fc.record({ kind: fc.constantFrom('inspect', 'hand on') }),
    { arbitrary: listen, weight: 2 },
    { arbitrary: outside, weight: 3 },
);

type Action = typeof action extends fc.Arbitrary<infer Value> ? Value : never;

suite('ScriptModel', () => {
    let client: Redis;
    let subscriber: Redis;
    let ear: Ear;

    suiteSetup(async () => {
        const address = await sharedServer();
        client = await ownClient(address);
        subscriber = await ownClient(address);
        ear = new Ear(subscriber, client, `mark:${randomUUID()}`);
        await ear.open();
        for (const { lua } of [acquireScript, releaseScript, renewScript, inspectScript])
            await client.script('LOAD', lua);
    });

    suiteTeardown(async () => {
        await Promise.all([ended(client), ended(subscriber)]);
    });

    test('does what the scripts do on a server, step by step, in random sequences', async function () {
        this.timeout(60_000);
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
        await fc.assert(property, { numRuns: RUNS, includeErrorInReport: true });
        console.log(`      compared ${steps} steps`);
    });
});

async function perform(one: Action, lock: Comparison, run: string): Promise<void> {
    switch (one.kind) {
        case 'acquire': {
            const ticket = one.wait === 'last' ? lock.ticketOf(one.who.id) : one.wait === 'new' ? 0 : one.wait;
            const on = one.channel === '' ? '' : `${one.channel}:${run}`;
            const { ttl: asked, spare, before } = one;
            const wait = ticket === 'no' ? undefined : { ticket, channel: on, before };
            return lock.acquire({ ...one.who, ttl: asked, spare, wait });
        }
        case 'release': {
            const {
                who: { id, holder },
                tombstone,
                yieldAfter,
            } = one;
            const yields = yieldAfter === undefined ? undefined : { after: yieldAfter, pause: PAUSE };
            const given = one.id === 'own' ? id : one.id;
            return lock.release({ holder, id: given, tombstone: tombstone && given !== '', yields });
        }
        case 'hand on':
            return lock.release({ holder: '', id: '', tombstone: false, yields: undefined });
        case 'renew':
            return lock.renew({ holder: one.who.holder, ttl: one.ttl });
        case 'inspect':
            return lock.inspect();
        case 'listen':
            return lock.listen(`${one.channel}:${run}`, one.on);
        case 'set':
            return lock.set('foreign', one.ttl, one.always);
        case 'lose':
            return lock.lose(one.what);
        case 'age':
            return lock.age();
        case 'set a list':
            return lock.setList();
        case 'set the clock back':
            return lock.setBack();
        case 'bury':
            return lock.bury(one.fields);
    }
}
