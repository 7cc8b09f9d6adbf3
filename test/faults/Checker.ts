import { INVARIANTS } from './HistoryEvent';
import type { HistoryEvent, Invariant } from './HistoryEvent';
import type { Finding } from './Finding';
import { CHECKS } from './invariants';
import { Reading } from './Reading';
import type { FaultSpan } from './Reading';

export interface Exemption {
    readonly finding: Finding;
    readonly fault: FaultSpan;
}

export interface Verdict {
    readonly reading: Reading;
    readonly violations: readonly Finding[];
    /** What would be a violation if a fault had not taken the promise away: counted and told, never hidden. */
    readonly exempted: readonly Exemption[];
}

/** Judges a history. @param invariants that are looked at; default: all. */
export function check(events: readonly HistoryEvent[], invariants: readonly Invariant[] = INVARIANTS): Verdict {
    const reading = new Reading(events);
    const violations: Finding[] = [];
    const exempted: Exemption[] = [];
    for (const finding of invariants.flatMap((invariant) => CHECKS[invariant](reading))) {
        const fault = reading.faults.find((one) => exempts(one, finding));
        if (fault === undefined) violations.push(finding);
        else exempted.push({ finding, fault });
    }
    return { reading, violations, exempted };
}

/** A promise is not given from a fault until its tail is over, for what shows itself in that time. */
function exempts({ exempts: invariants, from, until, tail }: FaultSpan, finding: Finding): boolean {
    return invariants.includes(finding.invariant) && from <= finding.until && finding.from <= until + tail;
}
