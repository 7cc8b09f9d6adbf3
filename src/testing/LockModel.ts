import { chosenHolder, holderOf } from '../engine/port/holder';
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
    /** So many fences below that of its grant are reserved with it. */
    readonly spare: number;
    /** Empty: it polls. */
    readonly channel: string;
}

export type Message =
    | { readonly kind: 'grant'; readonly id: string; readonly window: number; readonly fence: number }
    | { readonly kind: 'first'; readonly id: string; readonly remaining: number };

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
export const SWEEP = 16;

export interface QueuedAcquire {
    readonly id: string;
    readonly ttl: number;
    readonly spare?: number;
    /** Undefined: a plain try; 0: a new place in line. */
    readonly ticket: number | undefined;
    readonly channel: string;
}

export interface QueuedRelease {
    /** Empty: nothing is released. */
    readonly holder: string;
    /** Of a release: buried. Else the acquisition that is given up; empty: only to hand on a key that nobody has. */
    readonly id: string;
    readonly bury: boolean;
    /** With waiters the key is left free for so many ms; 0: it is handed on. */
    readonly pause: number;
}

interface Granted {
    readonly kind: 'granted';
    readonly fence: number;
}

interface Held {
    readonly kind: 'held';
    /** Empty: nobody, but the queue exists. */
    readonly holder: string;
    /** -1: the key never expires; -2: it is absent. */
    readonly remaining: number;
}

export interface BusyReply {
    readonly kind: 'busy';
    readonly remaining: number;
    readonly fence: number;
    readonly ticket: number;
    readonly rank: number;
    readonly handedOn: boolean;
    readonly holder: string;
}

