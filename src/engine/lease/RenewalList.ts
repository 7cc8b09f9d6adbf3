import type { LockStore, Renewal } from '../port/LockStore';
import { inMicrotask } from '../time/hostTime';

/** At most this many renewals in one command: in longer ones each costs no less. */
const LONGEST = 100;

/** The renewals of this turn of the event loop: they go out together. */
export class RenewalList {
    private _renewals: Renewal[] = [];

    constructor(private readonly _store: LockStore) {}

    add(renewals: readonly Renewal[]): void {
        const isFirst = this._renewals.length === 0;
        this._renewals.push(...renewals);
        if (this._renewals.length >= LONGEST) this.send();
        else if (isFirst) inMicrotask(() => this.send());
    }

    /** Sends them now. */
    send(): void {
        const renewals = this._renewals;
        this._renewals = [];
        if (renewals.length > 0) this._store.renewAll(renewals);
    }
}
