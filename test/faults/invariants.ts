import type { HistoryEvent, Invariant } from './HistoryEvent';
import { byKey, endOf, RECOVERY, turnsOf } from './Reading';
import type { LeaseSpan, Reading, Turn, WaitSpan } from './Reading';

/** A promise that a history breaks. */
export interface Finding {
    readonly invariant: Invariant;
    readonly key: string;
    /** The span in which it shows. */
    readonly from: number;
    readonly until: number;
    readonly text: string;
}

/** What an honest machine under load may add to a timer, beyond the time that a process can prove it did not run, ms. */
export const LATE = 50;

/** A waiter whose process stood still for longer may have missed the time that it has to claim its turn, ms. */
const MISSED = 100;

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
 * I1: [grant, min(release-start, deadline, lost, crash)] of a key never overlap; and nobody passes a key on after another was
 * granted it.
 */
export function exclusive(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    for (const [key, leases] of byKey(reading.leases)) {
        let last: LeaseSpan | undefined;
        let before = '';
        const holders = new Set<string>();
        for (const lease of leases) {
            if (last !== undefined && lease.from < endOf(last)) {
                const until = Math.min(endOf(last), endOf(lease));
                const text = `${lease.client} and ${last.client} held ${key} for ${ms(until - lease.from)} together`;
                findings.push({ invariant: 'I1', key, from: lease.from, until, text });
            } else if (lease.holder !== before && holders.has(lease.holder)) {
                const text = `${lease.client} passed ${key} on after another was granted it`;
                findings.push({ invariant: 'I1', key, from: lease.from, until: lease.from, text });
            }
            before = lease.holder;
            holders.add(before);
            if (last === undefined || endOf(lease) > endOf(last)) last = lease;
        }
    }
    return findings;
}

