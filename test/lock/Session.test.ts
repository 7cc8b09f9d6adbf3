import { assert } from 'chai';
import { ConfigParams, Context } from 'pip-services4-components-node';
import { CallChains } from '../../src/lock/CallChains';
import { LockSettings } from '../../src/lock/LockSettings';
import { LockTelemetry } from '../../src/lock/LockTelemetry';
import { Session } from '../../src/lock/Session';
import { FakeStore } from '../fixtures/FakeStore';
import { VirtualClock } from '../fixtures/VirtualClock';

const SHORT = 200;
const LONG = 60_000;

suite('Session', () => {
    let clock: VirtualClock;
    let store: FakeStore;
    let session: Session;

    async function open(...options: readonly string[]): Promise<void> {
        const settings = new LockSettings(ConfigParams.fromTuples(...options));
        clock = new VirtualClock();
        store = new FakeStore(clock);
        session = new Session(store, settings, new LockTelemetry(), undefined, clock);
        await session.locker.open();
    }

    test('forgets a lost lock that nobody releases some time after its loss, not after somebody asked', async () => {
        await open();
        assert.isTrue(await session.lock(null, 'key', SHORT, 'try'));
        await clock.advance(SHORT + 10_000);
        assert.isTrue(await session.lock(null, 'key', LONG, 'try'));
        await session.release(null, 'key');
        assert.isUndefined(store.holderOf('key'));
    });

    test('forgets the call chain of a lease that was lost', async () => {
        await open('options.reentrant', 'true');
        const chains: unknown = Reflect.get(session, '_chains');
        if (!(chains instanceof CallChains)) assert.fail();
        const lease = await session.acquire(
            Context.fromTraceId('trace'),
            'key',
            { keepAlive: false, ttl: SHORT },
            'wait',
        );
        assert.strictEqual(chains.size, 1);
        await clock.advance(SHORT);
        assert.isFalse(lease.isHeld());
        assert.strictEqual(chains.size, 0);
    });
});
