import type { LockError } from '../port/errors';
import type { Renewal, RenewAnswer } from '../port/LockStore';

/** A renewal that was sent less than this part of the ttl ago does for the next lease, too. */
const JUST_NOW = 0.1;

interface UnderWay {
    readonly ttl: number;
    readonly sentAt: number;
    readonly others: Renewal[];
}

/**
 * Renewals of turns that are under way. The leases of one turn have one holder: where they follow each other faster than the
 * store answers, the renewal of one is that of the next.
 */
export class TurnRenewals {
    private readonly _byHolder = new Map<string, UnderWay>();

    /** Whether a renewal that is under way answers this one, too. */
    join(renewal: Renewal, now: number): boolean {
        const underWay = this._byHolder.get(renewal.holder);
        if (underWay === undefined || underWay.ttl !== renewal.ttl) return false;
        if (now - underWay.sentAt > renewal.ttl * JUST_NOW) return false;
        underWay.others.push(renewal);
        return true;
    }

    /** What to send for a renewal. @param done is told the answer first. */
    begin(renewal: Renewal, now: number, done: (answer: RenewAnswer | LockError) => void): Renewal {
        const { key, holder, shared, ttl } = renewal;
        const underWay: UnderWay = { ttl, sentAt: now, others: [] };
        this._byHolder.set(holder, underWay);
        const answered = (answer: RenewAnswer | LockError): void => {
            if (this._byHolder.get(holder) === underWay) this._byHolder.delete(holder);
            done(answer);
            for (const one of [renewal, ...underWay.others]) one.answered(answer);
        };
        return { key, holder, ttl, shared, answered };
    }
}
