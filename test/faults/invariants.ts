import type { HistoryEvent, Invariant } from './HistoryEvent';
import { LATE, ms } from './Finding';
import type { Finding } from './Finding';
import { inOrder } from './order';
import { byKey, endOf, mayShare, RECOVERY } from './Reading';
import type { LeaseSpan, Reading, WaitSpan } from './Reading';

/** In which a waiter is served when nothing is broken: a heartbeat, and those before it, ms. */
export const BOUND = 15_000;

/** For so long a key that is waited for may be free while nothing is broken: a hand-off takes no longer, ms. */
export const IDLE = 1500;

/** Commands of one operation at most; of a connection: greeting, subscription, scripts; and for retries per second. */
export const BUDGET = { attempt: 6, lease: 4, renewal: 3, connection: 40, second: 30 };

/** Every invariant: what of a history breaks it. Each scans the history once. */
export const CHECKS: Readonly<Record<Invariant, (reading: Reading) => Finding[]>> = {
    I1: exclusive,
    I2: told,
    I3: rising,
    I4: guarded,
    I5: inOrder,
    I6: served,
    I7: clean,
    I8: frugal,
    I9: respected,
};

/**
 * I1: [grant, min(release-start, deadline, lost, crash)] of a key never overlap, but of those who share it; no more permits are out at
 * a grant than its limit allows; and nobody passes a key on after another was granted it.
 */
export function exclusive(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    for (const [key, leases] of byKey(reading.leases)) {
        let live: LeaseSpan[] = [];
        let before = '';
        const holders = new Set<string>();
        for (const lease of leases) {
            live = live.filter((one) => endOf(one) > lease.from).sort((one, other) => endOf(other) - endOf(one));
            const other = live.find((one) => !mayShare(one, lease));
            const { limit = null, permits = 0 } = lease.share ?? {};
            // Those with a greater fence were granted later, though they may have heard of it sooner.
            const earlier = live.filter(({ fence = 0 }) => fence < (lease.fence ?? 0));
            const out = permits + earlier.reduce((sum, { share }) => sum + (share?.permits ?? 0), 0);
            if (other !== undefined) {
                const until = Math.min(endOf(other), endOf(lease));
                const text = `${lease.client} and ${other.client} held ${key} for ${ms(until - lease.from)} together`;
                findings.push({ invariant: 'I1', key, from: lease.from, until, text });
            } else if (limit !== null && out > limit) {
                const text = `${out} permits of ${key} were out when ${lease.client} got its own, of a limit of ${limit}`;
                findings.push({ invariant: 'I1', key, from: lease.from, until: endOf(lease), text });
            } else if (lease.fence !== undefined && lease.holder !== before && holders.has(lease.holder)) {
                const text = `${lease.client} passed ${key} on after another was granted it`;
                findings.push({ invariant: 'I1', key, from: lease.from, until: lease.from, text });
            }
            before = lease.holder;
            holders.add(before);
            live.push(lease);
        }
    }
    return findings;
}

/** I2: a holder is told of its loss before another is granted the key, or as soon as it can be after it stood still. */
export function told(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    for (const [key, leases] of byKey(reading.leases)) {
        for (const [at, lease] of leases.entries()) {
            const next = leases.slice(at + 1).find((one) => !mayShare(lease, one));
            if (next === undefined || Math.min(lease.released, lease.crashed) <= next.from) continue;
            const known = Math.min(lease.lost, lease.released, lease.crashed, reading.end);
            if (known <= next.from) continue;
            const since = Math.min(lease.deadline, next.from);
            const late = known - Math.max(since, lease.from);
            if (late - reading.blocked(lease.client, since, known) <= LATE && lease.believed <= next.from) continue;
            const text = `${lease.client} was told ${ms(late)} late that ${key} was not its own, when ${next.client} had it`;
            findings.push({ invariant: 'I2', key, from: next.from, until: known, text });
        }
    }
    return findings;
}

/**
 * I3: fences rise in the order of the grants. Those of leases that a key is passed on to are part of the grant: they rise
 * among themselves, and the next grant has a greater one.
 */
export function rising(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    for (const [key, leases] of byKey(reading.leases)) {
        let greatest: LeaseSpan | undefined;
        let greatestAlone: LeaseSpan | undefined;
        const last = new Map<string, LeaseSpan>();
        for (const lease of leases) {
            if (lease.fence === undefined) continue;
            // Those who share a key may hear of their grants in any order.
            const others = lease.share === undefined ? greatest : greatestAlone;
            const before = last.get(lease.holder) ?? others;
            if (before?.fence !== undefined && lease.fence <= before.fence) {
                const text = `${key}: fence ${lease.fence} of ${lease.client} after ${before.fence} of ${before.client}`;
                findings.push({ invariant: 'I3', key, from: before.from, until: lease.from, text });
            }
            last.set(lease.holder, lease);
            if (lease.fence > (greatest?.fence ?? 0)) greatest = lease;
            if (lease.share === undefined && lease.fence > (greatestAlone?.fence ?? 0)) greatestAlone = lease;
        }
    }
    return findings;
}

