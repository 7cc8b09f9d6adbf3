/**
 * A resource that is safe even from a holder that does not know that it lost its lock: it remembers the greatest fencing
 * token that it has seen and refuses whoever comes with a smaller one.
 */
export class GuardedResource {
    private _fence = 0;
    private _value = '';

    get value(): string {
        return this._value;
    }

    /** @throws Error when a later holder has been here. */
    write(value: string, fence: number): void {
        if (fence < this._fence) throw new Error(`Refused: fence ${fence} is older than ${this._fence}`);
        this._fence = fence;
        this._value = value;
    }
}
