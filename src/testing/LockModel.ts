import { chosenHolder, holderOf, readHolder } from '../engine/port/holder';
import { CLAIM_WINDOW, CLOCK_LIFE, QUEUE_LIFE, WAITER_LEASE } from '../engine/port/protocol';

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
    /** So many fences behind that of its grant are reserved with it. */
    readonly spare: number;
    /** Empty: it polls. */
    readonly channel: string;
}

export type Message =
    | {
          readonly kind: 'grant';
          readonly id: string;
          readonly ttl: number;
          readonly fence: number;
          readonly spare: number;
      }
    | { readonly kind: 'first'; readonly id: string; readonly taken: number };

/** The durations that the scripts know, ms. */
export interface Durations {
    readonly claimWindow: number;
    readonly waiterLease: number;
    readonly queueLife: number;
    readonly clockLife: number;
}

export const DURATIONS: Durations = {
    claimWindow: CLAIM_WINDOW,
    waiterLease: WAITER_LEASE,
    queueLife: QUEUE_LIFE,
    clockLife: CLOCK_LIFE,
};

/** So many expired tombstones are swept at a time. */
const SWEEP = 64;

/** How many numbers a command draws from the clock at a time, besides the spare ones: the common one as many as it has items. */
const NUMBERS = 1;
const QUEUED_NUMBERS = 4;

/** The expiry of the clock is set once in so many µs. */
const MINUTE = 60_000_000;

export interface QueuedAcquire {
    readonly id: string;
    readonly ttl: number;
    readonly spare: number;
    /** Undefined: a plain try; 0: a new place in line. */
    readonly ticket: number | undefined;
    readonly channel: string;
}

export interface QueuedRelease {
    /** Empty: see `id`. */
    readonly holder: string;
    /** Of an acquisition that is given up. Both empty: only to hand on a key that nobody has. */
    readonly id: string;
    /** Attempts of that acquisition may still arrive, and are refused. */
    readonly underWay: boolean;
    /** With waiters the key is left free for so many ms; 0: it is handed on. */
    readonly pause: number;
}

interface Granted {
    readonly kind: 'granted';
    readonly fence: number;
    /** Whether the spare fences are reserved: not when the acquisition had the key already. */
    readonly reserved: boolean;
}

interface Taken {
    readonly kind: 'taken';
    /** Empty: nobody, but the queue exists. */
    readonly holder: string;
    /** -1: the key never expires; -2: it is absent. */
    readonly remaining: number;
}

export interface BusyReply {
    readonly kind: 'busy';
    readonly remaining: number;
    /** Every later grant has a greater fence. */
    readonly clock: number;
    readonly ticket: number;
    readonly rank: number;
    /** The key was handed on in this step, for so many ms; 0: it was not. */
    readonly window: number;
    readonly holder: string;
}

export type AcquireReply = Granted | Taken;
export type QueuedAcquireReply = Granted | BusyReply | { readonly kind: 'refused' };
export type ReleaseReply = 'released' | 'gone' | 'queued';

export interface QueuedReleaseReply {
    readonly released: boolean;
    /** The first waiter has so many ms to claim the key, or it is left free for so long; 0: neither. */
    readonly window: number;
}

export type RenewReply = 'renewed' | 'gone';

export interface InspectReply {
    readonly holder: string;
    readonly remaining: number;
    /** Of the server, µs. */
    readonly now: number;
    readonly waiters: readonly { readonly id: string; /** ms */ readonly waited: number }[];
}

/** The server refused a write. */
export class Refusal extends Error {}

const NO_QUEUE: Stored<readonly Place[]> = { value: [], expires: Infinity };
const NO_WAITERS: Stored<readonly WaiterRecord[]> = { value: [], expires: Infinity };

/**
 * What the scripts of `engine/redis/scripts` do to the keys of one lock, in memory. A test compares it with the scripts
 * themselves, on a server; {@link MemoryStore} is made of it, and the explorer of the protocol plays with it.
 *
 * A step changes the object it is called on. The values inside are never changed, so copies share them.
 */
