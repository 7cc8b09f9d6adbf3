import type { Clock, Timer } from './Clock';

/** Something that is due at an instant. */
export interface Due {
    /** Belongs to the queue: the place in its heap, -1 when it is not queued. */
    place: number;
}

/** Other users of the event loop get a turn after this time of running what is due, ms. */
const SLICE = 3;

/** The time is looked at after this number of items: a reading costs about as much as running one. */
const BETWEEN_LOOKS = 16;

/**
 * Things due at an instant, with one timer for all of them: a binary heap whose items know their place. The timer may be too
 * early: that costs one idle wake-up, and to move it for each item would cost more. Where very many are due at once, they run
 * in slices, with turns of the event loop between them.
 */
export class TimerHeap<T extends Due> {
    private readonly _heap: T[] = [];
    /** When each of them is due: numbers that lie side by side are compared several times as fast as those of objects. */
    private readonly _dues: number[] = [];
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

    /** In no order. */
    items(): T[] {
        return [...this._heap];
    }

    has(item: T): boolean {
        return item.place >= 0;
    }

    /**
     * Queues `item`, or moves it when it is queued already.
     *
     * @throws RangeError for NaN, which compares with nothing: one of them would hide every other item.
     */
    set(item: T, due: number): void {
        if (Number.isNaN(due)) throw new RangeError('An item is due at an instant, not at NaN.');
        if (this._heap.length === 0) this._timer?.keepsAlive(true);
        const place = item.place < 0 ? this._heap.length : item.place;
        if (due < this._dueAt(place)) this._rise(item, due, place);
        else this._sink(item, due, place);
        this._arm();
    }

    delete(item: T): void {
        const place = item.place;
        if (place < 0) return;
        item.place = -1;
        const last = this._heap.pop();
        const due = this._dues.pop() ?? Infinity;
        if (last !== undefined && last !== item) {
            if (due < this._dueAt(place)) this._rise(last, due, place);
            else this._sink(last, due, place);
        }
        if (this._heap.length === 0) this._timer?.keepsAlive(false);
    }

    clear(): void {
        for (const item of this._heap) item.place = -1;
        this._heap.length = 0;
        this._dues.length = 0;
        this._disarm();
    }

    private _arm(): void {
        const due = this._dueAt(0);
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
        let ran = 0;
        for (let first = this._heap[0]; first !== undefined && this._dueAt(0) <= now; first = this._heap[0]) {
            this.delete(first);
            this._run(first);
            ran += 1;
            if (ran % BETWEEN_LOOKS === 0 && this._clock.now() - now >= SLICE) break;
        }
        this._arm();
    }

    /** Infinity: behind the last place. */
    private _dueAt(place: number): number {
        return place < this._dues.length ? (this._dues[place] ?? Infinity) : Infinity;
    }

    private _rise(item: T, due: number, place: number): void {
        while (place > 0) {
            const above = (place - 1) >> 1;
            const parent = this._heap[above];
            if (parent === undefined || this._dueAt(above) <= due) break;
            this._put(parent, this._dueAt(above), place);
            place = above;
        }
        this._put(item, due, place);
    }

    private _sink(item: T, due: number, place: number): void {
        for (;;) {
            const left = 2 * place + 1;
            const below = this._dueAt(left + 1) < this._dueAt(left) ? left + 1 : left;
            const child = this._heap[below];
            if (child === undefined || this._dueAt(below) >= due) break;
            this._put(child, this._dueAt(below), place);
            place = below;
        }
        this._put(item, due, place);
    }

    private _put(item: T, due: number, place: number): void {
        this._heap[place] = item;
        this._dues[place] = due;
        item.place = place;
    }
}
