import type { Deputy, LookedAfter } from '../lease/Deputy';
import type { LeasedKey } from '../lease/LeasedKey';
import type { Clock } from '../time/Clock';
import { inMicrotask } from '../time/hostTime';
import { LeaseTable, newBlock, ROWS } from './LeaseTable';
import type { KeptKey, LostRow, ToDeputy } from './messages';
import { TabledKey } from './TabledKey';

/** How often a renewal of the deputy that is in the way is looked at, ms. */
const LOOK = 5;

/** A renewal of the deputy that is not answered after so long is not waited for, ms. */
const LONGEST_WAIT = 3000;

/** The main thread's side of the deputy: gives a row of the table to each key that is held, and tells the deputy what to renew. */
export class ThreadDeputy implements Deputy {
    private readonly _table = new LeaseTable();
    private readonly _free: number[] = [];
    /** Of leases that have ended while a renewal of the deputy was under way. */
    private _waiting: number[] = [];
    /** By row. */
    private readonly _leases: (LookedAfter | undefined)[] = [];
    private _untold: KeptKey[] = [];
    private _size = 0;

    /** @param _tell called in order. Where there is no thread, nobody hears it. */
    constructor(
        private readonly _clock: Clock,
        private readonly _tell: (message: ToDeputy) => void,
    ) {}

    /** How many keys are held. */
    get size(): number {
        return this._size;
    }

    /** There is a thread now, which knows nothing yet. */
    arrived(): void {
        for (const block of this._table.blocks) this._tell({ kind: 'block', block });
        this._untold = this._leases.flatMap(keyOf).map((one) => this._kept(one));
        this._flush();
    }

    /** The thread has ended: nothing of it is under way. */
    gone(): void {
        this._table.endDeputies();
    }

    adopt(one: LeasedKey): LeasedKey {
        const row = this._take();
        this._table.occupy(row, one.deadline);
        this._size += 1;
        return new TabledKey(this._table, row, one);
    }

    keep(lease: LookedAfter, whether: boolean): void {
        for (const one of lease.leased) {
            if (!isTabled(one)) continue;
            const { row } = one;
            if (!whether) this._table.leave(row);
            else if (this._table.keep(row, lease.ttl)) this._keep(lease, one);
        }
    }

    begin(lease: LookedAfter, anyway: boolean): boolean {
        const now = this._clock.now();
        for (const one of lease.leased) {
            if (!isTabled(one) || this._table.beginMain(one.row, now, anyway)) continue;
            this.done(lease);
            return false;
        }
        return true;
    }

    done(lease: LookedAfter): void {
        for (const one of lease.leased) if (isTabled(one)) this._table.endMain(one.row);
    }

    end(lease: LookedAfter): Promise<void> | undefined {
        const busy: number[] = [];
        for (const one of lease.leased) {
            if (!isTabled(one)) continue;
            const row = one.end();
            this._table.retire(row);
            this._leases[row] = undefined;
            this._size -= 1;
            if (!this._table.isBusy(row)) this._free.push(row);
            else {
                this._waiting.push(row);
                busy.push(row);
            }
        }
        return busy.length === 0 ? undefined : this._quiet(busy, this._clock.now() + LONGEST_WAIT);
    }

    /** The deputy was told that a key is lost: those who work under its lease are told at once. */
    lost({ row, generation }: LostRow): void {
        if (row < this._table.size && this._table.generation(row) === generation) this._leases[row]?.isHeld();
    }

    private _keep(lease: LookedAfter, one: TabledKey): void {
        this._leases[one.row] = lease;
        // Before the caller that waits for the lease goes on, perhaps with a computation that blocks the event loop.
        if (this._untold.length === 0) inMicrotask(() => this._flush());
        this._untold.push(this._kept(one));
    }

    private _kept({ key, holder, row, shared }: TabledKey): KeptKey {
        return { row, generation: this._table.generation(row), key, holder, shared: shared === true };
    }

    private _flush(): void {
        const keys = this._untold;
        this._untold = [];
        if (keys.length > 0) this._tell({ kind: 'kept', keys });
    }

    private _take(): number {
        return this._free.pop() ?? this._takeAgain() ?? this._grow();
    }

    private _takeAgain(): number | undefined {
        const busy: number[] = [];
        for (const row of this._waiting) (this._table.isBusy(row) ? busy : this._free).push(row);
        this._waiting = busy;
        return this._free.pop();
    }

    private _grow(): number {
        const row = this._table.size;
        const block = newBlock();
        this._table.grow(block);
        this._tell({ kind: 'block', block });
        for (let next = row + ROWS - 1; next > row; next--) this._free.push(next);
        return row;
    }

    private _quiet(rows: readonly number[], until: number): Promise<void> {
        return new Promise((resolve) => {
            const look = (): void => {
                const isOver = this._clock.now() >= until || !rows.some((row) => this._table.isBusy(row));
                if (isOver) resolve();
                else this._clock.timer(LOOK, look);
            };
            look();
        });
    }
}

/** That key of the lease which has the row. */
function keyOf(lease: LookedAfter | undefined, row: number): readonly TabledKey[] {
    return lease?.leased.filter(isTabled).filter((one) => one.row === row) ?? [];
}

/** Whether it has a row: until its lease has ended. */
function isTabled(one: LeasedKey): one is TabledKey {
    return one instanceof TabledKey && one.hasRow;
}