/** I2: a holder is told of its loss before another is granted the key, or as soon as it can be after it stood still. */
export function told(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    for (const [key, leases] of byKey(reading.leases)) {
        for (const [at, lease] of leases.entries()) {
            const next = leases[at + 1];
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
        const last = new Map<string, LeaseSpan>();
        for (const lease of leases) {
            if (lease.fence === undefined) continue;
            const before = last.get(lease.holder) ?? greatest;
            if (before?.fence !== undefined && lease.fence <= before.fence) {
                const text = `${key}: fence ${lease.fence} of ${lease.client} after ${before.fence} of ${before.client}`;
                findings.push({ invariant: 'I3', key, from: before.from, until: lease.from, text });
            }
            last.set(lease.holder, lease);
            if (lease.fence > (greatest?.fence ?? 0)) greatest = lease;
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
 * I5: nobody is served before somebody who stood in line when it came, was alive and connected all the time, and waits on.
 *
 * Where workers pass keys on among their own callers this is so for the callers of one process that ask for the same ttl,
 * whatever happens to it. Between processes the places in line are those of the processes:
 * - A turn, which is what a process has of a key for one place in line, has at most 1 + n leases, n as in
 *   `options.local_grants`, of which the last begins within a third of the ttl.
 * - From when a caller stands in line until it is served, every other process begins at most one turn before each turn of
 *   its own process, and one more: the place of its process may be on its way to Redis when the caller is put behind it. A
 *   turn that was granted to a caller who left may pass unused, so each that leaves before it counts as one.
 *
 * So with t turns of its own (that in which it is served is the last) every other process gets at most (t + 1)(1 + n) leases.
 * With b callers of its process before it, t is at most ⌈(b + 1) / (1 + n)⌉ and one for every turn that was cut short: by
 * the third of the ttl, because too little of the lease was left to pass it on, by a loss, or as one that a plain try began.
 * As every turn serves one at least, t is never more than b + 1.
 */
export function inOrder(reading: Reading): Finding[] {
    if (reading.localGrants === 0) return overtakers(reading, (_, other, until) => hindered(reading, other, until));
    const strangers = (one: WaitSpan, other: WaitSpan): boolean => one.client !== other.client || one.ttl !== other.ttl;
    return [...overtakers(reading, strangers), ...longTurns(reading), ...leftBehind(reading)];
}

/** @param excused whether `one` may be served before `other`, who came before it. */
function overtakers(reading: Reading, excused: (one: WaitSpan, other: WaitSpan, until: number) => boolean): Finding[] {
    const findings: Finding[] = [];
    const leased = new Map(reading.leases.map((lease) => [lease.attempt, lease]));
    for (const [key, waits] of byKey(reading.waits)) {
        const granted = waits
            .filter(({ attempt, outcome }) => outcome === 'granted' && leased.has(attempt))
            .sort((one, other) => one.until - other.until);
        const waiting = new Set<WaitSpan>();
        let next = 0;
        for (const one of granted) {
            for (; next < waits.length; next += 1) {
                const wait = waits[next];
                if (wait === undefined || wait.from > one.from) break;
                if (wait.lined < Infinity) waiting.add(wait);
            }
            for (const other of waiting) {
                if (other.until <= one.until) waiting.delete(other);
                else if (other !== one && other.lined < one.from && !excused(one, other, one.until)) {
                    const text = `${one.attempt} was served before ${other.attempt}, which stood in line for ${key} before it came`;
                    findings.push({ invariant: 'I5', key, from: other.lined, until: one.until, text });
                }
            }
        }
    }
    return findings;
}

/** Turns that have too many leases, or go on for too long. */
function longTurns(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    const most = 1 + reading.localGrants;
    const ttls = new Map(reading.waits.map(({ attempt, ttl }) => [attempt, ttl]));
    for (const [key, leases] of byKey(reading.leases)) {
        for (const { client, leases: row } of turnsOf(leases)) {
            const { attempt, from } = row[0];
            const until = row.at(-1)?.from ?? from;
            if (row.length > most) {
                const text = `${client} had ${key} ${row.length} times in a row, ${most} times is the most`;
                findings.push({ invariant: 'I5', key, from, until, text });
            }
            const time = until - from - reading.blocked(client, from, until);
            if (time <= (ttls.get(attempt) ?? Infinity) / 3 + LATE) continue;
            const text = `${client} passed ${key} on for ${ms(time)}, longer than a third of its ttl`;
            findings.push({ invariant: 'I5', key, from, until, text });
        }
    }
    return findings;
}

/** Callers who had to watch another process having too many turns. */
function leftBehind(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    const leases = byKey(reading.leases);
    for (const [key, waits] of byKey(reading.waits)) {
        const turns = turnsOf(leases.get(key) ?? []).filter(({ leases: [{ fence }] }) => fence !== undefined);
        for (const wait of waits.filter(({ lined }) => lined < Infinity)) {
            const { client, lined, outcome } = wait;
            const until = Math.min(wait.until, reading.end);
            const begun = beginnings(turns, lined, until);
            const own = (begun.get(client) ?? 0) + (outcome === 'granted' ? 0 : 1);
            begun.delete(client);
            const [most = ['', 0]] = [...begun].sort(([, one], [, other]) => other - one);
            if (most[1] <= own + 1 || hindered(reading, wait, until)) continue;
            const left = waits.filter((one) => one.outcome === 'refused' && stoodBefore(one, wait)).length;
            if (most[1] <= own + 1 + left) continue;
            const text = `${most[0]} had ${most[1]} turns of ${key} while ${client} waited for it and had ${own}`;
            findings.push({ invariant: 'I5', key, from: lined, until, text });
        }
    }
    return findings;
}

/** Whether one left the same line as another, which stood behind it. */
function stoodBefore(one: WaitSpan, other: WaitSpan): boolean {
    const same = one.client === other.client && one.ttl === other.ttl;
    return same && one !== other && one.from <= other.from && one.until > other.lined && one.until <= other.until;
}

/** How many turns of each client begin in a span. */
function beginnings(turns: readonly Turn[], from: number, until: number): Map<string, number> {
    const counts = new Map<string, number>();
    for (const {
        client,
        leases: [first],
    } of turns) {
        if (first.from > from && first.from <= until) counts.set(client, (counts.get(client) ?? 0) + 1);
    }
    return counts;
}

function hindered(reading: Reading, { client, from }: WaitSpan, until: number): boolean {
    return (
        reading.disturbed(client, from, until) ||
        reading.blocked(client, from, until) + reading.blocked('lab', from, until) > MISSED
    );
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
        const look = (before: LeaseSpan | undefined, wait: WaitSpan | undefined, until: number): void => {
            if (before === undefined || wait === undefined) return;
            const since = reading.calmSince(Math.max(endOf(before), wait.lined), until);
            const still = Math.max(...[wait.client, 'lab'].map((one) => reading.blocked(one, since, until)));
            if (until - since - still <= IDLE) return;
            const text = `${key} was free for ${ms(until - since)} while ${wait.client} waited for it`;
            findings.push({ invariant: 'I6', key, from: since, until, text });
        };
        for (const [at, lease] of leases.entries()) look(leases[at - 1], byAttempt.get(lease.attempt), lease.from);
        const open = lined.find(({ outcome }) => outcome === 'open');
        look(leases.at(-1), open, reading.end);
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

function ms(duration: number): string {
    return `${duration.toFixed(1)} ms`;
}
