import type { GiveUps } from '../followups/GiveUps';
import type { HeldLease, LeasedKey } from '../lease/HeldLease';
import type { KeepAlive } from '../lease/KeepAlive';
import { LockError, asLockError } from '../port/errors';
import { nameOf } from '../port/holder';
import type { LockEvent } from '../port/LockObserver';
import { promised } from '../port/LockStore';
import type { Busy, Callback } from '../port/LockStore';
import type { Clock } from '../time/Clock';
import type { Acquired, WaitRequest } from '../waiting/Waiter';
import type { Waiters } from '../waiting/Waiters';

/** What acquisitions take. */
export interface AcquisitionParts {
    readonly clock: Clock;
    readonly giveUps: GiveUps;
    readonly keepAlive: KeepAlive;
    readonly waiters: Waiters;
    readonly tell: (event: LockEvent) => void;
    /** How many leases may be held at a time. */
    readonly maxHeld: number;
}

/** When an acquisition began, of one key or of several, and how long it may take, ms. */
export interface Beginning {
    readonly at: number;
    readonly timeout: number;
}

/** Which key was busy to the end. */
export interface BusyKey extends Busy {
    readonly key: string;
}

/** Waits for keys, one at a time, and makes leases of them. */
export class Acquisitions {
    constructor(private readonly _parts: AcquisitionParts) {}

    /** Waits for a key, and has its lease looked after. */
    begin(request: WaitRequest, keepAlive: boolean, callback: Callback<HeldLease | BusyKey>): void {
        const { key, id, ttl, timeout, context } = request;
        const full = this._full(key, nameOf(id));
        if (full !== undefined) {
            // Not in this turn: a caller that asks in a loop must not keep the answers from being read that make room.
            this._parts.clock.timer(0, () => callback(full));
            return;
        }
        this._wait(request, { at: this._parts.clock.now(), timeout }, callback, (acquired) => {
            // Others may have been granted theirs while this one was waited for.
            const error = this._full(key, acquired.holder);
            if (error !== undefined) throw error;
            return this._parts.keepAlive.begin(leased(key, acquired), { ttl, keepAlive, context }, acquired.confirmed);
        });
    }

    /** Waits for a further key of a lease. */
    extend(lease: HeldLease, request: WaitRequest, beginning: Beginning): Promise<HeldLease | BusyKey> {
        const { key } = request;
        return promised((callback) =>
            this._wait(request, beginning, callback, (acquired) => {
                if (!lease.isHeld()) throw ended(lease, key);
                lease.add(leased(key, acquired), acquired.confirmed);
                return lease;
            }),
        );
    }

    /** @param take makes a lease of what was granted; where it throws, nobody owns the key and it is given back. */
    private _wait(
        request: WaitRequest,
        beginning: Beginning,
        callback: Callback<HeldLease | BusyKey>,
        take: (acquired: Acquired) => HeldLease,
    ): void {
        this._parts.waiters.acquire(request, (outcome) => {
            if (outcome instanceof Error) this._failed(request, outcome, callback);
            else if (outcome.kind === 'busy') this._busy(request, beginning, outcome, callback);
            else this._granted(request, beginning, outcome, callback, take);
        });
    }

    private _granted(
        request: WaitRequest,
        beginning: Beginning,
        acquired: Acquired,
        callback: Callback<HeldLease | BusyKey>,
        take: (acquired: Acquired) => HeldLease,
    ): void {
        const { key, ttl, context } = request;
        const { holder, fence, buried } = acquired;
        const now = this._parts.clock.now();
        let lease: HeldLease;
        try {
            lease = take(acquired);
        } catch (error) {
            this._parts.giveUps.release({ key, holder, buried }, now + ttl);
            this._failed(request, asLockError(error, key, holder), callback);
            return;
        }
        this._parts.tell({ kind: 'acquired', key, holder, context, fence, waited: now - beginning.at });
        callback(lease);
    }

    private _busy(
        { key, id, context }: WaitRequest,
        { at, timeout }: Beginning,
        busy: Busy,
        callback: Callback<HeldLease | BusyKey>,
    ): void {
        const subject = { key, holder: nameOf(id), context };
        const waited = this._parts.clock.now() - at;
        this._parts.tell(timeout === 0 ? { kind: 'busy', ...subject } : { kind: 'timeout', ...subject, waited });
        callback({ ...busy, key });
    }

    private _failed(
        { key, id, context }: WaitRequest,
        error: LockError,
        callback: Callback<HeldLease | BusyKey>,
    ): void {
        this._parts.tell({ kind: 'failed', key, holder: nameOf(id), context, error });
        callback(error);
    }

    /** Says that no further lease may be held. */
    private _full(key: string, holder: string): LockError | undefined {
        const { size } = this._parts.keepAlive;
        if (size < this._parts.maxHeld) return undefined;
        const text = `${size} leases are held already, as many as options.max_held allows.`;
        return new LockError('TOO_MANY', text, { key, holder });
    }
}

function leased(key: string, { holder, fence, deadline, buried }: Acquired): LeasedKey {
    return { key, holder, fence, deadline, buried };
}

function ended({ key, holder }: HeldLease, wanted: string): LockError {
    return new LockError('LOCK_LOST', `The lease of ${key} ended while ${wanted} was waited for.`, { key, holder });
}
