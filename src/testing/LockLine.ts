import { NO_QUEUE, NO_WAITERS, StoredLock, whole } from './StoredLock';
import type { Place, WaiterRecord } from './StoredLock';
import type { QueuedAcquire } from './replies';

export type Message =
    | {
          readonly kind: 'grant';
          readonly id: string;
          readonly ttl: number;
          readonly fence: number;
          readonly spare: number;
      }
    | { readonly kind: 'first'; readonly id: string; readonly taken: number };

/** How many expired tombstones are swept at a time. */
const SWEEP = 64;

/** Who waits for a lock, in order, and what they are told: `queue.lua` and `messages.lua`. */
export abstract class LockLine extends StoredLock {
    /** Channels that somebody is subscribed to. */
    channels: { has(channel: string): boolean } = new Set();
    /** What reached somebody in this step. */
    published: readonly { readonly channel: string; readonly message: Message }[] = [];

    override copy(): this {
        const copy = super.copy();
        copy.published = [];
        return copy;
    }

    protected override _begin(count = 0): void {
        this.published = [];
        super._begin(count);
    }

    /** Until there is room for a waiter, if nothing is given back; see {@link _tellFirst}. */
    protected abstract _left(waiter: WaiterRecord): number;

    protected _bury(id: string): void {
        const over = this.queue.value.filter(({ score }) => score < 0 && -score <= this._micros).slice(0, SWEEP);
        const others = this.queue.value.filter((place) => !over.includes(place));
        this._setQueue(others);
        this._write();
        this._place({ id, score: -(this._micros + this.durations.queueLife * 1000) });
    }

    protected _enqueue({ id, ttl, spare, share, channel }: QueuedAcquire, ticket: number): void {
        this._write();
        this._place({ id, score: ticket });
        this._write();
        const { pollerLease, waiterLease } = this.durations;
        const lease = whole(this.now + (channel === '' ? pollerLease : waiterLease));
        const record = { id, lease, ttl, spare, share, channel };
        const records = [...this.waiters.value.filter((one) => one.id !== id), record];
        this.waiters = { value: records, expires: this._ms + this.durations.queueLife };
    }

    /** Those that wait, in order. */
    protected _waiting(): readonly Place[] {
        return this.queue.value.filter(({ score }) => score > 0);
    }

    /** 0: it is not in the queue. */
    protected _score(id: string): number {
        return this.queue.value.find((place) => place.id === id)?.score ?? 0;
    }

    protected _isBuried(id: string): boolean {
        const score = this._score(id);
        return score < 0 && -score > this._micros;
    }

    protected _record(id: string): WaiterRecord | undefined {
        return this.waiters.value.find((record) => record.id === id);
    }

    /** The first that waits and lives. Dead ones before it are dropped. */
    protected _firstWaiter(): WaiterRecord | undefined {
        for (const { id } of this._waiting()) {
            const record = this._record(id);
            if (record !== undefined && record.lease > this.now) return record;
            this._leave(id);
        }
        return undefined;
    }

    protected _leave(id: string): void {
        this._setQueue(this.queue.value.filter((place) => place.id !== id));
        const records = this.waiters.value.filter((record) => record.id !== id);
        const isEmpty = records.length === 0 && this.freeUntil === 0;
        this.waiters = isEmpty ? NO_WAITERS : { value: records, expires: this.waiters.expires };
    }

    /** @param taken undefined: the key is shared, and for as long as there is no room for the waiter. */
    protected _tellFirst(taken?: number): void {
        for (let first = this._firstWaiter(); first !== undefined; first = this._firstWaiter()) {
            const left = taken ?? this._left(first);
            if (this._reaches(first.channel, { kind: 'first', id: first.id, taken: left })) return;
            this._leave(first.id);
        }
    }

    protected _reaches(channel: string, message: Message): boolean {
        if (!this._isHeard(channel)) return false;
        if (channel !== '') this.published = [...this.published, { channel, message }];
        return true;
    }

    /** Whether somebody listens, or polls. */
    protected _isHeard(channel: string): boolean {
        return channel === '' || this.channels.has(channel);
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
