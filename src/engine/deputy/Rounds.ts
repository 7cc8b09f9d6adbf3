import type { LockError } from '../port/errors';
import { answerWith } from '../port/LockStore';
import type { LockStore, Renewal, RenewAnswer } from '../port/LockStore';
import type { Clock, Timer } from '../time/Clock';
import { LeaseTable, patience } from './LeaseTable';
import type { KeptKey, LostRow, ToDeputy } from './messages';
import type { Pulse } from './Pulse';

/** At most this many renewals in one command. */
const RENEWALS_PER_COMMAND = 100;

/** Rounds are this far apart at least, and at most, ms. */
const SHORTEST = 10;
const LONGEST = 1000;

export interface RoundsOptions {
    readonly pulse: Pulse;
    readonly clock: Clock;
    /** The main thread is given up when it has shown no pulse for so long, ms. */
    readonly maxBlock: number;
    /** Where to renew; undefined: it is not there yet. */
    readonly store: () => Pick<LockStore, 'renew' | 'renewAll'> | undefined;
    readonly lost: (row: LostRow) => void;
}

/**
 * The deputy's side: goes through the table when something may be due, and renews what the main thread should have renewed and has
 * not. It looks at no pulse but for one question: whether the main thread is stuck for good, and its leases have to run out.
 */
export class Rounds {
    private readonly _table = new LeaseTable();
    /** By row. */
    private readonly _kept: (KeptKey | undefined)[] = [];
    private _timer: Timer | undefined;
    /** When the next round is. */
    private _next = Infinity;

    constructor(private readonly _options: RoundsOptions) {
        this._plan(this._options.clock.now() + LONGEST);
    }

    heard(message: ToDeputy): void {
        if (message.kind === 'block') {
            this._table.grow(message.block);
            return;
        }
        const now = this._options.clock.now();
        let next = Infinity;
        for (const one of message.keys) {
            this._kept[one.row] = one;
            next = Math.min(next, this._table.due(one.row, now));
        }
        // They may be due before the others.
        if (next < this._next) this._plan(next);
    }

    close(): void {
        this._timer?.cancel();
    }

    private _plan(next: number): void {
        const { clock } = this._options;
        const delay = Math.max(next - clock.now(), SHORTEST);
        this._timer?.cancel();
        this._next = next;
        this._timer = clock.timer(delay, () => this._round());
    }

    private _round(): void {
        const { clock, maxBlock, pulse } = this._options;
        pulse.beatOfDeputy();
        const now = clock.now();
        const { age } = pulse;
        // A negative age is one of weeks.
        const store = age >= 0 && age < maxBlock ? this._options.store() : undefined;
        const renewals: Renewal[] = [];
        let next = now + LONGEST;
        for (const one of this._kept) {
            if (one === undefined) continue;
            const { generation, row } = one;
            if (this._table.isOver(row, generation)) {
                this._kept[row] = undefined;
                continue;
            }
            const due = this._table.due(row, now);
            if (due > now) next = Math.min(next, due);
            else if (store !== undefined && this._table.beginDeputy(row, generation, now)) {
                const renewal = new DeputyRenewal(one, this._table, store, this._options.lost);
                renewals.push(renewal);
                // It may fail.
                next = Math.min(next, now + patience(renewal.ttl));
            }
        }
        for (let at = 0; at < renewals.length; at += RENEWALS_PER_COMMAND) {
            store?.renewAll(renewals.slice(at, at + RENEWALS_PER_COMMAND));
        }
        this._plan(next);
    }
}

class DeputyRenewal implements Renewal {
    readonly ttl: number;

    constructor(
        private readonly _one: KeptKey,
        private readonly _table: LeaseTable,
        private readonly _store: Pick<LockStore, 'renew'>,
        private readonly _lost: (row: LostRow) => void,
    ) {
        this.ttl = _table.ttl(_one.row);
    }

    get key(): string {
        return this._one.key;
    }

    get holder(): string {
        return this._one.holder;
    }

    get shared(): boolean {
        return this._one.shared;
    }

    answered(answer: RenewAnswer | LockError): void {
        if (answer instanceof Error || answer.kind === 'renewed' || this.shared) this._end(answer);
        else {
            // It may have been downgraded: then it is found among those who share the key.
            const again = this._store.renew(this.key, this.holder, this.ttl, true);
            answerWith(again, this, (shared) => this._end(shared));
        }
    }

    private _end(answer: RenewAnswer | LockError): void {
        const { generation, row } = this._one;
        const isGone = !(answer instanceof Error) && answer.kind === 'gone';
        if (!(answer instanceof Error) && answer.kind === 'renewed') this._table.raise(row, answer.deadline);
        this._table.endDeputy(row, isGone);
        if (isGone) this._lost({ row, generation });
    }
}
