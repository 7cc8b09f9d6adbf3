import { chosenHolder, readHolder } from '../engine/port/holder';
import type { Share } from '../engine/port/LockStore';
import { CLAIM_WINDOW, CLOCK_LIFE, POLLER_LEASE, QUEUE_LIFE, WAITER_LEASE } from '../engine/port/protocol';

/** A Redis key with its expiry as an instant on the server's clock; Infinity: none. */
export interface Stored<Value> {
    readonly value: Value;
    readonly expires: number;
}

/** A member of the queue. */
export interface Place {
    readonly id: string;
    /** Positive: the ticket of an acquisition that waits. Negative: it is buried, until that instant in µs. */
    readonly score: number;
}

/** What is known of an acquisition that waits. */
export interface WaiterRecord {
    readonly id: string;
    /** From this instant on it is taken to be dead, ms. */
    readonly lease: number;
    readonly ttl: number;
    /** How many fences behind that of its grant are reserved with it. */
    readonly spare: number;
    /** Undefined: it waits for all of the key. */
    readonly share?: Share | undefined;
    /** Empty: it polls. */
    readonly channel: string;
}

/** Who shares the key with others. */
export interface Sharer {
    /** The id of its acquisition, or the holder that its caller has chosen. */
    readonly member: string;
    /** Of its lease, ms. */
    readonly end: number;
    /** 0: not known. */
    readonly fence: number;
    readonly permits: number;
}

export interface Sharers {
    readonly members: readonly Sharer[];
    /** The limit that was named last; 0: none was. */
    readonly limit: number;
}

/** The durations that the scripts know, ms. */
export interface Durations {
    readonly claimWindow: number;
    readonly waiterLease: number;
    readonly pollerLease: number;
    readonly queueLife: number;
    readonly clockLife: number;
}

export const DURATIONS: Durations = {
    claimWindow: CLAIM_WINDOW,
    waiterLease: WAITER_LEASE,
    pollerLease: POLLER_LEASE,
    queueLife: QUEUE_LIFE,
    clockLife: CLOCK_LIFE,
};

/** The server refused a write. */
export class Refusal extends Error {}

export const NO_QUEUE: Stored<readonly Place[]> = { value: [], expires: Infinity };
export const NO_WAITERS: Stored<readonly WaiterRecord[]> = { value: [], expires: Infinity };
export const NO_SHARERS: Stored<Sharers> = { value: { members: [], limit: 0 }, expires: Infinity };

/** How many numbers a command draws from the clock at a time that is not of the common case, besides the spare ones. */
export const QUEUED_NUMBERS = 5;

/** The expiry of the clock is set at most this often, µs. */
const MINUTE = 60_000_000;

/**
 * The keys of one lock in memory, as Redis holds them, and the clock from which numbers are drawn.
 *
 * A step changes the object it is called on. The values inside are never changed, so copies share them.
 */
export abstract class StoredLock {
    /** The server's clock, ms; a fraction where it is exact. */
    now = 0;
    /** The same clock as numbers are drawn from it, µs. A field of its own: numbers may rise while no time passes. */
    time = 0;
    /** The greatest fence or ticket given so far. A server has one for all its locks. */
    clock: Stored<number> | undefined;
    key: Stored<string> | undefined;
    queue = NO_QUEUE;
    waiters = NO_WAITERS;
    /** Count only while the key is shared. */
    sharers = NO_SHARERS;
    /** Until then an absent key is left free for others, ms; 0: it is not. A field of the hash of waiters. */
    freeUntil = 0;
    /** The numbers of the clock that this step has reserved, and the last one that it used. */
    private _reserved = 0;
    private _drawn = 0;
    private _count = 0;

    constructor(readonly durations: Durations = DURATIONS) {}

    copy(): this {
        const copy = Object.create(Object.getPrototypeOf(this) as object) as this;
        return Object.assign(copy, this);
    }

    /** A write that needs memory. A server that refuses it is modelled by throwing a {@link Refusal}. */
    protected _write(): void {}

    protected get _micros(): number {
        return Math.round(this.now * 1000);
    }

    protected get _ms(): number {
        return Math.floor(this.now);
    }

    /** A step begins. What has expired is dropped. */
    protected _begin(count = 0): void {
        this._reserved = 0;
        this._drawn = 0;
        this._count = count;
        const now = this._ms;
        if (this.clock !== undefined && this.clock.expires <= now) this.clock = undefined;
        if (this.key !== undefined && this.key.expires <= now) this.key = undefined;
        if (this.queue.expires <= now) this.queue = NO_QUEUE;
        if (this.sharers.expires <= now) this.sharers = NO_SHARERS;
        if (this.waiters.expires <= now) {
            this.waiters = NO_WAITERS;
            this.freeUntil = 0;
        }
    }

    /** The smallest number that the clock may give next. */
    protected _least(): number {
        return Math.max((this.clock?.value ?? 0) + 1, this.time);
    }

    protected _setClock(value: number, first: number): void {
        this._write();
        const { expires = Infinity, value: last = 0 } = this.clock ?? {};
        const isLater = last < first - (first % MINUTE);
        this.clock = { value, expires: isLater ? this._ms + this.durations.clockLife : expires };
    }

    /** The next number of the clock, which is written before a number is used. */
    protected _draw(spare: number): number {
        if (this._drawn + 1 + spare > this._reserved) {
            const first = this._least();
            this._drawn = first - 1;
            this._reserved = this._drawn + spare + this._count;
            this._setClock(this._reserved, first);
        }
        const number = this._drawn + 1;
        this._drawn = number + spare;
        return number;
    }

    protected _lastDrawn(): number {
        return this._reserved > 0 ? this._reserved : (this.clock?.value ?? this._micros - 1);
    }

    protected _set(holder: string, expires: number): void {
        this._write();
        this.key = { value: holder, expires };
    }

    /** PTTL: -2 absent, -1 without expiry. */
    protected _remaining(): number {
        if (this.key === undefined) return -2;
        return this.key.expires === Infinity ? -1 : this.key.expires - this._ms;
    }

    /** Sets another expiry of the key, which is there. */
    protected _expire(expires: number): void {
        if (this.key !== undefined) this.key = { value: this.key.value, expires };
    }

    /** Whether the key has exactly this value. */
    protected _holds(holder: string): boolean {
        return this.key?.value === holder;
    }

    /** The fence that a holder tells. */
    protected _fenceOf(holder: string): number | undefined {
        return readHolder(holder)?.fence;
    }

    /** The key is of this acquisition, or of its owner. */
    protected _isOf(id: string): boolean {
        const chosen = chosenHolder(id);
        return chosen === undefined ? this.key?.value.startsWith(id) === true : this.key?.value === chosen;
    }
}

/** As Lua writes a number without a fraction: a half goes to the even neighbour. */
export function whole(number: number): number {
    const floor = Math.floor(number);
    return number - floor === 0.5 ? floor + (floor % 2) : Math.round(number);
}
