import type { Busy } from '../port/LockStore';
import type { GrantMessage } from '../port/validity';
import type { Due } from '../time/TimerHeap';
import type { Turn } from './Turn';

/** Our place in line at the store: that of the first of those who wait here. */
export interface Place {
    readonly id: string;
    /** As drawn for this acquisition, or for one before it, which has left: the place is the process's. */
    ticket: number;
    /** How many fences are reserved when it is granted. */
    readonly spare: number;
    /** The last answer; undefined: none yet, or the last attempt has failed. */
    busy: Busy | undefined;
    isAsking: boolean;
    /** What came while an attempt was under way. */
    message: GrantMessage | undefined;
}

/** One key, as far as it is asked for with one ttl. It is due when its turn runs out. */
export class Line implements Due {
    place = -1;
    /** The acquisitions that wait, in the order in which they came, and how many fences each reserves once it has asked. */
    readonly waiting = new Map<string, number | undefined>();
    inLine: Place | undefined;
    turn: Turn | undefined;
    /** Somebody has come while another of this process had the key or waited for it. */
    isContended = false;
    /** Acquisitions whose plain try is under way. */
    readonly tries = new Set<string>();

    constructor(
        readonly name: string,
        readonly key: string,
        readonly ttl: number,
    ) {}

    get first(): string | undefined {
        for (const id of this.waiting.keys()) return id;
        return undefined;
    }

    get isEmpty(): boolean {
        return this.turn === undefined && this.waiting.size === 0 && this.tries.size === 0;
    }

    /** What one that waits is told who has the key, and for how long. */
    busyFor(id: string, sentAt: number): Busy {
        const { turn, inLine, waiting } = this;
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
