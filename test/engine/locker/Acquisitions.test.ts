import { assert } from 'chai';
import { GiveUps } from '../../../src/engine/followups/GiveUps';
import { KeepAlive } from '../../../src/engine/lease/KeepAlive';
import { Acquisitions } from '../../../src/engine/locker/Acquisitions';
import type { AcquisitionParts } from '../../../src/engine/locker/Acquisitions';
import { newId } from '../../../src/engine/port/holder';
import { promised } from '../../../src/engine/port/LockStore';
import type { Acquired, WaitRequest } from '../../../src/engine/waiting/WaitRequest';
import { Waiters } from '../../../src/engine/waiting/Waiters';
import { FakeStore } from '../../fixtures/FakeStore';
import { listenerOf } from '../../fixtures/listenerOf';
import { leasedKey } from '../lease/leasedKey';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock } from '../../fixtures/VirtualClock';

const TTL = 1000;

suite('Acquisitions', () => {
    test('gives back what was granted to nobody for as long as the key may last', async () => {
        const clock = new VirtualClock();
        const store = new FakeStore(clock);
        await store.open(listenerOf());
        const tell = (): void => undefined;
        const giveUps = new GiveUps(store, clock);
        const keepAlive = new KeepAlive(store, clock, giveUps, tell, (error) => error);
        const waiters = new Waiters(store, clock, giveUps, { retryTimeout: 100, maxWaiting: 10 }, tell);
        // It is passed on within the process, from a lease that was renewed for longer.
        const acquired: Acquired = {
            ...{ kind: 'granted', holder: 'mine', fence: 1, confirmed: true, buried: undefined },
            deadline: clock.now() + 20 * TTL,
        };
        waiters.acquire = (_request, callback) => {
            // Meanwhile another lease has taken the last place.
            keepAlive.begin(
                leasedKey(clock, 'other', 60 * TTL),
                { ttl: 60 * TTL, keepAlive: false, context: undefined },
                true,
            );
            callback(acquired);
        };
        store.put('key', 'mine', 20 * TTL);
        store.holding = true;
        const parts: AcquisitionParts = { clock, giveUps, keepAlive, waiters, tell, maxHeld: 1 };
        const request: WaitRequest = {
            ...{ key: 'key', id: newId(), ttl: TTL, timeout: 0, signal: undefined, context: undefined },
        };
        await rejection(
            promised((callback) => new Acquisitions(parts).begin(request, false, callback)),
            'TOO_MANY',
        );
        for (let gone = 0; gone < 10 * TTL; gone += 10) {
            for (const call of store.releases) if (!call.answered) call.fail();
            await clock.advance(10);
        }
        store.proceed();
        await clock.advance(3000);
        assert.isUndefined(store.holderOf('key'));
        await giveUps.close();
    });
});
