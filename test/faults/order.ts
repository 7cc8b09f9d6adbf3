import { LATE, ms } from './Finding';
import type { Finding } from './Finding';
import { byKey, mayShare, turnsOf } from './Reading';
import type { Reading, Turn, WaitSpan } from './Reading';

/** A waiter whose process stood still for longer may have missed the time that it has to claim its turn, ms. */
const MISSED = 100;

/**
 * I5: nobody is served before somebody who stood in line when it came, was alive and connected all the time, and waits on.
 *
 * Where workers pass keys on among their own callers this is so for the callers of one process that ask for the same ttl,
 * whatever happens to it: they are a line. Between lines the places are those of the lines, and not of those who wait in them:
 * - A turn, which is what a line has of a key for one place at Redis, has at most 1 + n leases, n as in
 *   `options.local_grants`, of which the last begins within a third of the ttl.
 * - While a caller waits, every other line begins at most one turn before each turn of its own, counted from when its own
 *   has its place at Redis. That may be on its way yet when the caller is put behind the first of its line, so one more is
 *   let pass here. And a turn that was granted to a caller who left may pass unused, so each caller before it that leaves
 *   counts as a turn of its own.
 *
 * So with t turns of its own (that in which it is served is the last) a caller sees every other line have the key t(1 + n)
 * times at most, and (t + 1)(1 + n) times with what is on its way. With b callers of its line before it, t is at most
 * ⌈(b + 1) / (1 + n)⌉, and one more for each turn that was cut short: by the third of the ttl, because too little of the
 * lease was left to pass it on, by a loss, or because a plain try began it. As every turn serves one at least, t is never
 * more than b + 1.
 */
export function inOrder(reading: Reading): Finding[] {
    if (reading.localGrants === 0) {
        // Those who share a key are granted it in one step, and hear of it in any order.
        return overtakers(reading, (one, other, until) => mayShare(one, other) || hindered(reading, other, until));
    }
    const strangers = (one: WaitSpan, other: WaitSpan): boolean => lineOf(one) !== lineOf(other);
    return [...overtakers(reading, strangers), ...longTurns(reading), ...leftBehind(reading)];
}

/** Who wants the same key with the same ttl in one process has one place in line. */
function lineOf({ client, ttl }: { readonly client: string; readonly ttl: number | undefined }): string {
    return `${client} (ttl ${ttl})`;
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
    for (const [key, leases] of byKey(reading.leases)) {
        for (const { client, leases: row } of turnsOf(leases)) {
            const { from, ttl = Infinity } = row[0];
            const until = row.at(-1)?.from ?? from;
            if (row.length > most) {
                const text = `${client} had ${key} ${row.length} times in a row, ${most} times is the most`;
                findings.push({ invariant: 'I5', key, from, until, text });
            }
            const time = until - from - reading.blocked(client, from, until);
            if (time <= ttl / 3 + LATE) continue;
            const text = `${client} passed ${key} on for ${ms(time)}, longer than a third of its ttl`;
            findings.push({ invariant: 'I5', key, from, until, text });
        }
    }
    return findings;
}

/** Callers who had to watch another line having too many turns. */
function leftBehind(reading: Reading): Finding[] {
    const findings: Finding[] = [];
    const leases = byKey(reading.leases);
    for (const [key, waits] of byKey(reading.waits)) {
        const turns = turnsOf(leases.get(key) ?? []).filter(({ leases: [{ fence }] }) => fence !== undefined);
        for (const wait of waits.filter(({ lined }) => lined < Infinity)) {
            const { lined, outcome } = wait;
            const [line, until] = [lineOf(wait), Math.min(wait.until, reading.end)];
            const begun = beginnings(turns, lined, until);
            const own = (begun.get(line) ?? 0) + (outcome === 'granted' ? 0 : 1);
            begun.delete(line);
            const [most = ['', 0]] = [...begun].sort(([, one], [, other]) => other - one);
            if (most[1] <= own + 1 || hindered(reading, wait, until)) continue;
            const left = waits.filter((one) => one.outcome === 'refused' && stoodBefore(one, wait)).length;
            if (most[1] <= own + 1 + left) continue;
            const text = `${most[0]} had ${most[1]} turns of ${key} while ${line} waited for it and had ${own}`;
            findings.push({ invariant: 'I5', key, from: lined, until, text });
        }
    }
    return findings;
}

/** Whether one left the same line as another, which stood behind it. */
function stoodBefore(one: WaitSpan, other: WaitSpan): boolean {
    return (
        lineOf(one) === lineOf(other) &&
        one !== other &&
        one.from <= other.from &&
        one.until > other.lined &&
        one.until <= other.until
    );
}

/** How many turns of each line begin in a span. */
function beginnings(turns: readonly Turn[], from: number, until: number): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { leases } of turns) {
        const [first] = leases;
        const line = lineOf(first);
        if (first.from > from && first.from <= until) counts.set(line, (counts.get(line) ?? 0) + 1);
    }
    return counts;
}

function hindered(reading: Reading, { client, from }: WaitSpan, until: number): boolean {
    return (
        reading.disturbed(client, from, until) ||
        reading.blocked(client, from, until) + reading.blocked('lab', from, until) > MISSED
    );
}