export class LockModel {
    /** The server's clock, ms; a fraction where it is exact. */
    now = 0;
    /** The same clock as numbers are drawn from it, µs. A field of its own: numbers may rise while no time passes. */
    time = 0;
    /** The greatest fence or ticket given so far. A server has one for all its locks. */
    clock: Stored<number> | undefined;
    key: Stored<string> | undefined;
    queue = NO_QUEUE;
    waiters = NO_WAITERS;
    /** Until then an absent key is left free for others, ms; 0: it is not. A field of the hash of waiters. */
    freeUntil = 0;
    /** Channels that somebody is subscribed to. */
    channels: { has(channel: string): boolean } = new Set();
    /** What reached somebody in this step. */
    published: readonly { readonly channel: string; readonly message: Message }[] = [];
    /** The numbers of the clock that this step has reserved, and the last one that it used. */
    private _reserved = 0;
    private _drawn = 0;
    private _count = 0;

    constructor(readonly durations: Durations = DURATIONS) {}

    copy(): this {
        const copy = Object.create(Object.getPrototypeOf(this) as object) as this;
        return Object.assign(copy, this, { published: [] });
    }

    /** The common case: nobody has the key, nobody waits. */
    acquire({ id, ttl }: { readonly id: string; readonly ttl: number }): AcquireReply {
        this._begin(NUMBERS);
        if (this.key !== undefined || this.queue.value.length > 0)
            return { kind: 'taken', holder: this.key?.value ?? '', remaining: this._remaining() };
        const fence = this._draw(0);
        this._set(holderOf(id, fence), ttl);
        return { kind: 'granted', fence, reserved: false };
    }

    /** Try, enqueue, heartbeat, claim and resend in one. */
    acquireQueued(request: QueuedAcquire): QueuedAcquireReply {
        this._begin(QUEUED_NUMBERS);
        const { id, ticket: asked } = request;
        const score = this._score(id);
        if (score < 0 && -score > this._micros) return { kind: 'refused' };
        if (this._isOf(id)) return this._keep(request);
        const place = score > 0 ? score : undefined;
        let ticket = 0;
        if (asked !== undefined) {
            ticket = place ?? (asked > 0 ? asked : this._draw(0));
            if (place === undefined) this._enqueue(request, ticket);
        }
        const pause = this.key === undefined ? this.freeUntil - this.now : 0;
        let window = 0;
        if (this.key === undefined && pause <= 0) {
            window = this._handOff(id);
            if (window === 0) return this._take(request, ticket > 0 || place !== undefined);
        }
        if (asked !== undefined && place !== undefined) this._enqueue(request, place);
        return {
            kind: 'busy',
            remaining: this.key === undefined ? Math.ceil(pause) : this._remaining(),
            clock: this._lastDrawn(),
            ticket,
            rank: this._waiting().filter((one) => one.score < ticket).length,
            window,
            holder: this.key?.value ?? '',
        };
    }

    /** The common case: nobody waits. */
    release(holder: string): ReleaseReply {
        this._begin();
        if (this.queue.value.length > 0) return 'queued';
        if (!this._holds(holder)) return 'gone';
        this.key = undefined;
        return 'released';
    }

    /** Release, give-up and hand-on. */
    releaseQueued({ holder, id, underWay, pause }: QueuedRelease): QueuedReleaseReply {
        this._begin(QUEUED_NUMBERS);
        const ours =
            holder === '' ? id !== '' && chosenHolder(id) === undefined && this._isOf(id) : this._holds(holder);
        let wasFirst = false;
        if (id !== '') {
            wasFirst = this._firstWaiter()?.id === id;
            this._leave(id);
        }
        let window = 0;
        if (ours && pause > 0 && this._leaveFree(pause)) window = pause;
        else if (ours || (this.key === undefined && this.freeUntil <= this.now)) window = this._free();
        else if (wasFirst) this._tellFirst(Math.max(this._remaining(), 0));
        // Last: a release frees the key, also where this is refused.
        if (id !== '' && underWay) this._bury(id);
        return { released: ours, window };
    }

    renew({ holder, ttl }: { readonly holder: string; readonly ttl: number }): RenewReply {
        this._begin();
        if (!this._holds(holder)) return 'gone';
        this._lengthen(ttl);
        return 'renewed';
    }

