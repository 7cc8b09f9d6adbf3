import { chosenHolder, holderOf, readHolder } from '../engine/port/holder';
import { SHARED } from '../engine/port/protocol';
import { LockHandOff } from './LockHandOff';
import type { KeyState } from './SharedLock';
import { Refusal, whole } from './StoredLock';
import type { Sharer } from './StoredLock';
import type {
    AcquireReply,
    DowngradeReply,
    InspectReply,
    QueuedAcquire,
    QueuedAcquireReply,
    QueuedRelease,
    QueuedReleaseReply,
    ReleaseReply,
    RenewReply,
    SharedAcquire,
} from './replies';

export { DURATIONS, Refusal } from './StoredLock';
export type { Durations, Place, Sharer, Stored, WaiterRecord } from './StoredLock';
export type { Message } from './LockLine';
export type * from './replies';

/** How many numbers a command draws from the clock at a time, besides the spare ones: the common one as many as it has items. */
const NUMBERS = 1;
const QUEUED_NUMBERS = 5;

/**
 * What the scripts of `engine/redis/scripts` do to the keys of one lock, in memory: a method is a script. A test compares it with
 * the scripts themselves, on a server; {@link MemoryStore} is made of it, and the explorer of the protocol plays with it.
 */
export class LockModel extends LockHandOff {
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

    /** The common case: nobody waits. */
    release(holder: string): ReleaseReply {
        this._begin();
        if (this.queue.value.length > 0) return 'queued';
        if (!this._holds(holder)) return 'gone';
        this.key = undefined;
        return 'released';
    }

    /** The common case: nobody waits. */
    releaseShared(holder: string): ReleaseReply {
        this._begin();
        if (this.queue.value.length > 0) return 'queued';
        if (this.key?.value !== SHARED) return 'gone';
        const { members } = this.sharers.value;
        this._sweep();
        const sharer = this._sharer(holder);
        if (sharer !== undefined) this._drop(sharer.member);
        if (this.sharers.value.members.length === members.length) return 'gone';
        if (!this._settle()) this.key = undefined;
        return sharer === undefined ? 'gone' : 'released';
    }

    /** Release, give-up and hand-on. */
    releaseQueued({ holder, id, underWay, pause, keep = 0 }: QueuedRelease): QueuedReleaseReply {
        this._begin(QUEUED_NUMBERS);
        if (holder !== '' && this._isLate(id)) {
            return this.releaseQueued({ holder: '', id: '', underWay: false, pause });
        }
        const state = this._state();
        const place = state === 'shared' ? this._leavePlace(holder, id, keep) : undefined;
        const isOver = place !== undefined && !this._settle();
        const ours =
            place?.ours ??
            (holder === '' ? id !== '' && chosenHolder(id) === undefined && this._isOf(id) : this._holds(holder));
        let wasFirst = false;
        if (id !== '') {
            wasFirst = this._firstWaiter()?.id === id;
            this._leave(id);
        }
        let window = 0;
        const stays = (place !== undefined && !isOver) || (ours && keep > 0 && state === 'taken');
        if (place !== undefined && !isOver) window = this._admitMore(wasFirst || place.sooner);
        else if (stays) {
            this._expire(this._ms + keep);
            this._tellFirst(keep);
        } else if ((ours || isOver) && pause > 0 && this._leaveFree(pause)) window = pause;
        else if (ours || isOver || (this.key === undefined && this.freeUntil <= this.now)) window = this._free();
        else if (wasFirst) this._tellFirst(Math.max(this._remaining(), 0));
        // Last: a release frees the key, also where this is refused.
        if (id !== '' && underWay) this._bury(id);
        return { released: ours, window, waiting: ours && stays && window === 0 ? this._waiting().length : 0 };
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

    /** Whether a release comes late: another one of the same acquisition was done. */
    protected _isLate(id: string): boolean {
        return this._isBuried(id);
    }

    /** Whether the key has exactly this value. */
    protected _holds(holder: string): boolean {
        return this.key?.value === holder;
    }

    /** The fence that a holder tells. */
    protected _fenceOf(holder: string): number | undefined {
        return readHolder(holder)?.fence;
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

    private _leavePlace(holder: string, id: string, keep: number): { ours: boolean; sooner: boolean } {
        const before = this._lastEnd();
        const isGiveUp = holder === '';
        const isOwn = id !== '' && chosenHolder(id) === undefined;
        const sharer = isGiveUp ? (isOwn ? this._sharer(id) : undefined) : this._sharer(holder);
        const ours = sharer !== undefined && sharer.end > this._ms;
        if (sharer !== undefined) {
            if (ours && keep > 0) this._keepUntil(sharer, this._ms + keep);
            else this._drop(sharer.member);
        }
        return { ours, sooner: this._lastEnd() < before };
    }

    private _keepUntil(sharer: Sharer, end: number): void {
        try {
            this._setPlace(true, { ...sharer, end });
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
        }
    }

    /** Those who share the key go on; there may be room for others now. */
    private _admitMore(tells: boolean): number {
        let window = 0;
        let isRefused = false;
        try {
            ({ window } = this._handOff('shared'));
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            isRefused = true;
        }
        if (window === 0 && (tells || isRefused)) this._tellFirst();
        return window;
    }

    /** Nobody has the key any more. Returns the window of the hand-off; 0: there was none. */
    private _free(): number {
        try {
            const { window } = this._handOff('free');
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

    /** Leaves the key free for others than those who wait, if anybody does. */
    private _leaveFree(pause: number): boolean {
        if (this._firstWaiter() === undefined) return false;
        this._write();
        this.freeUntil = whole(this.now + pause);
        this.key = undefined;
        this._tellFirst(pause);
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

    /** The key is of this acquisition, or of its owner. */
    private _isOf(id: string): boolean {
        const chosen = chosenHolder(id);
        return chosen === undefined ? this.key?.value.startsWith(id) === true : this.key?.value === chosen;
    }
}

function byEnd(one: Sharer, other: Sharer): number {
    return one.end - other.end || (one.member < other.member ? -1 : 1);
}
