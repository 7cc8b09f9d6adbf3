import { LockError } from '../port/errors';
import { nameOf } from '../port/holder';
import type { Busy } from '../port/LockStore';
import type { GrantMessage } from '../port/validity';
import type { Due } from '../time/TimerHeap';
import type { Turn } from './Turn';

/** Our place in line at the store: that of the first of those who wait here. */
export interface Place {
    readonly id: string;
    /** As drawn for this acquisition, or for one before it, which has left: the place is the process's. */
    ticket: number;
    /** The last answer; undefined: none yet, or the last attempt has failed. */
    busy: Busy | undefined;
    /** Why the last attempt has failed. */
    failure: LockError | undefined;
    isAsking: boolean;
    /** What came while an attempt was under way. */
    message: ReservedMessage | undefined;
}

export interface ReservedMessage extends GrantMessage {
    /** How many fences behind that of the grant are reserved. */
    readonly spare: number;
}

/** One key, as far as it is asked for with one ttl. It is due when its turn runs out. */
export class Line implements Due {
    place = -1;
    /** The acquisitions that wait, in the order in which they came. */
    readonly waiting = new Set<string>();
    inLine: Place | undefined;
    turn: Turn | undefined;
    /** Acquisitions whose plain try is under way. */
    readonly tries = new Set<string>();

    constructor(
        readonly name: string,
        readonly key: string,
        readonly ttl: number,
    ) {}

    get first(): string | undefined {
        for (const id of this.waiting) return id;
        return undefined;
    }

    get isEmpty(): boolean {
        return this.turn === undefined && this.waiting.size === 0 && this.tries.size === 0;
    }

    /** What one that waits here is told: what the first of them is, or was. */
    answerFor(id: string, sentAt: number): Busy | LockError {
        const { turn, inLine, waiting } = this;
        if (turn === undefined && inLine?.failure !== undefined) {
            const { code, message } = inLine.failure;
            return new LockError(code, message, { key: this.key, holder: nameOf(id), cause: inLine.failure });
        }
        const before = inLine?.busy;
        const until = turn?.deadline ?? (before === undefined ? sentAt : before.sentAt + before.remaining);
        return {
            kind: 'busy',
            sentAt,
            fence: 0,
            ticket: 0,
            foreign: false,
            remaining: Math.max(until - sentAt, 0),
            rank: this.first === id ? 0 : waiting.size - 1 + (before?.rank ?? 0),
            holder: turn?.holder ?? before?.holder ?? '',
        };
    }
}