    inspect(): InspectReply {
        this._begin();
        const waiters = this._waiting().flatMap(({ id, score }) => {
            const lease = this._record(id)?.lease ?? 0;
            if (lease <= this.now) return [];
            return [{ id, waited: Math.max(0, Math.floor((this._micros - score) / 1000)) }];
        });
        return { holder: this.key?.value ?? '', remaining: this._remaining(), now: this._micros, waiters };
    }

    /** A write that needs memory. A server that refuses it is modelled by throwing a {@link Refusal}. */
    protected _write(): void {}

    /** Whether the key has exactly this value. */
    protected _holds(holder: string): boolean {
        return this.key?.value === holder;
    }

    /** The fence that a holder tells. */
    protected _fenceOf(holder: string): number | undefined {
        return readHolder(holder)?.fence;
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

    protected _bury(id: string): void {
        const over = this.queue.value.filter(({ score }) => score < 0 && -score <= this._micros).slice(0, SWEEP);
        const others = this.queue.value.filter((place) => !over.includes(place));
        this._setQueue(others);
        this._write();
        this._place({ id, score: -(this._micros + this.durations.queueLife * 1000) });
    }

    /** Gives the key to a waiter, and tells it, in this order: what was told cannot be taken back. False: nobody heard. */
    protected _give(waiter: WaiterRecord, fence: number, window: number): boolean {
        this._set(holderOf(waiter.id, fence), window);
        return this._tellGrant(waiter, fence, window);
    }

    protected _tellGrant({ id, channel, spare }: WaiterRecord, fence: number, window: number): boolean {
        this._leave(id);
        this._tellFirst(window);
        return this._reaches(channel, { kind: 'grant', id, ttl: window, fence, spare });
    }

    protected _set(holder: string, ttl: number): void {
        this._write();
        this.key = { value: holder, expires: this._ms + ttl };
    }

    /** Nobody has the key any more. Returns the window of the hand-off; 0: there was none. */
    private _free(): number {
        try {
            const window = this._handOff();
            if (window === 0) this.key = undefined;
            return window;
        } catch (error) {
            // A hand-off that is refused ends in a deletion: a release always frees.
            if (!(error instanceof Refusal)) throw error;
            this.key = undefined;
            this._tellFirst(0);
            return 0;
        }
    }

    private get _micros(): number {
        return Math.round(this.now * 1000);
    }

    private get _ms(): number {
        return Math.floor(this.now);
    }

    /** A step begins. What has expired is dropped. */
    private _begin(count = 0): void {
        this.published = [];
        this._reserved = 0;
        this._drawn = 0;
        this._count = count;
        const now = this._ms;
        if (this.clock !== undefined && this.clock.expires <= now) this.clock = undefined;
        if (this.key !== undefined && this.key.expires <= now) this.key = undefined;
        if (this.queue.expires <= now) this.queue = NO_QUEUE;
        if (this.waiters.expires <= now) {
            this.waiters = NO_WAITERS;
            this.freeUntil = 0;
        }
    }

    /** The next number of the clock, which is written before a number is used. */
    private _draw(spare: number): number {
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

    private _lastDrawn(): number {
        return this._reserved > 0 ? this._reserved : (this.clock?.value ?? this._micros - 1);
    }

    /** PTTL: -2 absent, -1 without expiry. */
    private _remaining(): number {
        if (this.key === undefined) return -2;
        return this.key.expires === Infinity ? -1 : this.key.expires - this._ms;
    }

    private _take({ id, ttl, spare }: QueuedAcquire, inLine: boolean): Granted {
        const fence = this._draw(spare);
        if (inLine) this._leave(id);
        this._set(holderOf(id, fence), ttl);
        this._tellFirst(ttl);
        return { kind: 'granted', fence, reserved: true };
    }

    /** The key is this acquisition's already, or its owner's. */
    private _keep({ id, ttl, spare }: QueuedAcquire): Granted {
        // Also of a key that never expires.
        const left = (this.key?.expires ?? 0) - this._ms;
        this._leave(id);
        const known = this._fenceOf(this.key?.value ?? '');
        if (known !== undefined) {
            this._lengthen(ttl);
            return { kind: 'granted', fence: known, reserved: false };
        }
        const fence = this._draw(spare);
        this._set(holderOf(id, fence), Math.max(ttl, left));
        return { kind: 'granted', fence, reserved: spare > 0 };
    }

    private _lengthen(ttl: number): void {
        if (this.key === undefined) return;
        const { expires, value } = this.key;
        this.key = { value, expires: Math.max(expires, this._ms + ttl) };
    }

    /** The key is of this acquisition, or of its owner. */
    private _isOf(id: string): boolean {
        const chosen = chosenHolder(id);
        return chosen === undefined ? this.key?.value.startsWith(id) === true : this.key?.value === chosen;
    }

    private _enqueue({ id, ttl, spare, channel }: QueuedAcquire, ticket: number): void {
        this._write();
        this._place({ id, score: ticket });
        this._write();
        const record = { id, lease: whole(this.now + this.durations.waiterLease), ttl, spare, channel };
        const records = [...this.waiters.value.filter((one) => one.id !== id), record];
        this.waiters = { value: records, expires: this._ms + this.durations.queueLife };
    }

    /** To the first waiter that can be reached, before `me`. Returns the window; 0: there is none. */
    private _handOff(me?: string): number {
        for (let first = this._firstWaiter(); first !== undefined && first.id !== me; first = this._firstWaiter()) {
            const window = Math.min(first.ttl, this.durations.claimWindow);
            if (this._give(first, this._draw(first.spare), window)) return window;
        }
        return 0;
    }

    /** Leaves the key free for others than those who wait, if anybody does. */
    private _leaveFree(pause: number): boolean {
        if (this._firstWaiter() === undefined) return false;
        this._write();
        this.freeUntil = whole(this.now + pause);
        this.key = undefined;
        this._tellFirst(pause);
        return true;
    }

    private _tellFirst(taken: number): void {
        for (let first = this._firstWaiter(); first !== undefined; first = this._firstWaiter()) {
            if (this._reaches(first.channel, { kind: 'first', id: first.id, taken })) return;
            this._leave(first.id);
        }
    }

    private _reaches(channel: string, message: Message): boolean {
        if (channel === '') return true;
        if (!this.channels.has(channel)) return false;
        this.published = [...this.published, { channel, message }];
        return true;
    }

    /** Those that wait, in order. */
    private _waiting(): readonly Place[] {
        return this.queue.value.filter(({ score }) => score > 0);
    }

    /** 0: it is not in the queue. */
    private _score(id: string): number {
        return this.queue.value.find((place) => place.id === id)?.score ?? 0;
    }

    private _record(id: string): WaiterRecord | undefined {
        return this.waiters.value.find((record) => record.id === id);
    }

    /** The first that waits and lives. Dead ones before it are dropped. */
    private _firstWaiter(): WaiterRecord | undefined {
        for (const { id } of this._waiting()) {
            const record = this._record(id);
            if (record !== undefined && record.lease > this.now) return record;
            this._leave(id);
        }
        return undefined;
    }

    private _leave(id: string): void {
        this._setQueue(this.queue.value.filter((place) => place.id !== id));
        const records = this.waiters.value.filter((record) => record.id !== id);
        const isEmpty = records.length === 0 && this.freeUntil === 0;
        this.waiters = isEmpty ? NO_WAITERS : { value: records, expires: this.waiters.expires };
    }

    private _place(place: Place): void {
        const others = this.queue.value.filter(({ id }) => id !== place.id);
        this.queue = { value: [...others, place].sort(byScore), expires: this._ms + this.durations.queueLife };
    }

    private _setQueue(places: readonly Place[]): void {
        this.queue = places.length === 0 ? NO_QUEUE : { value: places, expires: this.queue.expires };
    }
}

/** As a sorted set orders: by score, equal ones by their bytes. */
function byScore(one: Place, other: Place): number {
    return one.score - other.score || (one.id < other.id ? -1 : 1);
}

/** As Lua writes a number without a fraction: a half goes to the even neighbour. */
function whole(number: number): number {
    const floor = Math.floor(number);
    return number - floor === 0.5 ? floor + (floor % 2) : Math.round(number);
}
