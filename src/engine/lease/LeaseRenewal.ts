import type { LockError } from '../port/errors';
import { answerWith } from '../port/LockStore';
import type { LockStore, Renewal, RenewAnswer } from '../port/LockStore';
import type { HeldLease } from './HeldLease';
import type { LeasedKey } from './LeasedKey';

/** A renewal, or a downgrade, of every key of a lease, until each has been answered. Very many of them may be under way at a time. */
export class LeaseRenewal {
    /** One for each key. */
    readonly parts: readonly KeyRenewal[];
    /** Of several, the last one. */
    failure: LockError | undefined;
    private _missing: number;
    private _waiting: ((failure: LockError | undefined) => void)[] | undefined;

    /** @param _done called when all answers are there. */
    constructor(
        private readonly _lease: HeldLease,
        readonly sentAt: number,
        private readonly _done: (renewal: LeaseRenewal) => void,
    ) {
        const { leased, ttl } = _lease;
        this._missing = leased.length;
        this.parts = leased.map((one) => new KeyRenewal(this, one, ttl));
    }

    /** Settles with what failed, if anything, when every key has been answered, or the lease has ended. */
    answer(): Promise<LockError | undefined> {
        // Made on demand: most often nobody waits.
        return new Promise((resolve) => (this._waiting ??= []).push(resolve));
    }

    answered(one: LeasedKey, answer: RenewAnswer | LockError): void {
        if (answer instanceof Error) this.failure = answer;
        else if (answer.kind === 'gone') this._lease.lose(`was taken or deleted (${one.key})`);
        else one.deadline = Math.max(one.deadline, answer.deadline);
        this._missing -= 1;
        if (this._missing > 0) return;
        this._done(this);
        this.settle();
    }

    /** Nobody waits for it any longer. */
    settle(): void {
        const waiting = this._waiting ?? [];
        this._waiting = undefined;
        for (const resolve of waiting) resolve(this.failure);
    }
}

/** The part for one key. */
export class KeyRenewal implements Renewal {
    constructor(
        private readonly _whole: LeaseRenewal,
        private readonly _one: LeasedKey,
        readonly ttl: number,
    ) {}

    get key(): string {
        return this._one.key;
    }

    get holder(): string {
        return this._one.holder;
    }

    get shared(): boolean | undefined {
        return this._one.shared;
    }

    /** Has the store downgrade the key. */
    downgrade(store: LockStore): void {
        const { _one: one, key, holder, ttl } = this;
        const before = one.shared;
        // Until there is an answer it may be either.
        one.shared = undefined;
        answerWith(store.downgrade(key, holder, ttl), this, (answer) => {
            if (answer instanceof Error) one.shared = answer.unknown ? undefined : before;
            else if (answer.kind === 'renewed') one.shared = true;
            this.answered(answer);
        });
    }

    answered(answer: RenewAnswer | LockError): void {
        this._whole.answered(this._one, answer);
    }
}
