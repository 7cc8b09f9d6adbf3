/** What a few measurements of one thing say together. */
export interface Spread {
    readonly median: number;
    readonly least: number;
    readonly most: number;
}

/** Of no values everything is NaN. */
export function spread(values: readonly number[]): Spread {
    if (values.length === 0) return { median: NaN, least: NaN, most: NaN };
    return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

export function median(values: readonly number[]): number {
    const sorted = values.toSorted((one, other) => one - other);
    const middle = sorted.length / 2;
    const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
    return low === undefined || high === undefined ? NaN : (low + high) / 2;
}

/** The least value that at least `percent` of the values do not exceed. */
export function percentile(values: Iterable<number>, percent: number): number {
    const sorted = Float64Array.from(values).sort();
    return sorted[Math.max(Math.ceil((sorted.length * percent) / 100) - 1, 0)] ?? NaN;
}

/** Jain's index of fairness: 1 when all have the same, 1 / n when one has everything. */
export function jain(shares: readonly number[]): number {
    const sum = shares.reduce((total, share) => total + share, 0);
    const squares = shares.reduce((total, share) => total + share * share, 0);
    return squares === 0 ? NaN : (sum * sum) / (shares.length * squares);
}

/** Somebody asked for a key and got it, at these instants; got is Infinity for who was still waiting in the end. */
export interface Wait {
    readonly asked: number;
    readonly got: number;
}

/**
 * How many got the key while somebody waited who had asked earlier than they, by more than `tolerance`.
 *
 * @param since of those who asked from then on.
 */
export function inversions(waits: readonly Wait[], tolerance: number, since = -Infinity): number {
    let earliest = Infinity;
    let count = 0;
    for (const { asked, got } of waits.toSorted((one, other) => other.got - one.got)) {
        if (got !== Infinity && asked >= since && earliest < asked - tolerance) count += 1;
        earliest = Math.min(earliest, asked);
    }
    return count;
}
