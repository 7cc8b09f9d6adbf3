import type { Clock, Timer } from './Clock';

/** Something that is due at an instant. The two numbers belong to the queue. */
export interface Due {
    due: number;
    /** Place in the queue's heap, -1 when it is not queued. */
    place: number;
}

/**
 * Things due at an instant, with one timer for all of them: a binary heap whose items know their place. The timer may be too
 * early: that costs one idle wake-up, and to move it for each item would cost more.
 */
export class DueQueue<T extends Due> {
    private readonly _heap: T[] = [];
    private _timer: Timer | undefined;
    private _timerDue = Infinity;

    /** @param run called when an item is due; the item has left the queue then. Must not throw. */
    constructor(
        private readonly _clock: Clock,
        private readonly _run: (item: T) => void,
    ) {}

    get size(): number {
        return this._heap.length;
    }

    /** Queues `item`, or moves it when it is queued already. */
    set(item: T, due: number): void {
        if (item.place < 0) {
            if (this._heap.length === 0) this._timer?.keepsAlive(true);
            item.due = due;
            this._heap.push(item);
            this._rise(item, this._heap.length - 1);
        } else {
            const sooner = due < item.due;
            item.due = due;
            if (sooner) this._rise(item, item.place);
            else this._sink(item, item.place);
        }
        this._arm();
    }

    delete(item: T): void {
        const place = item.place;
        if (place < 0) return;
        item.place = -1;
        const last = this._heap.pop();
        if (last !== undefined && last !== item) {
            this._rise(last, place);
            this._sink(last, last.place);
        }
        if (this._heap.length === 0) this._timer?.keepsAlive(false);
    }

    clear(): void {
        for (const item of this._heap) item.place = -1;
        this._heap.length = 0;
        this._disarm();
    }

    private _arm(): void {
        const due = this._heap[0]?.due ?? Infinity;
        if (due >= this._timerDue || due === Infinity) return;
        this._timer?.cancel();
        this._timerDue = due;
        // Node's timers have whole milliseconds and may fire a little early.
        this._timer = this._clock.timer(Math.ceil(due - this._clock.now()), () => this._fire());
    }

    private _disarm(): void {
        this._timer?.cancel();
        this._timer = undefined;
        this._timerDue = Infinity;
    }

    private _fire(): void {
        this._disarm();
        const now = this._clock.now();
        for (let first = this._heap[0]; first !== undefined && first.due <= now; first = this._heap[0]) {
            this.delete(first);
            this._run(first);
        }
        this._arm();
    }

    private _rise(item: T, place: number): void {
        while (place > 0) {
            const above = (place - 1) >> 1;
            const parent = this._heap[above];
            if (parent === undefined || parent.due <= item.due) break;
            this._put(parent, place);
            place = above;
        }
        this._put(item, place);
    }

    private _sink(item: T, place: number): void {
        for (;;) {
            let below = 2 * place + 1;
            let child = this._heap[below];
            if (child === undefined) break;
            const right = this._heap[below + 1];
            if (right !== undefined && right.due < child.due) {
                child = right;
                below += 1;
            }
            if (child.due >= item.due) break;
            this._put(child, place);
            place = below;
        }
        this._put(item, place);
    }

    private _put(item: T, place: number): void {
        this._heap[place] = item;
        item.place = place;
    }
}
