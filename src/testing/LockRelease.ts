import { chosenHolder } from '../engine/port/holder';
import { SHARED } from '../engine/port/protocol';
import { LockHandOff } from './LockHandOff';
import type { QueuedRelease, QueuedReleaseReply, ReleaseReply } from './replies';
import { QUEUED_NUMBERS, Refusal, whole } from './StoredLock';
import type { Sharer } from './StoredLock';

/** How a lock is given back: `release.lua`, `release_shared.lua` and `release_queued.lua`. */
export abstract class LockRelease extends LockHandOff {
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

    /** Whether a release comes late: another one of the same acquisition was done. */
    protected _isLate(id: string): boolean {
        return this._isBuried(id);
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
}
