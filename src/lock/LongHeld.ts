import type { LockEvent } from '../engine/port/LockObserver';

/** Above this many leases, those that ended unnoticed are forgotten with the others: they may be warned about again. */
const MANY = 1000;

/** Finds leases that are renewed for very long, each once: perhaps somebody has forgotten to release them. */
export class LongHeld {
    private readonly _known = new Set<string>();

    /** @param _after ms; 0: none is found. */
    constructor(private readonly _after: number) {}

    /** A leader holds its lease for as long as it can: that is not to be warned about. */
    expect(holder: string): void {
        if (this._after > 0) this._add(holder);
    }

    /** @returns what to warn about. */
    observe(event: LockEvent): string | undefined {
        if (this._after === 0) return undefined;
        if (event.kind === 'released' || event.kind === 'lost') this._known.delete(event.holder);
        if (event.kind !== 'renewed' || event.held < this._after || this._known.has(event.holder)) return undefined;
        this._add(event.holder);
        const { holder, key } = event;
        return (
            `${key} has been held by ${holder} for ${Math.round(event.held / 1000)} s, and is still renewed. Was its release ` +
            'forgotten? options.warn_held_after says from when on this is told.'
        );
    }

    private _add(holder: string): void {
        if (this._known.size >= MANY) this._known.clear();
        this._known.add(holder);
    }
}
