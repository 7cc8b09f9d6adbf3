import type { LockEvent } from '../port/LockObserver';

/** Above this many keys they are forgotten: they may be warned about again. */
const MANY = 1000;

/** Warns, once for each key, of callers that do not agree on its limit. Each limit holds for the grants of its own callers. */
export class DifferingLimits {
    private readonly _warned = new Set<string>();

    constructor(private readonly _tell: (event: LockEvent) => void) {}

    /** @param other the limit that somebody else gave. */
    differ(key: string, limit: number, other: number): void {
        if (this._warned.has(key)) return;
        if (this._warned.size >= MANY) this._warned.clear();
        this._warned.add(key);
        const message =
            `The callers that share ${key} do not agree on its limit: ${limit} here, and ${other} elsewhere. ` +
            'Each is granted the key by its own limit.';
        this._tell({ kind: 'warning', message });
    }
}
