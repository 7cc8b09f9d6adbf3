import type { Granted } from '../port/LockStore';
import { CLAIM_WINDOW } from '../port/protocol';
import type { ReservedGrant } from '../port/ReservingRequest';

/** With less than this part of the ttl left, a lease that is passed on is renewed at once. */
const NEARLY_ALL = 0.9;

/** A key is passed on for no longer than this part of the ttl: then other processes have their turn. */
const LONGEST = 1 / 3;

/** A grant of the store, which several leases have in a row. Each ends before the next begins. */
export class Turn {
    /** The acquisition that it was granted to. */
    readonly id: string;
    /** The value that the key holds in Redis for all of it. */
    readonly holder: string;
    /** No lease has it yet: it is that of the first who waits. */
    isFree = false;
    deadline: number;
    /** Of the lease that has it, or is to have it. */
    private _fence: number;
    private _passes: number;
    private readonly _passedUntil: number;
    private _isConfirmed: boolean;

    /** It may be passed on as often as there are fences reserved. */
    constructor(
        id: string,
        { holder, fence, deadline, confirmed, reserved = 0 }: ReservedGrant,
        private readonly _ttl: number,
        now: number,
    ) {
        this.id = id;
        this.holder = holder;
        this.deadline = deadline;
        this._fence = fence;
        this._passes = reserved;
        this._passedUntil = now + _ttl * LONGEST;
        this._isConfirmed = confirmed;
    }

    /** Of the lease that begins. */
    get granted(): Granted {
        const { deadline, holder, _fence: fence, _isConfirmed: confirmed } = this;
        return { kind: 'granted', holder, fence, deadline, confirmed };
    }

    /** Ends one lease and makes room for the next. False: the turn is over. */
    pass(now: number): boolean {
        const left = this.deadline - now;
        // Enough for the next lease to be renewed.
        const enough = left >= Math.min(this._ttl, CLAIM_WINDOW) / 2;
        if (this._passes === 0 || !enough || now >= this._passedUntil) return false;
        this._passes -= 1;
        this._fence += 1;
        this._isConfirmed = left >= this._ttl * NEARLY_ALL;
        this.isFree = true;
        return true;
    }
}
