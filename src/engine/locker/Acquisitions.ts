import type { GiveUps } from '../followups/GiveUps';
import type { HeldLease } from '../lease/HeldLease';
import type { KeepAlive } from '../lease/KeepAlive';
import type { LeasedKey } from '../lease/LeasedKey';
import { LockError, asLockError } from '../port/errors';
import { chosenHolder, nameOf } from '../port/holder';
import type { LockEvent } from '../port/LockObserver';
import { promised } from '../port/LockStore';
import { latestEnd } from '../port/validity';
import type { Busy, Callback } from '../port/LockStore';
import type { Clock } from '../time/Clock';
import type { Acquired, Outcome, WaitRequest } from '../waiting/WaitRequest';
import type { Waiters } from '../waiting/Waiters';
import { tooLate } from '../waiting/waitErrors';

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

/** What became of several keys that were asked for at once. */
export interface FirstTry {
    /** Of the keys before the first that was refused; undefined: that is the first of all. */
    readonly lease: HeldLease | undefined;
    /** Undefined: all were granted. */
    readonly refused: { readonly request: WaitRequest; readonly outcome: Outcome } | undefined;
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
            const terms = { ttl, keepAlive, context };
            return this._parts.keepAlive.begin(this._leased(request, acquired), terms, acquired.confirmed);
        });
    }

    /**
     * Asks for several keys at once, without a place in line. Those before the first that is refused become a lease. Those behind it are
     * given back: a caller that waits for a key must not have a later one. Nobody is told of the refusal.
     */
    tryAll(requests: readonly WaitRequest[], at: number, callback: (tried: FirstTry) => void): void {
        const outcomes: Outcome[] = [];
        let missing = requests.length;
        requests.forEach((request, place) => {
            this._parts.waiters.acquire({ ...request, once: true }, (outcome) => {
                outcomes[place] = outcome;
                missing -= 1;
                if (missing === 0) callback(this._tried(requests, outcomes, at));
            });
        });
    }

    /** Tells of a refusal that is the last word. */
    refuse(
        { request, outcome }: NonNullable<FirstTry['refused']>,
        beginning: Beginning,
        callback: Callback<HeldLease | BusyKey>,
    ): void {
        if (outcome instanceof Error) this._failed(request, outcome, callback);
        else if (outcome.kind === 'busy') this._busy(request, beginning, outcome, callback);
        else this._failed(request, this._full(request.key, outcome.holder) ?? tooLate(request), callback);
    }

    /** Waits for a further key of a lease. */
    extend(lease: HeldLease, request: WaitRequest, beginning: Beginning): Promise<HeldLease | BusyKey> {
        const { key } = request;
        return promised((callback) =>
            this._wait(request, beginning, callback, (acquired) => {
                if (lease.isOver()) throw ended(lease, key);
                lease.add([this._leased(request, acquired)], acquired.confirmed);
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

    private _tried(requests: readonly WaitRequest[], outcomes: readonly Outcome[], at: number): FirstTry {
        const { clock, keepAlive, maxHeld, tell } = this._parts;
        const now = clock.now();
        const had: LeasedKey[] = [];
        let refused: FirstTry['refused'];
        let isConfirmed = true;
        requests.forEach((request, place) => {
            const outcome = outcomes[place];
            if (outcome === undefined) return;
            const isGranted = !(outcome instanceof Error) && outcome.kind === 'granted';
            // One that was long in coming has let the others run out.
            const isOurs = isGranted && outcome.deadline > now && keepAlive.size < maxHeld;
            if (refused === undefined && isOurs) {
                had.push(this._leased(request, outcome));
                isConfirmed &&= outcome.confirmed;
            } else if (isGranted) {
                this._giveBack(request, outcome);
            }
            if (!isOurs) refused ??= { request, outcome };
        });
        const [first, ...more] = had;
        const [request] = requests;
        if (first === undefined || request === undefined) return { lease: undefined, refused };
        const { ttl, context } = request;
        const lease = keepAlive.begin(first, { ttl, keepAlive: true, context }, isConfirmed);
        if (more.length > 0) lease.add(more, isConfirmed);
        for (const { key, holder, fence } of had) {
            tell({ kind: 'acquired', key, holder, context, fence, waited: now - at });
        }
        return { lease, refused };
    }

    private _granted(
        request: WaitRequest,
        beginning: Beginning,
        acquired: Acquired,
        callback: Callback<HeldLease | BusyKey>,
        take: (acquired: Acquired) => HeldLease,
    ): void {
        const { key, context } = request;
        const { holder, fence } = acquired;
        const now = this._parts.clock.now();
        let lease: HeldLease;
        try {
            lease = take(acquired);
        } catch (error) {
            this._giveBack(request, acquired);
            this._failed(request, asLockError(error, key, holder), callback);
            return;
        }
        this._parts.tell({ kind: 'acquired', key, holder, context, fence, waited: now - beginning.at });
        callback(lease);
    }

    /** Nobody is to own it. */
    private _giveBack(request: WaitRequest, acquired: Acquired): void {
        const { clock, giveUps } = this._parts;
        const { key, holder, buried, id, shared, deadline } = this._leased(request, acquired);
        giveUps.release({ key, holder, buried, id, shared }, latestEnd(clock.now(), request.ttl, deadline));
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

    private _leased({ atLeast = 0, id, key, share }: WaitRequest, acquired: Acquired): LeasedKey {
        const { holder, fence, deadline, buried } = acquired;
        const keptUntil = atLeast === 0 ? undefined : this._parts.clock.now() + atLeast;
        const permits = share?.permits ?? 1;
        const owned = chosenHolder(id) === undefined ? undefined : id;
        return { key, holder, fence, deadline, buried, id: owned, permits, shared: share !== undefined, keptUntil };
    }

    /** Says that no further lease may be held. */
    private _full(key: string, holder: string): LockError | undefined {
        const { size } = this._parts.keepAlive;
        if (size < this._parts.maxHeld) return undefined;
        const text = `${size} leases are held already, as many as options.max_held allows.`;
        return new LockError('TOO_MANY', text, { key, holder });
    }
}

function ended({ key, holder }: HeldLease, wanted: string): LockError {
    return new LockError('LOCK_LOST', `The lease of ${key} ended while ${wanted} was waited for.`, { key, holder });
}
