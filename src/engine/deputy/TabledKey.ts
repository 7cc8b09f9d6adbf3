import type { LeasedKey } from '../lease/LeasedKey';
import type { LeaseTable } from './LeaseTable';

/** A key of a lease whose deadline is in the table. */
export class TabledKey implements LeasedKey {
    readonly key: string;
    readonly holder: string;
    readonly fence: number;
    readonly buried: string | undefined;
    readonly id: string | undefined;
    readonly permits: number;
    shared: boolean | undefined;
    keptUntil: number | undefined;
    /** The last deadline, when the lease has ended: then its row may be another's. */
    private _last: number | undefined;

    constructor(
        private readonly _table: LeaseTable,
        readonly row: number,
        { key, holder, fence, buried, permits, shared, keptUntil, id }: LeasedKey,
    ) {
        this.key = key;
        this.holder = holder;
        this.fence = fence;
        this.buried = buried;
        this.id = id;
        this.permits = permits;
        this.shared = shared;
        this.keptUntil = keptUntil;
    }

    get deadline(): number {
        return this._last ?? this._table.deadline(this.row);
    }

    set deadline(deadline: number) {
        if (this._last === undefined) this._table.raise(this.row, deadline);
    }

    /** Whether the lease has not ended. */
    get hasRow(): boolean {
        return this._last === undefined;
    }

    /** The lease has ended. @returns the row that it had. */
    end(): number {
        this._last = this.deadline;
        return this.row;
    }
}
