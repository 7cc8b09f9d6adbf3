import type { LockError } from '../port/errors';
import type { AcquireAnswer, Busy } from '../port/LockStore';
import type { ReservedGrant } from '../port/ReservingRequest';
import { grantByMessage } from '../port/validity';
import type { GrantMessage } from '../port/validity';

/** A message about a grant, and the fences behind its own that are reserved. */
export interface ReservedMessage extends GrantMessage {
    readonly spare: number;
}

/** Our place in line at the store: that of the first of those who wait here. */
export class Place {
    /** The last answer; undefined: none yet, or the last attempt has failed. */
    busy: Busy | undefined;
    /** Why the last attempt has failed. */
    failure: LockError | undefined;
    private _isAsking = false;
    /** The last one that came. */
    private _message: ReservedMessage | undefined;

    /** @param ticket as drawn for this acquisition, or for one before it, which has left: the place is the process's. */
    constructor(
        readonly id: string,
        public ticket: number,
    ) {}

    /** An attempt begins. */
    asks(): void {
        this._isAsking = true;
    }

    /** An attempt was answered. */
    answered(answer: AcquireAnswer | LockError): void {
        this._isAsking = false;
        this.busy = undefined;
        this.failure = undefined;
        if (answer instanceof Error) this.failure = answer;
        else if (answer.kind === 'busy') {
            this.busy = answer;
            this.ticket = answer.ticket;
        }
    }

    /** A message came. @returns whether it can be judged now: the answer to an attempt that is under way comes first. */
    heard(message: ReservedMessage): boolean {
        this._message = message;
        return !this._isAsking;
    }

    /** What came while the attempt was under way that was answered by busy. */
    takeMessage(): ReservedMessage | undefined {
        const message = this._message;
        this._message = undefined;
        return message;
    }

    /** What a message grants; undefined: the store has to be asked. */
    grantBy(message: ReservedMessage, ttl: number, now: number): ReservedGrant | undefined {
        const { busy, id } = this;
        const granted = busy === undefined ? undefined : grantByMessage({ id, ttl }, message, busy, now);
        return granted === undefined ? undefined : { ...granted, reserved: message.spare };
    }

    /** The answer to a claim does not tell what was reserved with the grant; the message of the grant does. */
    reservedBy(answer: ReservedGrant): ReservedGrant {
        const message = this._message;
        return message?.fence === answer.fence ? { ...answer, reserved: message.spare } : answer;
    }
}
