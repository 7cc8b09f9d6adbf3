import type { LockEvent } from '../engine/port/LockObserver';

/** Above this many leases, those that ended unnoticed are forgotten with the others: they may be warned about again. */
const MANY = 1000;

/** Finds leases that are renewed for very long, each once: perhaps somebody has forgotten to release them. */
export class LongHeld {
    private readonly _warned = new Set<string>();

    /** @param _after ms; 0: none is found. */
    constructor(private readonly _after: number) {}

    /** @returns what to warn about. */
    observe(event: LockEvent): string | undefined {
        if (this._after === 0) return undefined;
        if (event.kind === 'released' || event.kind === 'lost') this._warned.delete(event.holder);
        if (event.kind !== 'renewed' || event.held < this._after || this._warned.has(event.holder)) return undefined;
        if (this._warned.size >= MANY) this._warned.clear();
        this._warned.add(event.holder);
        const { holder, key } = event;
        return (
            `${key} has been held by ${holder} for ${Math.round(event.held / 1000)} s, and is still renewed. Was its release ` +
            'forgotten? options.warn_held_after says from when on this is told.'
        );
    }
}
