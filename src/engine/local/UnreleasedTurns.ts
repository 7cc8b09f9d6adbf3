import type { Clock } from '../time/Clock';
import { TimerHeap } from '../time/TimerHeap';
import type { Due } from '../time/TimerHeap';
import type { Turn } from './Turn';

interface Unreleased extends Due {
    readonly id: string;
    readonly turn: Turn;
}

/**
 * Turns that nobody took and whose release has no answer yet, by the acquisition for whose sake it is tried again. Each is forgotten when it
 * has run out: nobody may try again.
 */
export class UnreleasedTurns {
    private readonly _byId = new Map<string, Unreleased>();
    private readonly _queue: TimerHeap<Unreleased>;

    constructor(clock: Clock) {
        this._queue = new TimerHeap(clock, ({ id }) => this._byId.delete(id));
    }

    get size(): number {
        return this._byId.size;
    }

    get(id: string): Turn | undefined {
        return this._byId.get(id)?.turn;
    }

    add(id: string, turn: Turn): void {
        const one = this._byId.get(id) ?? { id, turn, place: -1 };
        this._byId.set(id, one);
        this._queue.set(one, turn.deadline);
    }

    delete(id: string): void {
        const one = this._byId.get(id);
        if (one === undefined) return;
        this._byId.delete(id);
        this._queue.delete(one);
    }

    clear(): void {
        this._byId.clear();
        this._queue.clear();
    }
}