/** I4: no lower fence is accepted; the value at the end is the last accepted one; writers were told the truth. */
export function guarded(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    const last = new Map<string, { value: string; fence: number; at: number }>();
    const accepted = new Set(reading.events.flatMap((event) => (event.operation === 'accept' ? [event.value] : [])));
    const find = (key: string, from: number, until: number, text: string): void => {
        findings.push({ invariant: 'I4', key, from, until, text: `${key}: ${text}` });
    };
    for (const event of reading.events) {
        if (event.operation === 'accept' && event.fence !== null) {
            const { key, value, fence, at } = event;
            const before = last.get(key);
            if (before !== undefined && fence < before.fence) {
                find(key, before.at, at, `accepted fence ${fence} after ${before.fence}`);
            }
            last.set(key, { value, fence, at });
        } else if (event.operation === 'value') {
            const { key, value, fence, at } = event;
            const expected = last.get(key);
            if (expected === undefined || (expected.value === value && expected.fence === fence)) continue;
            find(key, expected.at, at, `has ${value} of fence ${fence}, the last accepted was ${expected.value}`);
        } else if (event.operation === 'write' && event.accepted && !accepted.has(event.value)) {
            find(event.key, event.at, event.at, `${event.value} was confirmed but never accepted`);
        }
    }
    return findings;
}

/**
 * I6: from the end of the last fault on, every live waiter is served, or gives up as it was asked to, within the bound; and
 * while nothing is broken no key is left free for long that somebody waits for.
 */
export function served(reading: Reading): Finding[] {
    return [...waitsTooLong(reading), ...leftFree(reading)];
}

function waitsTooLong(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    for (const { key, client, from, until, outcome } of reading.waits) {
        if (outcome === 'crashed') continue;
        const end = Math.min(until, reading.end);
        const since = reading.calmSince(from, end);
        if (end - since <= BOUND) continue;
        const text = `${client} waited ${ms(end - since)} for ${key} while nothing was broken`;
        findings.push({ invariant: 'I6', key, from: since, until: end, text });
    }
    return findings;
}

/** Between two grants of a key, or from the last one to the end, for one that was served then or waits still. */
function leftFree(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    const waits = byKey(reading.waits.filter(({ lined }) => lined < Infinity));
    for (const [key, leases] of byKey(reading.leases)) {
        const lined = waits.get(key) ?? [];
        const byAttempt = new Map(lined.map((wait) => [wait.attempt, wait]));
        // Of those before, the last that had it.
        let ended = Infinity;
        const look = (wait: WaitSpan | undefined, until: number): void => {
            if (ended >= until || wait === undefined) return;
            const since = reading.calmSince(Math.max(ended, wait.lined), until);
            const still = Math.max(...[wait.client, 'lab'].map((one) => reading.blocked(one, since, until)));
            if (until - since - still <= IDLE) return;
            const text = `${key} was free for ${ms(until - since)} while ${wait.client} waited for it`;
            findings.push({ invariant: 'I6', key, from: since, until, text });
        };
        for (const lease of leases) {
            look(byAttempt.get(lease.attempt), lease.from);
            ended = ended === Infinity ? endOf(lease) : Math.max(ended, endOf(lease));
        }
        const open = lined.find(({ outcome }) => outcome === 'open');
        look(open, reading.end);
    }
    return findings;
}

/** I7: after quiescence nothing is left but the memory of fences, and no command is sent. */
export function clean(reading: Reading): Finding[] {
    return reading.events.flatMap((event) => {
        if (event.operation !== 'left' || (event.keys.length === 0 && event.commands === 0)) return [];
        const text = `${event.keys.join(', ') || 'no key'} left, ${event.commands} commands sent while nobody wanted anything`;
        return [{ invariant: 'I7', key: event.keys[0] ?? '', from: event.at, until: event.at, text } as const];
    });
}

/** I8: commands per operation stay within the budget. */
export function frugal(reading: Reading): Finding[] {
    const used = new Map<string, { allowed: number; from: number }>();
    const findings: Finding[] = [];
    for (const event of reading.events) {
        const known = used.get(event.client) ?? { allowed: 0, from: event.at };
        used.set(event.client, known);
        known.allowed += costOf(event);
        if (event.operation !== 'sent') continue;
        const { of, commands, connections, at } = event;
        const { allowed = 0, from = at } = used.get(of) ?? {};
        const budget = allowed + connections * BUDGET.connection + ((at - from) / 1000) * BUDGET.second;
        if (commands <= budget) continue;
        const text = `${of} sent ${commands} commands, its operations need ${Math.round(budget)} at most`;
        findings.push({ invariant: 'I8', key: '', from, until: at, text });
    }
    return findings;
}

function costOf({ operation }: HistoryEvent): number {
    if (operation === 'try') return BUDGET.attempt;
    if (operation === 'grant') return BUDGET.lease;
    return operation === 'renew' ? BUDGET.renewal : 0;
}

/** I9: as the server saw it, nobody removes or replaces another's holder id. */
export function respected(reading: Reading): Finding[] {
    return reading.events.flatMap((event) => {
        if (event.operation !== 'removed' || event.holder === event.by) return [];
        const { key, holder, by, at } = event;
        const text = `${by || 'somebody'} removed ${holder} from ${key}`;
        return [{ invariant: 'I9', key, from: at, until: at + RECOVERY, text } as const];
    });
}
