/** After so many deletions at least, there is a new table. */
const LEAST = 64;

/**
 * Finds by its id what comes and goes all the time. A Map would do, but that V8 has each of its tables refer to the one that
 * took its place: those that got old keep all later ones, and all that was in them, until the next full collection of garbage.
 * A new Map now and then ends that chain.
 */
export class RecycledMap<T> {
    private _map = new Map<string, T>();
    private _deleted = 0;

    get size(): number {
        return this._map.size;
    }

    has(id: string): boolean {
        return this._map.has(id);
    }

    get(id: string): T | undefined {
        return this._map.get(id);
    }

    set(id: string, item: T): void {
        this._map.set(id, item);
    }

    delete(id: string): void {
        if (!this._map.delete(id)) return;
        this._deleted += 1;
        if (this._deleted < Math.max(LEAST, this._map.size)) return;
        this._map = new Map(this._map);
        this._deleted = 0;
    }

    /** Those that are there now, in the order in which they came. */
    items(): T[] {
        return [...this._map.values()];
    }
}
