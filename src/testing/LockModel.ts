import { chosenHolder, holderOf } from '../engine/port/holder';
import { SHARED } from '../engine/port/protocol';
import { LockRelease } from './LockRelease';
import type { KeyState } from './SharedLock';
import { QUEUED_NUMBERS } from './StoredLock';
import type { Sharer } from './StoredLock';
import type {
    AcquireReply,
    DowngradeReply,
    InspectReply,
    QueuedAcquire,
    QueuedAcquireReply,
    RenewReply,
    SharedAcquire,
} from './replies';

export { DURATIONS, Refusal } from './StoredLock';
export type { Durations, Place, Sharer, Stored, WaiterRecord } from './StoredLock';
export type { Message } from './LockLine';
export type * from './replies';

/** How many numbers a command of the common case draws from the clock at a time: as many as it has items. */
const NUMBERS = 1;

/**
 * What the scripts of `engine/redis/scripts` do to the keys of one lock, in memory: a method is a script. A test compares it with
 * the scripts themselves, on a server; {@link MemoryStore} is made of it, and the explorer of the protocol plays with it.
 */
export class LockModel extends LockRelease {
    /** The common case: nobody has the key, nobody waits. */
    acquire({ id, ttl }: { readonly id: string; readonly ttl: number }): AcquireReply {
        this._begin(NUMBERS);
        if (this.key !== undefined || this.queue.value.length > 0)
            return { kind: 'taken', holder: this.key?.value ?? '', remaining: this._remaining() };
        const fence = this._draw(0);
        this._set(holderOf(id, fence), this._ms + ttl);
        return { kind: 'granted', fence, reserved: false };
    }

    /** The common case: there is room among those who share the key, and nobody waits. */
    acquireShared({ id, ttl, share }: SharedAcquire): AcquireReply {
        this._begin(NUMBERS);
        const state = this._state();
        const present = state === 'shared' && this._sharer(id) !== undefined;
        const holder = this.key?.value ?? '';
        if (state === 'taken' || this.queue.value.length > 0)
            return { kind: 'taken', holder, remaining: this._remaining() };
        if (!this._hasRoom(state, share)) {
            const remaining = this._timeToWait(share.limit);
            return { kind: 'taken', holder: this._sharer(id) === undefined ? holder : id, remaining };
        }
        const fence = this._draw(0);
        const end = this._ms + ttl;
        if (present && this._sharer(id) !== undefined) {
            return { kind: 'taken', holder: id, remaining: this._remaining() };
        }
        const expires = this.key?.expires ?? 0;
        const isLonger = state === 'free' || end > this._lastEnd();
        this._admit(state, id, end, fence, share);
        if (!isLonger) this._expire(expires);
        return { kind: 'granted', fence, reserved: false };
    }

    /** Try, enqueue, heartbeat, claim and resend in one. */
    acquireQueued(request: QueuedAcquire): QueuedAcquireReply {
        this._begin(QUEUED_NUMBERS);
        const { id, share, ticket: asked } = request;
        const score = this._score(id);
        if (this._isBuried(id)) return { kind: 'refused' };
        if (share === undefined && this._isOf(id)) return this._keep(request);
        let state = this._state();
        const present = state === 'shared' ? this._sharer(id) : undefined;
        if (present !== undefined && (share !== undefined || chosenHolder(id) === undefined)) {
            if (present.end <= this._ms) this._drop(present.member);
            else return share === undefined ? { kind: 'refused' } : this._keepPlace(request, present);
        }
        const place = score > 0 ? score : undefined;
        let ticket = 0;
        if (asked !== undefined) {
            ticket = place ?? (asked > 0 ? asked : this._draw(0));
            if (place === undefined) this._enqueue(request, ticket);
        }
        const pause = state === 'free' ? this.freeUntil - this.now : 0;
        let window = 0;
        if (state !== 'taken' && pause <= 0) {
            const handed = this._handOff(state, id);
            ({ state, window } = handed);
            if (!handed.waits && this._hasRoom(state, share)) {
                return this._take(request, state, ticket > 0 || place !== undefined);
            }
        }
        if (asked !== undefined && place !== undefined) this._enqueue(request, place);
        const { left, limit } = this._outlook(state, share);
        return {
            kind: 'busy',
            remaining: this.key === undefined ? Math.ceil(pause) : left,
            clock: this._lastDrawn(),
            ticket,
            rank: this._waiting().filter((one) => one.score < ticket).length,
            window,
            holder: this.key?.value ?? '',
            limit,
        };
    }