export type AcquireReply = Granted | Held;
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
    readonly time: number;
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
    /** The server's clock, ms. */
    now = 0;
    /** The same clock in µs. A field of its own, so that the explorer may let fences rise while no time passes. */
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

    constructor(readonly durations: Durations = DURATIONS) {}

    copy(): this {
        const copy = Object.create(Object.getPrototypeOf(this) as object) as this;
        return Object.assign(copy, this, { published: [] });
    }

    /** The common case: nobody holds the key, nobody waits. */
    acquire({ id, ttl }: { readonly id: string; readonly ttl: number }): AcquireReply {
        this._begin();
        if (this.key !== undefined || this.queue.value.length > 0)
            return { kind: 'held', holder: this.key?.value ?? '', remaining: this._remaining() };
        return this._take(id, ttl, 0);
    }

    /** Try, enqueue, heartbeat, claim and resend in one. */
    acquireQueued(request: QueuedAcquire): QueuedAcquireReply {
        this._begin();
        const { id, ttl, spare = 0, ticket } = request;
        if (this._isBuried(id)) return { kind: 'refused' };
        const holder = this.key?.value;
        if (holder !== undefined && this._isMine(holder, id)) return this._extend(holder, request);
        if (holder === undefined && this._firstWaiter() === undefined) {
            this._leave(id);
            return this._take(id, ttl, spare);
        }
        const place = ticket === undefined ? 0 : this._enqueue(request, ticket);
        const pause = this.freeUntil - this.now;
        let handedOn = false;
        if (holder === undefined && pause <= 0) {
            const window = this._handOff(id);
            if (window === 0) {
                this._leave(id);
                const granted = this._take(id, ttl, spare);
                this._tellFirst(ttl);
                return granted;
            }
            handedOn = true;
        }
        return {
            kind: 'busy',
            remaining: this.key === undefined ? pause : this._remaining(),
            fence: this.clock?.value ?? this.time,
            ticket: place,
            rank: place === 0 ? 0 : this._waiting().findIndex((one) => one.id === id),
            handedOn,
            holder: this.key?.value ?? '',
        };
    }

    /** The common case: nobody waits. */
    release(holder: string): ReleaseReply {
        this._begin();
        if (this.queue.value.length > 0) return 'queued';
        if (!this._isHolder(holder)) return 'gone';
        this.key = undefined;
        return 'released';
    }

    /** Release, give-up and hand-on. */
    releaseQueued({ holder, id, bury, pause }: QueuedRelease): QueuedReleaseReply {
        this._begin();
        const rank = id === '' ? -1 : this._waiting().findIndex((place) => place.id === id);
        if (id !== '') this._leave(id);
        const released = holder === '' ? id !== '' && this._isOwn(id) : this._isHolder(holder);
        let window = 0;
        if (released || (this.key === undefined && this.freeUntil <= this.now)) {
            window = released && pause > 0 ? this._leaveFree(pause) : this._handOff();
            if (window === 0) this.key = undefined;
        } else if (rank === 0) this._tellFirst(Math.max(this._remaining(), 0));
        if (id !== '' && (bury || holder !== '')) this._bury(id);
        return { released, window };
    }

    renew({ holder, ttl }: { readonly holder: string; readonly ttl: number }): RenewReply {
        this._begin();
        if (this.key === undefined || !this._isHolder(holder)) return 'gone';
        this._lengthen(ttl);
        return 'renewed';
    }

    inspect(): InspectReply {
        this._begin();
        const waiters = this._waiting().flatMap(({ id, score }) => {
            const record = this._record(id);
            if (record === undefined || record.lease <= this.now) return [];
            return [{ id, waited: Math.max(0, Math.floor((this.time - score) / 1000)) }];
        });
        return { holder: this.key?.value ?? '', remaining: this._remaining(), time: this.time, waiters };
    }

    /** A write that needs memory. A model of a server that refuses it throws a {@link Refusal}. */
    protected _write(): void {}

    /** The key is this holder's, exactly. */
    protected _isHolder(holder: string): boolean {
        return this.key?.value === holder;
    }

    /** The next fence or ticket. */
    protected _draw(spare = 0): number {
        const next = Math.max((this.clock?.value ?? 0) + 1, this.time) + spare;
        this._write();
        this.clock = { value: next, expires: this.now + this.durations.clockLife };
        return next;
    }

    protected _isBuried(id: string): boolean {
        const score = this._place(id)?.score ?? 0;
        return score < 0 && -score > this.time;
    }

    protected _bury(id: string): void {
        const swept = this.queue.value.filter(({ score }) => score < 0 && -score <= this.time).slice(0, SWEEP);
        const left = this.queue.value.filter((place) => !swept.includes(place) && place.id !== id);
        this._write();
        this._line([...left, { id, score: -(this.time + this.durations.queueLife * 1000) }]);
    }

    /** Makes a waiter the holder: writes first, then tells it. False: nobody heard. */
    protected _hand({ id, ttl, spare, channel }: WaiterRecord): boolean {
        const window = Math.min(ttl, this.durations.claimWindow);
        const fence = this._draw(spare);
        this._set(holderOf(id, fence), window);
        this._leave(id);
        this._tellFirst(window);
        return this._reaches(channel, { kind: 'grant', id, window, fence });
    }

    protected _set(holder: string, ttl: number): void {
        this._write();
        this.key = { value: holder, expires: this.now + ttl };
    }

    protected _leave(id: string): void {
        if (this._place(id) !== undefined) this._line(this.queue.value.filter((place) => place.id !== id));
        if (this._record(id) !== undefined) this._records(this.waiters.value.filter((record) => record.id !== id));
    }

    protected _tellFirst(remaining: number): void {
        for (let first = this._firstWaiter(); first !== undefined; first = this._firstWaiter()) {
            if (this._reaches(first.channel, { kind: 'first', id: first.id, remaining })) return;
            this._leave(first.id);
        }
    }

    protected _reaches(channel: string, message: Message): boolean {
        if (channel === '') return true;
        if (!this.channels.has(channel)) return false;
        this.published = [...this.published, { channel, message }];
        return true;
    }

    /** Drops what has expired. */
    private _begin(): void {
        this.published = [];
        const { now } = this;
        if (this.clock !== undefined && this.clock.expires <= now) this.clock = undefined;
        if (this.key !== undefined && this.key.expires <= now) this.key = undefined;
        if (this.queue.expires <= now) this.queue = NO_QUEUE;
        if (this.waiters.expires <= now) {
            this.waiters = NO_WAITERS;
            this.freeUntil = 0;
        }
    }

    /** PTTL: -2 absent, -1 without expiry. */
    private _remaining(): number {
        if (this.key === undefined) return -2;
        return this.key.expires === Infinity ? -1 : this.key.expires - this.now;
    }

    private _take(id: string, ttl: number, spare: number): Granted {
        const fence = this._draw(spare);
        this._set(holderOf(id, fence), ttl);
        return { kind: 'granted', fence };
    }

    /** The key is this acquisition's already. */
    private _extend(holder: string, { id, ttl, spare }: QueuedAcquire): Granted {
        this._leave(id);
        this._lengthen(ttl);
        return { kind: 'granted', fence: this._isOwn(id) ? Number(holder.slice(id.length)) : this._draw(spare) };
    }

    private _lengthen(ttl: number): void {
        if (this.key === undefined || this.key.expires >= this.now + ttl) return;
        this.key = { value: this.key.value, expires: this.now + ttl };
    }

    /** The key is of this acquisition, or of its owner. */
    private _isMine(holder: string, id: string): boolean {
        return this._isOwn(id) || holder === chosenHolder(id);
    }

    /** The key is of this acquisition, as its own id tells. */
    private _isOwn(id: string): boolean {
        return chosenHolder(id) === undefined && this.key?.value.startsWith(id) === true;
    }

    private _enqueue({ id, ttl, spare = 0, channel }: QueuedAcquire, asked: number): number {
        const present = this._place(id)?.score ?? 0;
        const ticket = asked > 0 ? asked : present > 0 ? present : this._draw();
        this._write();
        this._line([...this.queue.value.filter((place) => place.id !== id), { id, score: ticket }]);
        const lease = this.now + this.durations.waiterLease;
        this._write();
        this._records([...this.waiters.value.filter((one) => one.id !== id), { id, lease, ttl, spare, channel }]);
        return ticket;
    }

    /**
     * Nobody has the key any more: it goes to the first waiter that can be reached, and what it holds is overwritten. Returns
     * for how long; 0: there is nobody, or nobody before `me`, or the server refused it.
     */
    private _handOff(me?: string): number {
        try {
            for (let first = this._firstWaiter(); first !== undefined; first = this._firstWaiter()) {
                if (first.id === me) break;
                if (this._hand(first)) return Math.min(first.ttl, this.durations.claimWindow);
            }
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
        }
        this.key = undefined;
        return 0;
    }

    /** Leaves the key free for others than those who wait, if anybody does. */
    private _leaveFree(pause: number): number {
        if (this._firstWaiter() === undefined) return 0;
        this.key = undefined;
        this._write();
        this.freeUntil = this.now + pause;
        this.waiters = { ...this.waiters, expires: this.now + this.durations.queueLife };
        this._tellFirst(pause);
        return pause;
    }

    /** Those that wait, in order. */
    private _waiting(): readonly Place[] {
        return this.queue.value.filter(({ score }) => score > 0);
    }

    private _place(id: string): Place | undefined {
        return this.queue.value.find((place) => place.id === id);
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

    private _line(places: readonly Place[]): void {
        const isShorter = places.length < this.queue.value.length;
        const expires = isShorter ? this.queue.expires : this.now + this.durations.queueLife;
        this.queue = places.length === 0 ? NO_QUEUE : { value: [...places].sort(byScore), expires };
    }

    private _records(records: readonly WaiterRecord[]): void {
        const isShorter = records.length < this.waiters.value.length;
        const expires = isShorter ? this.waiters.expires : this.now + this.durations.queueLife;
        this.waiters = records.length === 0 && this.freeUntil === 0 ? NO_WAITERS : { value: records, expires };
    }
}

/** As a sorted set orders: by score, equal ones by their bytes. */
function byScore(one: Place, other: Place): number {
    return one.score - other.score || (one.id < other.id ? -1 : 1);
}
