/** The Map is replaced after this many deletions, or after as many as it has entries if these are more. */
const FEWEST_DELETIONS = 64;

/**
 * A Map for entries that come and go all the time.
 *
 * In V8 each table of a Map refers to the table that replaced it. So a table in the old generation keeps every later one,
 * with all that was in it, until the next full garbage collection. A new Map now and then breaks that chain.
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
        if (this._deleted < Math.max(FEWEST_DELETIONS, this._map.size)) return;
        this._map = new Map(this._map);
        this._deleted = 0;
    }

    /** The items of this moment, in the order in which they were set. */
    items(): T[] {
        return [...this._map.values()];
    }
}