    renew({ holder, ttl }: { readonly holder: string; readonly ttl: number }): RenewReply {
        this._begin();
        if (!this._holds(holder)) return 'gone';
        this._expire(Math.max(this.key?.expires ?? 0, this._ms + ttl));
        return 'renewed';
    }

    renewShared({ holder, ttl }: { readonly holder: string; readonly ttl: number }): RenewReply {
        this._begin();
        return this._renewPlace(holder, ttl) ? 'renewed' : 'gone';
    }

    downgrade({ holder, ttl }: { readonly holder: string; readonly ttl: number }): DowngradeReply {
        this._begin(QUEUED_NUMBERS);
        const isShared = this._state() === 'shared';
        if (isShared ? !this._renewPlace(holder, ttl) : !this._holds(holder)) return { done: false, window: 0 };
        if (!isShared) {
            const end = this._ms + Math.max(ttl, this._remaining());
            const fence = this._fenceOf(holder) ?? 0;
            this._setPlace(false, { member: this._memberOf(holder), end, fence, permits: 1 });
        }
        return { done: true, window: this._handOff('shared').window };
    }

    inspect(): InspectReply {
        this._begin();
        const holder = this.key?.value ?? '';
        const waiters = this._waiting().flatMap(({ id, score }) => {
            const { lease = 0, share } = this._record(id) ?? {};
            if (lease <= this.now) return [];
            return [{ id, waited: Math.max(0, Math.floor((this._micros - score) / 1000)), share }];
        });
        const sharers = holder === SHARED ? [...this.sharers.value.members].sort(byEnd) : [];
        const holders = sharers.flatMap(({ end, fence, member, permits }) => {
            if (end <= this._ms) return [];
            const isOwn = fence > 0 && this._fenceOf(member + String(fence)) !== undefined;
            return [{ holder: isOwn ? member + String(fence) : member, remaining: end - this._ms, permits, fence }];
        });
        return { holder, remaining: this._remaining(), now: this._micros, waiters, holders };
    }

    private _take({ id, ttl, spare, share }: QueuedAcquire, state: KeyState, inLine: boolean): QueuedAcquireReply {
        const fence = this._draw(spare);
        if (inLine) this._leave(id);
        if (share === undefined) {
            this._set(holderOf(id, fence), this._ms + ttl);
            this._tellFirst(ttl);
        } else {
            this._admit(state, id, this._ms + ttl, fence, share);
            if (this._handOff('shared').window === 0) this._tellFirst();
        }
        return { kind: 'granted', fence, reserved: true };
    }

    /** The key is this acquisition's already, or its owner's. */
    private _keep({ id, ttl, spare }: QueuedAcquire): QueuedAcquireReply {
        const expires = Math.max(this.key?.expires ?? 0, this._ms + ttl);
        this._leave(id);
        const known = this._fenceOf(this.key?.value ?? '');
        if (known !== undefined) {
            this._expire(expires);
            return { kind: 'granted', fence: known, reserved: false };
        }
        const fence = this._draw(spare);
        this._set(holderOf(id, fence), expires);
        return { kind: 'granted', fence, reserved: spare > 0 };
    }

    /** The acquisition, or its owner, shares the key already. */
    private _keepPlace({ id, ttl, spare }: QueuedAcquire, present: Sharer): QueuedAcquireReply {
        this._leave(id);
        const isKnown = present.fence > 0;
        const fence = isKnown ? present.fence : this._draw(spare);
        this._setPlace(true, { ...present, fence, end: Math.max(present.end, this._ms + ttl) });
        this._handOff('shared');
        return { kind: 'granted', fence, reserved: !isKnown && spare > 0 };
    }

    private _renewPlace(holder: string, ttl: number): boolean {
        const sharer = this._state() === 'shared' ? this._sharer(holder) : undefined;
        if (sharer === undefined || sharer.end <= this._ms) return false;
        this._setPlace(true, { ...sharer, end: Math.max(sharer.end, this._ms + ttl) });
        return true;
    }

    /** Until there may be room, and another limit that was named. */
    private _outlook(state: KeyState, share: SharedAcquire['share'] | undefined): { left: number; limit: number } {
        if (share === undefined || share.limit === Infinity || state !== 'shared')
            return { left: this._remaining(), limit: 0 };
        const { limit } = this.sharers.value;
        const left = this._timeToWait(this._hasRoom(state, share) ? Infinity : share.limit);
        return { left, limit: limit === share.limit ? 0 : limit };
    }
}

function byEnd(one: Sharer, other: Sharer): number {
    return one.end - other.end || (one.member < other.member ? -1 : 1);
}
