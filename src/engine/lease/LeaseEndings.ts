import type { GiveUps } from '../followups/GiveUps';
import type { LockError } from '../port/errors';
import type { LockEvent } from '../port/LockObserver';
import type { LockStore, ReleaseAnswer } from '../port/LockStore';
import { shareHolder } from '../port/ReservingRequest';
import { latestEnd } from '../port/validity';
import type { Clock } from '../time/Clock';
import type { HeldLease } from './HeldLease';
import type { LeasedKey } from './LeasedKey';

/** What a lease answers that is not released. */
const STILL_OURS = Promise.resolve(true);
const NOT_OURS = Promise.resolve(false);

/** A lease that has ended, and what was done for it. */
export interface EndedLease {
    readonly lease: HeldLease;
    /** When it was granted. */
    readonly since: number;
    /** The longest ttl that the store was asked for. */
    readonly longest: number;
    /** It was renewed until it ended. */
    readonly isKept: boolean;
    /** A renewal had no answer and may reach the store yet. */
    readonly mayArrive: boolean;
    /** For the observer. */
    readonly context: unknown;
}

/** Tells the store, and the observer, that leases have ended. What fails of that is retried in the background. */
export class LeaseEndings {
    /** Releases that have no answer yet; `_idle` is called when the last of them has one. */
    private _releasing = 0;
    private _idle: (() => void) | undefined;

    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        private readonly _giveUps: GiveUps,
        private readonly _tell: (event: LockEvent) => void,
        private readonly _exceptionOf: (error: LockError, context: unknown) => Error,
    ) {}

    /**
     * Releases every key. A renewal of ours that is under way is not waited for: it never re-creates what was released before it.
     *
     * @param over settles when a renewal of the deputy is over: it has a connection of its own, and may arrive after the release.
     * @returns whether all of them were ours.
     */
    release(ended: EndedLease, over: Promise<void> | undefined): Promise<boolean> {
        const { leased } = ended.lease;
        if (leased.length === 1) return this._release(ended, leased[0], over);
        const released = leased.map((one) => this._release(ended, one, over));
        return Promise.all(released).then((all) => all.every(Boolean));
    }

    handOver({ lease, longest }: EndedLease): Promise<boolean> {
        for (const { key, holder, buried } of lease.leased) {
            shareHolder(this._store, key, holder);
            if (buried !== undefined) this._giveUps.bury(key, buried, this._clock.now() + longest);
        }
        return STILL_OURS;
    }

    lost(ended: EndedLease, error: LockError): Promise<boolean> {
        const { lease, context, since, isKept, mayArrive } = ended;
        const { key, holder, leased } = lease;
        // Of several keys the others may still be ours. A renewal without an answer may have arrived, and an attempt may arrive yet. One key
        // that we did not renew is left alone: a process that was told the holder may have renewed it.
        const isBuried = leased.some(({ buried }) => buried !== undefined);
        if (isKept || mayArrive || isBuried || leased.length > 1) {
            for (const one of leased) this._giveUp(ended, one);
        }
        this._tell({ kind: 'lost', key, holder, context, held: this._clock.now() - since, error });
        return NOT_OURS;
    }

    /** Settles when every release that is under way has been answered. */
    async idle(): Promise<void> {
        if (this._releasing > 0) await new Promise<void>((resolve) => (this._idle = resolve));
    }

    private _release(ended: EndedLease, one: LeasedKey, over: Promise<void> | undefined): Promise<boolean> {
        const { key, holder, buried, id, keptUntil, shared } = one;
        const request = { key, holder, buried, id, keptUntil, shared };
        this._releasing += 1;
        if (id !== undefined) this._giveUps.owners.begin(key, holder);
        return new Promise((resolve, reject) => {
            const answered = (answer: ReleaseAnswer | LockError): void => {
                this._releasing -= 1;
                if (this._releasing === 0) this._idle?.();
                this._released(ended, one, answer);
                if (id !== undefined) this._giveUps.owners.end(key, holder);
                if (answer instanceof Error) reject(this._exceptionOf(answer, ended.context));
                else resolve(answer === 'released');
            };
            // A late renewal would lengthen the next lease of a holder that was chosen, and the time for which a key stays taken.
            if (over === undefined || (id === undefined && keptUntil === undefined))
                this._store.release(request, answered);
            else void over.then(() => this._store.release(request, answered));
        });
    }

    private _released(ended: EndedLease, one: LeasedKey, answer: ReleaseAnswer | LockError): void {
        const { key, holder } = one;
        const { context, since } = ended;
        if (answer instanceof Error) {
            this._giveUp(ended, one);
            this._tell({ kind: 'failed', key, holder, context, error: answer });
        } else if (answer === 'released') {
            this._tell({ kind: 'released', key, holder, context, held: this._clock.now() - since });
        }
    }

    /** Releases in the background, until the server has let go of it by itself; never what was acquired after it. */
    private _giveUp({ longest, mayArrive }: EndedLease, one: LeasedKey): void {
        const { key, holder, buried, id, deadline, keptUntil, shared } = one;
        const until = latestEnd(this._clock.now(), longest, deadline);
        this._giveUps.release({ key, holder, buried, id, keptUntil, shared }, until, mayArrive);
    }
}
