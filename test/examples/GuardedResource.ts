/**
 * A resource that is safe even from a holder that does not know that it lost its lock. It remembers the greatest fence that
 * it has seen. `write` throws when a later holder has been here.
 */
export class GuardedResource {
    private _fence = 0;
    private _value = '';

    get value(): string {
        return this._value;
    }

    write(value: string, fence: number): void {
        if (fence < this._fence) throw new Error(`Refused: fence ${fence} is older than ${this._fence}`);
        this._fence = fence;
        this._value = value;
    }
}
