/** Random numbers that are the same for the same seed (mulberry32). */
export class Seed {
    constructor(private _state: number) {}

    /** Below 1. */
    next(): number {
        this._state = (this._state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(this._state ^ (this._state >>> 15), this._state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    }

    between(least: number, most: number): number {
        return least + this.next() * (most - least);
    }

    one<T>(items: readonly [T, ...T[]] | readonly T[]): T {
        const item = items[Math.floor(this.next() * items.length)];
        if (item === undefined) throw new Error('There is nothing to choose from');
        return item;
    }

    happens(probability: number): boolean {
        return this.next() < probability;
    }
}
