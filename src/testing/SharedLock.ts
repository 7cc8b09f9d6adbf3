import { chosenHolder } from '../engine/port/holder';
import type { Share } from '../engine/port/LockStore';
import { SHARED } from '../engine/port/protocol';
import { LockLine } from './LockLine';
import { NO_SHARERS } from './StoredLock';
import type { Sharer, WaiterRecord } from './StoredLock';

/** `taken`: the key is one holder's, or nobody knows who shares it. */
export type KeyState = 'free' | 'shared' | 'taken';

/** A holder of our own. */
const OWN = /^(\S+:\d+:[\w-]+:[0-9A-Za-z]+:)\d*$/;

/** The expiry of the sharers is set once a minute, and lasts so long beyond the last of them, ms. */
const MINUTE = 60_000;
const BEYOND = 120_000;

/** Who shares a lock: `state.lua`, `sharers.lua` and `room.lua`. */
export abstract class SharedLock extends LockLine {
    /** Which of the sharers an acquisition, or a holder, is. */
    protected _memberOf(text: string): string {
        const name = chosenHolder(text) ?? text;
        return OWN.exec(name)?.[1] ?? name;
    }

    protected _state(): KeyState {
        if (this.key === undefined) return 'free';
        return this.key.value === SHARED && this._isKnown() ? 'shared' : 'taken';
    }

    /** Whether it is known who shares the key. */
    protected _isKnown(): boolean {
        return this._lastEnd() > 0;
    }

    protected _sharer(id: string): Sharer | undefined {
        const member = this._memberOf(id);
        return this.sharers.value.members.find((one) => one.member === member);
    }

    protected _lastEnd(): number {
        return Math.max(0, ...this.sharers.value.members.map(({ end }) => end));
    }

    protected _drop(member: string): void {
        const { expires, value } = this.sharers;
        const members = value.members.filter((one) => one.member !== member);
        const isEmpty = members.length === 0 && value.limit === 0;
        this.sharers = isEmpty ? NO_SHARERS : { value: { members, limit: value.limit }, expires };
    }

    protected _sweep(): void {
        for (const { end, member } of this.sharers.value.members) if (end <= this._ms) this._drop(member);
    }

    /** Gives a sharer its place, or another end. */
    protected _setPlace(isShared: boolean, place: Sharer, limit = 0): void {
        let longest = 0;
        if (isShared) {
            longest = this._lastEnd();
            const isNew = this.sharers.value.members.every(({ member }) => member !== place.member);
            this._lengthen(Math.max(place.end, longest), isNew);
        } else this._forget();
        this._write();
        this._put(place, limit);
        if (place.end - (place.end % MINUTE) > longest) {
            this.sharers = { value: this.sharers.value, expires: place.end + BEYOND };
            if (longest > 0) this._sweep();
        }
        if (!isShared) this._set(SHARED, place.end);
    }

    /** What an earlier time has left. */
    protected _forget(): void {
        this.sharers = NO_SHARERS;
    }

    /**
     * The key outlives all who share it.
     *
     * @param _isNew somebody joins.
     */
    protected _lengthen(expires: number, _isNew: boolean): void {
        this._expire(expires);
    }

    /** The key ends with the last who shares it. Returns whether there is one. */
    protected _settle(): boolean {
        const longest = this._lastEnd();
        if (longest > this._ms) {
            this._shorten(longest);
            return true;
        }
        this.sharers = NO_SHARERS;
        return false;
    }

    protected _shorten(expires: number): void {
        this._expire(expires);
    }

    protected _hasRoom(state: KeyState, share: Share | undefined): boolean {
        if (state === 'free' || share === undefined || state === 'taken') return state === 'free';
        return share.limit === Infinity || this._permitsOut() + share.permits <= share.limit;
    }

    /** Until there is room on a shared key if nothing is given back. */
    protected _timeToWait(limit: number): number {
        if (limit === Infinity) return Math.max(this._remaining(), 0);
        const ends = this.sharers.value.members.map(({ end }) => end).filter((end) => end > this._ms);
        return ends.length === 0 ? 0 : Math.min(...ends) - this._ms;
    }

    protected override _left({ share }: WaiterRecord): number {
        return this._hasRoom('shared', share) ? 0 : this._timeToWait(share?.limit ?? Infinity);
    }

    private _permitsOut(): number {
        this._sweep();
        return this.sharers.value.members.reduce((sum, { permits }) => sum + permits, 0);
    }

    private _put(place: Sharer, limit: number): void {
        const { expires, value } = this.sharers;
        const others = value.members.filter(({ member }) => member !== place.member);
        this.sharers = { value: { members: [...others, place], limit: limit === 0 ? value.limit : limit }, expires };
    }
}
