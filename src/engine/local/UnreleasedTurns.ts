import { promised } from '../port/LockStore';
import type { GiveUpRequest, LockStore, ReleaseAnswer } from '../port/LockStore';
import type { Clock } from '../time/Clock';
import { TimerHeap } from '../time/TimerHeap';
import type { Due } from '../time/TimerHeap';
import type { Turn } from './Turn';

interface Unreleased extends Due {
    readonly id: string;
    readonly turn: Turn;
}

/**
 * Turns that nobody took and whose release has no answer yet, by the acquisition that left last: when the release fails, that
 * acquisition is given up once more. Each is forgotten when it has run out.
 */
export class UnreleasedTurns {
    private readonly _byId = new Map<string, Unreleased>();
    private readonly _queue: TimerHeap<Unreleased>;

    constructor(
        private readonly _store: LockStore,
        clock: Clock,
    ) {
        this._queue = new TimerHeap(clock, ({ id }) => this._byId.delete(id));
    }

    get size(): number {
        return this._byId.size;
    }

    get(id: string): Turn | undefined {
        return this._byId.get(id)?.turn;
    }

    /** Releases a turn. @param request of the acquisition that left last. */
    async giveBack(turn: Turn, { key, id, underWay }: GiveUpRequest): Promise<ReleaseAnswer> {
        this._add(id, turn);
        const request = { key, holder: turn.holder, buried: underWay ? id : undefined };
        const answer = await promised<ReleaseAnswer>((callback) => this._store.release(request, callback));
        this._delete(id);
        return answer;
    }

    clear(): void {
        this._byId.clear();
        this._queue.clear();
    }

    private _add(id: string, turn: Turn): void {
        const one = this._byId.get(id) ?? { id, turn, place: -1 };
        this._byId.set(id, one);
        this._queue.set(one, turn.deadline);
    }

    private _delete(id: string): void {
        const one = this._byId.get(id);
        if (one === undefined) return;
        this._byId.delete(id);
        this._queue.delete(one);
    }
}
