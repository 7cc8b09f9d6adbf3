import { inversions, jain, percentile } from './statistics';
import type { Hold, Report } from './waiterProcess';

/** What the holds of a key by a few processes say. */
export interface HandOffs {
    readonly grants: number;
    /** From the call of release to the return of acquire, for who was waiting at that time, ms; NaN: nobody was handed it. */
    readonly p50: number;
    readonly p99: number;
    /** Of the grants per waiter, over as many whole rounds as there are; NaN: not everybody could have had one. */
    readonly jain: number;
    /** Waiters that were granted nothing, of all. */
    readonly starved: number;
    readonly inversions: number;
}

/**
 * Calls in two processes are in the order in which the server gets them: one that asked this much earlier, ms, in another process is not
 * wronged. In the beginning all ask at once: who asked then may be overtaken, but has overtaken nobody.
 */
const TOLERANCE = 25;

/** @param since what was granted before is not counted. */
export function handOffs(report: Report, size: number, since: number): HandOffs {
    const holds = report.holds.filter(({ got }) => got >= since);
    const times = holds.flatMap((hold, at) => {
        const before = holds[at - 1];
        // Who asks only then, and gets the key although others wait, was handed nothing.
        return before === undefined || hold.asked > before.released ? [] : [hold.got - before.released];
    });
    const waits = [...holds, ...report.pending.map((asked) => ({ asked, got: Infinity }))];
    return {
        grants: holds.length,
        p50: percentile(times, 50),
        p99: percentile(times, 99),
        jain: fairness(holds, size),
        starved: size - new Set(report.holds.map(({ member }) => member)).size,
        inversions: inversions(waits, TOLERANCE, since),
    };
}

function fairness(holds: readonly Hold[], size: number): number {
    const shares = Array.from({ length: size }, () => 0);
    const rounds = Math.floor(holds.length / size);
    for (const { member } of holds.slice(0, rounds * size)) shares[member] = (shares[member] ?? 0) + 1;
    return jain(shares);
}
