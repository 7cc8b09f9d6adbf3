import type { LockError } from '../port/errors';
import type { HeldLease, LeasedKey, Renewing } from './Lease';
import type { RenewAnswer, Renewal } from '../port/LockStore';

/** A renewal of a lease, or of some of its keys, until it has been answered for each of them. */
export class LeaseRenewal implements Renewing {
    /** Of several, the last one. */
    failure: LockError | undefined;
    private _missing: number;
    private _waiting: ((failure: LockError | undefined) => void)[] | undefined;

    /** @param _done called when all answers are there. */
    constructor(
        readonly lease: HeldLease,
        keys: readonly LeasedKey[],
        private readonly _done: (renewal: LeaseRenewal) => void,
    ) {
        this._missing = keys.length;
    }

    answer(): Promise<LockError | undefined> {
        // Made on demand: most often nobody waits.
        return new Promise((resolve) => (this._waiting ??= []).push(resolve));
    }

    answered(one: LeasedKey, answer: RenewAnswer | LockError): void {
        if (answer instanceof Error) this.failure = answer;
        else if (answer.kind === 'gone') this.lease.lose(`was taken or deleted (${one.key})`);
        else one.deadline = Math.max(one.deadline, answer.deadline);
        this._missing -= 1;
        if (this._missing > 0) return;
        this._done(this);
        for (const resolve of this._waiting ?? []) resolve(this.failure);
    }
}

/** Its part for one key. */
export class KeyRenewal implements Renewal {
    constructor(
        private readonly _whole: LeaseRenewal,
        private readonly _one: LeasedKey,
    ) {}

    get key(): string {
        return this._one.key;
    }

    get holder(): string {
        return this._one.holder;
    }

    get ttl(): number {
        return this._whole.lease.ttl;
    }

    answered(answer: RenewAnswer | LockError): void {
        this._whole.answered(this._one, answer);
    }
}
