import type { HistoryEvent, Invariant, Share } from './HistoryEvent';

/** From a grant to its end, as its holder believed it. */
export interface LeaseSpan {
    readonly key: string;
    readonly client: string;
    readonly attempt: string;
    readonly holder: string;
    /** Undefined: of another edition, which has none. */
    readonly fence: number | undefined;
    /** As asked for; undefined as well. */
    readonly ttl: number | undefined;
    /** Undefined: it has the key alone. */
    readonly share: Share | undefined;
    readonly from: number;
    /** The greatest that it had. */
    deadline: number;
    /** The last instant at which it was asked and said that it was held. */
    believed: number;
    released: number;
    lost: number;
    crashed: number;
}

/** From a first try to what became of it. */
export interface WaitSpan {
    readonly key: string;
    readonly client: string;
    readonly attempt: string;
    readonly from: number;
    readonly patience: number;
    readonly ttl: number;
    readonly share: Share | undefined;
    /** When it was known to stand in line. */
    lined: number;
    /** Infinity: still waiting at the end of the history. */
    until: number;
    outcome: 'granted' | 'refused' | 'crashed' | 'open';
}

/** Leases of a key that one client had in a row with one holder: it passed the key on among its own callers. */
export interface Turn {
    readonly client: string;
    readonly holder: string;
    readonly leases: [LeaseSpan, ...LeaseSpan[]];
}

/** From a fault to its heal. */
export interface FaultSpan {
    readonly name: string;
    readonly clients: readonly string[] | null;
    readonly exempts: readonly Invariant[];
    readonly tail: number;
    readonly unheard: number;
    readonly from: number;
    until: number;
}

/** A history by what it tells of, put together in one scan. */
export class Reading {
    readonly leases: LeaseSpan[] = [];
    readonly waits: WaitSpan[] = [];
    readonly faults: FaultSpan[] = [];
    /** How often in a row a client may pass a key on. */
    localGrants = 0;
    readonly end: number;
    private readonly _leaseOf = new Map<string, LeaseSpan>();
    private readonly _waitOf = new Map<string, WaitSpan>();
    private readonly _still = new Map<string, [from: number, until: number][]>();

    /** @param events in the order of their instants. */
    constructor(readonly events: readonly HistoryEvent[]) {
        for (const event of events) this._take(event);
        this.end = events.at(-1)?.at ?? 0;
        for (const fault of this.faults) if (fault.until === Infinity) fault.until = this.end;
    }

    /** For how long of a span the event loop of a client stood still, ms. */
    blocked(client: string, from: number, until: number): number {
        let sum = 0;
        for (const [start, stop] of this._still.get(client) ?? []) {
            sum += Math.max(0, Math.min(stop, until) - Math.max(start, from));
        }
        return sum;
    }

    /** Whether a fault touched a client in a span, or what came after one. */
    disturbed(client: string, from: number, until: number): boolean {
        return this.faults.some(
            (fault) =>
                (fault.clients === null || fault.clients.includes(client)) &&
                fault.from <= until &&
                fault.until + Math.max(fault.tail, RECOVERY) >= from,
        );
    }

    /** From when on, in a span, nothing was broken to its end. */
    calmSince(from: number, until: number): number {
        let since = from;
        for (const fault of this.faults) {
            const end = fault.until + Math.max(fault.tail, fault.unheard, RECOVERY);
            if (fault.from < until && end > since) since = Math.min(end, until);
        }
        return since;
    }

