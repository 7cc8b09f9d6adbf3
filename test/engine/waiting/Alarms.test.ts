import { assert } from 'chai';
import type { Busy } from '../../../src/engine/port/LockStore';
import { Alarms } from '../../../src/engine/waiting/Alarms';
import type { Alarmed } from '../../../src/engine/waiting/Alarms';
import { ASLEEP } from '../../../src/engine/waiting/Phase';
import type { Phase } from '../../../src/engine/waiting/Phase';
import { FakeStore } from '../../fixtures/FakeStore';
import { idOf } from '../../fixtures/ids';
import { VirtualClock } from '../../fixtures/VirtualClock';

const TIMEOUT = 5000;
const BUSY: Busy = {
    kind: 'busy',
    sentAt: 0,
    remaining: 60_000,
    fence: 1,
    ticket: 1,
    rank: 0,
    foreign: false,
    holder: 'them',
};

/** Notes when it is woken, ms after it was made. */
class Sleeper implements Alarmed {
    place = -1;
    phase: Phase = ASLEEP;
    busy = BUSY;
    failures = 0;
    stoodInAt = -Infinity;
    giveUpAt: number;
    lastTryAt: number | undefined;
    readonly request = { key: 'key', id: idOf('me'), ttl: 30_000, timeout: TIMEOUT, signal: undefined, context: null };
    readonly woken: string[] = [];
    private readonly _since: number;

    constructor(private readonly _clock: VirtualClock) {
        this._since = _clock.now();
        this.giveUpAt = this._since + TIMEOUT;
        this.lastTryAt = this.giveUpAt - 50;
    }

    attempt(): void {
        this._note('attempt');
    }

    timedOut(): void {
        this._note('timeout');
    }

    private _note(what: string): void {
        this.woken.push(`${what} ${this._clock.now() - this._since}`);
    }
}

suite('An alarm wakes a waiter', () => {
    let clock: VirtualClock;
    let alarms: Alarms<Sleeper>;
    let sleeper: Sleeper;

    setup(() => {
        clock = new VirtualClock();
        alarms = new Alarms(new FakeStore(clock), clock, 100);
        sleeper = new Sleeper(clock);
    });

    test('when the key must have expired', async () => {
        alarms.sleep(sleeper, { ...BUSY, remaining: 1000 });
        await clock.advance(2000);
        assert.deepEqual(sleeper.woken, ['attempt 1002']);
    });

    test('for its last try, and when its time is over', async () => {
        alarms.sleep(sleeper, BUSY);
        await clock.advance(2 * TIMEOUT);
        assert.deepEqual(sleeper.woken, ['attempt 4950', 'timeout 5000']);
    });

    test('when its time is over although an attempt is under way', async () => {
        sleeper.phase = { kind: 'asking', isSent: true, heard: undefined };
        alarms.begin(sleeper);
        sleeper.lastTryAt = undefined;
        await clock.advance(2 * TIMEOUT);
        assert.deepEqual(sleeper.woken, ['timeout 5000']);
    });

    test('for the last try that it is owed, when the event loop was blocked past its time', async () => {
        alarms.sleep(sleeper, BUSY);
        clock.skip(TIMEOUT + 200);
        await clock.advance(TIMEOUT);
        assert.deepEqual(sleeper.woken, ['attempt 5200', 'timeout 5400']);
    });

    test('in the next turn, to be told an outcome that took no time', async () => {
        sleeper.phase = { kind: 'ending', outcome: BUSY };
        alarms.end(sleeper);
        assert.deepEqual(sleeper.woken, []);
        await clock.advance(0);
        assert.deepEqual(sleeper.woken, ['timeout 0']);
    });

    test('no more, when it has been taken off', async () => {
        alarms.sleep(sleeper, BUSY);
        alarms.delete(sleeper);
        await clock.advance(2 * TIMEOUT);
        assert.deepEqual(sleeper.woken, []);
        assert.strictEqual(clock.timers, 0);
    });
});
