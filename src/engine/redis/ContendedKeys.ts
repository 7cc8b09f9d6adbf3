/** How many keys are remembered. A key that is forgotten costs one more command. */
const MOST = 1000;

/**
 * The keys for which others were seen to wait, until a release finds nobody. Commands for these keys are the longer ones from
 * the start.
 */
export class ContendedKeys {
    private readonly _keys = new Set<string>();

    has(key: string): boolean {
        return this._keys.size > 0 && this._keys.has(key);
    }

    add(key: string): void {
        if (this._keys.size >= MOST && !this._keys.has(key)) this._keys.clear();
        this._keys.add(key);
    }

    delete(key: string): void {
        this._keys.delete(key);
    }
}
