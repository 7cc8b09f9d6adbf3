import { holderOf } from '../engine/port/holder';
import type { Share } from '../engine/port/LockStore';
import { SharedLock } from './SharedLock';
import type { KeyState } from './SharedLock';
import { Refusal } from './StoredLock';
import type { Sharer, WaiterRecord } from './StoredLock';

/** How many waiters are granted a key at a time. */
const MOST = 64;

/** A grant that a waiter is to be told. */
export interface Given {
    readonly waiter: WaiterRecord;
    readonly fence: number;
    readonly window: number;
}

interface HandOff {
    /** For how long the key was given; 0: nobody got it. */
    readonly window: number;
    /** What is free now may still be there. */
    readonly state: KeyState;
    /** Somebody is before the one that asks. */
    readonly waits: boolean;
}

/** How a lock is handed on to those who wait: `hand_off.lua`. */
export abstract class LockHandOff extends SharedLock {
    /** Gives the key to a waiter, and tells it, in this order: what was told cannot be taken back. */
    protected _give(state: KeyState, waiter: WaiterRecord, fence: number, window: number): void {
        const { id, share } = waiter;
        if (share === undefined) this._set(holderOf(id, fence), this._ms + window);
        else this._admit(state, id, this._ms + window, fence, share);
        this._leave(id);
    }

    /** False: nobody heard. */
    protected _tellGrant({ fence, waiter: { channel, id, spare }, window }: Given): boolean {
        return this._reaches(channel, { kind: 'grant', id, ttl: window, fence, spare });
    }

    /** How many waiters are granted a key at a time. */
    protected get _most(): number {
        return MOST;
    }

    /** To those at the head of the line for whom there is room, up to and without `me`. */
    protected _handOff(from: KeyState, me?: string): HandOff {
        let [state, window, count] = [from, 0, 0];
        for (;;) {
            const { given, waits, state: after } = this._giveRun(state, count, me);
            state = after;
            const [first] = given;
            if (first === undefined) {
                const head = waits && me !== undefined && state === 'shared' ? this._firstWaiter() : undefined;
                // For one that is dead nobody waits who could share the key.
                if (head === undefined || this._isHeard(head.channel))
                    return { window, state, waits: waits || state === 'taken' };
                this._leave(head.id);
                continue;
            }
            this._tellFirst(state === 'taken' ? first.window : undefined);
            let lost = 0;
            for (const one of given) {
                if (this._tellGrant(one)) window = Math.max(window, one.window);
                else {
                    lost += 1;
                    if (one.waiter.share === undefined) state = 'free';
                    else this._drop(this._memberOf(one.waiter.id));
                }
            }
            count += given.length - lost;
            if (state === 'shared' && this._lastEnd() <= this._ms) state = 'free';
        }
    }

    /** Gives an acquisition a place among those who share the key. */
    protected _admit(state: KeyState, id: string, end: number, fence: number, { limit, permits }: Share): void {
        const present = state === 'shared' ? this._sharer(id) : undefined;
        const lives = present !== undefined && present.end > this._ms;
        const place: Sharer = {
            member: this._memberOf(id),
            fence,
            // An owner, by another acquisition: its place stays what it is.
            end: lives ? Math.max(end, present.end) : end,
            permits: lives ? present.permits : permits,
        };
        this._setPlace(state === 'shared', place, limit === Infinity ? 0 : limit);
    }

    private _giveRun(from: KeyState, count: number, me?: string): { given: Given[]; waits: boolean; state: KeyState } {
        const given: Given[] = [];
        let [state, waits] = [from, false];
        while (state !== 'taken') {
            const waiter = this._firstWaiter();
            waits = waiter !== undefined && waiter.id !== me;
            if (waiter === undefined || !waits || count + given.length === this._most) break;
            if (!this._hasRoom(state, waiter.share)) break;
            const window = Math.min(waiter.ttl, this.durations.claimWindow);
            try {
                const fence = this._draw(waiter.spare);
                this._give(state, waiter, fence, window);
                given.push({ waiter, fence, window });
            } catch (error) {
                // Others have it already, and are to be told.
                if (error instanceof Refusal && count + given.length > 0) break;
                throw error;
            }
            state = waiter.share === undefined ? 'taken' : 'shared';
        }
        return { given, waits, state };
    }
}