    private _take(event: HistoryEvent): void {
        switch (event.operation) {
            case 'order':
                this.localGrants = event.localGrants;
                return;
            case 'try': {
                const { key, client, attempt, patience, share, ttl, at } = event;
                const wait: WaitSpan = {
                    ...{ key, client, attempt, patience, share, ttl, from: at },
                    ...{ lined: Infinity, until: Infinity, outcome: 'open' },
                };
                this.waits.push(wait);
                this._waitOf.set(attempt, wait);
                return;
            }
            case 'waiting': {
                const wait = this._waitOf.get(event.attempt);
                if (wait !== undefined) wait.lined = Math.min(wait.lined, event.at);
                return;
            }
            case 'refused':
                this._settle(event.attempt, event.at, 'refused');
                return;
            case 'grant':
                this._settle(event.attempt, event.at, 'granted');
                if (event.held) this._grant(event);
                return;
            case 'renew':
            case 'enter':
            case 'exit':
            case 'check':
            case 'write': {
                const lease = this._leaseOf.get(event.attempt);
                if (lease === undefined || !event.held) return;
                lease.deadline = Math.max(lease.deadline, event.deadline);
                lease.believed = event.at;
                return;
            }
            case 'lost': {
                const lease = this._leaseOf.get(event.attempt);
                if (lease !== undefined) lease.lost = event.at;
                return;
            }
            case 'release-start': {
                const lease = this._leaseOf.get(event.attempt);
                if (lease !== undefined) lease.released = Math.min(lease.released, event.at);
                return;
            }
            case 'blocked': {
                const spans = this._still.get(event.client) ?? [];
                this._still.set(event.client, spans);
                spans.push([event.from, event.at]);
                return;
            }
            case 'crash':
                for (const lease of this.leases) if (lease.client === event.of) lease.crashed = event.at;
                for (const wait of this.waits) {
                    if (wait.client === event.of) this._settle(wait.attempt, event.at, 'crashed');
                }
                return;
            case 'fault': {
                const { name, clients, exempts, tail, unheard, at } = event;
                this.faults.push({ name, clients, exempts, tail, unheard, from: at, until: Infinity });
                return;
            }
            case 'heal':
                for (const fault of this.faults) {
                    if (fault.name === event.name && fault.until === Infinity) fault.until = event.at;
                }
                return;
            default:
        }
    }

    private _grant(event: Extract<HistoryEvent, { operation: 'grant' | 'renew' | 'enter' | 'exit' | 'check' }>): void {
        const { key, client, attempt, holder, fence, at, deadline } = event;
        const lease: LeaseSpan = {
            ...{ key, client, attempt, holder, deadline, from: at, believed: at },
            fence: fence === 0 ? undefined : fence,
            ttl: this._waitOf.get(attempt)?.ttl,
            share: this._waitOf.get(attempt)?.share,
            ...{ released: Infinity, lost: Infinity, crashed: Infinity },
        };
        this.leases.push(lease);
        this._leaseOf.set(attempt, lease);
    }

    private _settle(attempt: string, at: number, outcome: WaitSpan['outcome']): void {
        const wait = this._waitOf.get(attempt);
        if (wait?.outcome !== 'open') return;
        wait.until = at;
        wait.outcome = outcome;
    }
}

/** How long after a fault a client may still be connecting and finding its place again, ms. */
export const RECOVERY = 2000;

/** Whether both may have a key at the same time. */
export function mayShare(
    one: { readonly share: Share | undefined },
    other: { readonly share: Share | undefined },
): boolean {
    return one.share !== undefined && other.share !== undefined;
}

/** Until when a lease was believed in. */
export function endOf({ deadline, believed, released, lost, crashed }: LeaseSpan): number {
    return Math.min(released, lost, crashed, Math.max(deadline, believed));
}

/** The turns in which leases of one key were had. */
export function turnsOf(leases: readonly LeaseSpan[]): Turn[] {
    const turns: Turn[] = [];
    for (const lease of leases) {
        const { client, holder } = lease;
        const last = turns.at(-1);
        if (last?.client === client && last.holder === holder) last.leases.push(lease);
        else turns.push({ client, holder, leases: [lease] });
    }
    return turns;
}

/** By key, in the order in which they come. */
export function byKey<T extends { readonly key: string }>(items: readonly T[]): Map<string, T[]> {
    const groups = new Map<string, T[]>();
    for (const item of items) {
        const group = groups.get(item.key);
        if (group === undefined) groups.set(item.key, [item]);
        else group.push(item);
    }
    return groups;
}
