import { chosenHolder } from '../../src/engine/port/holder';
import type { Share } from '../../src/engine/port/LockStore';
import { SHARED } from '../../src/engine/port/protocol';
import type { Given } from '../../src/testing/LockHandOff';
import type { QueuedAcquire, QueuedAcquireReply, SharedAcquire, WaiterRecord } from '../../src/testing/LockModel';
import type { KeyState } from '../../src/testing/SharedLock';
import { ServerModel } from './ServerModel';

/** Release and renewal believe the one that asks. */
export class Uncompared extends ServerModel {
    protected override _holds(): boolean {
        return this.key !== undefined;
    }
}

/** Release and renewal compare only as much of the key as the holder is long. */
export class ComparedByPrefix extends ServerModel {
    protected override _holds(holder: string): boolean {
        return this.key?.value.startsWith(holder) === true;
    }
}

/** An acquisition that was given up is not refused. */
export class Unburied extends ServerModel {
    protected override _bury(): void {}
}

/** A release that comes late, when another one of its acquisition was done, is done again. */
export class ReleasedTwice extends ServerModel {
    protected override _isLate(): boolean {
        return false;
    }
}

/** Numbers come from the time of the server alone. */
export class TimeAlone extends ServerModel {
    protected override _least(): number {
        return this.time;
    }
}

/** The clock is read, but not written. */
export class UnwrittenClock extends ServerModel {
    protected override _setClock(): void {}
}

/** A waiter is told of its grant before that is written. */
export class ToldBeforeWritten extends ServerModel {
    protected override _give(state: KeyState, waiter: WaiterRecord, fence: number, window: number): void {
        this._leave(waiter.id);
        super._tellGrant({ waiter, fence, window });
        super._give(state, waiter, fence, window);
    }

    protected override _tellGrant({ waiter }: Given): boolean {
        return this.channels.has(waiter.channel);
    }
}

/** A key that is absent is taken without a look at who waits. */
export class UnseenQueue extends ServerModel {
    override acquireQueued(request: QueuedAcquire): QueuedAcquireReply {
        const { queue } = this;
        if (this.key !== undefined && this.key.expires > this.now) return super.acquireQueued(request);
        this.queue = { value: queue.value.filter(({ id }) => id === request.id), expires: Infinity };
        const reply = super.acquireQueued(request);
        this.queue = { value: queue.value.filter(({ id }) => id !== request.id), expires: Infinity };
        return reply;
    }
}

/** Release looks only at the queue: a key for which nobody waits is deleted, also if another has it. */
export class QueueAlone extends ServerModel {
    protected override _holds(holder: string): boolean {
        return this.queue.value.length === 0 ? this.key !== undefined : super._holds(holder);
    }
}

/** The common release does not look at the queue: nobody is told. */
export class ReleasedUnseen extends ServerModel {
    override release(holder: string): 'released' | 'gone' {
        const { queue } = this;
        this.queue = { value: [], expires: Infinity };
        const reply = super.release(holder);
        this.queue = queue;
        return reply === 'released' ? 'released' : 'gone';
    }
}

/** A give-up frees also a key that is held under a chosen holder. */
export class FreesForOwner extends ServerModel {
    override releaseQueued(
        request: Parameters<ServerModel['releaseQueued']>[0],
    ): ReturnType<ServerModel['releaseQueued']> {
        const chosen = chosenHolder(request.id);
        const isGiveUp = request.holder === '' && chosen !== undefined;
        return super.releaseQueued(isGiveUp ? { ...request, holder: chosen } : request);
    }
}

/** A sharer that joins does not lengthen the key. */
export class ShortJoin extends ServerModel {
    protected override _lengthen(expires: number, isNew: boolean): void {
        if (!isNew) super._lengthen(expires, isNew);
    }
}

/** The renewal of one who shares the key does not lengthen it. */
export class ShortRenewal extends ServerModel {
    protected override _lengthen(expires: number, isNew: boolean): void {
        if (isNew) super._lengthen(expires, isNew);
    }
}

/** The key ends no sooner when one who shares it leaves. */
export class LongRelease extends ServerModel {
    protected override _shorten(): void {}
}

/** The last who leaves deletes the key, whatever it holds. */
export class UncomparedLast extends ServerModel {
    override get tellsSharers(): boolean {
        return true;
    }

    override releaseShared(holder: string): ReturnType<ServerModel['releaseShared']> {
        const { key } = this;
        if (!this.isTaken || key === undefined) return super.releaseShared(holder);
        this.key = { value: SHARED, expires: key.expires };
        const reply = super.releaseShared(holder);
        if (this.key !== undefined) this.key = key;
        return reply;
    }
}

/** The first that shares the key leaves those there who shared it before. */
export class KeptSharers extends ServerModel {
    override get tellsSharers(): boolean {
        return true;
    }

    protected override _forget(): void {}
}

/** A shared key of which nobody is known is joined. */
export class JoinedUnknown extends ServerModel {
    protected override _isKnown(): boolean {
        return true;
    }
}

/** One that wants the key alone takes one that is shared, and of which no sharer is known. */
export class TakenUnknown extends ServerModel {
    override acquireQueued(request: QueuedAcquire): QueuedAcquireReply {
        if (request.share === undefined && this.key?.value === SHARED && !this._isKnown()) this.key = undefined;
        return super.acquireQueued(request);
    }
}

/** There is room where fewer permits than the limit are out. */
export class OwnWeightUncounted extends ServerModel {
    protected override _hasRoom(state: KeyState, share: Share | undefined): boolean {
        return super._hasRoom(state, share === undefined ? undefined : { ...share, permits: 1 });
    }
}

/** One waiter is granted the key at a time, and the next is not told that there is room for it, too. */
export class OneAtATime extends ServerModel {
    protected override get _most(): number {
        return 1;
    }

    protected override _left({ share }: WaiterRecord): number {
        return this._timeToWait(share?.limit ?? Infinity);
    }
}

/** Readers pass a waiter. */
export class PassingReader extends ServerModel {
    override acquireShared(request: SharedAcquire): ReturnType<ServerModel['acquireShared']> {
        const { queue } = this;
        this.queue = { value: [], expires: Infinity };
        const reply = super.acquireShared(request);
        this.queue = queue;
        return reply;
    }
}
