import type { AcquireReply } from '../../src/engine/redis/scripts/acquire';
import type { ReleaseReply } from '../../src/engine/redis/scripts/release';
import type { RenewReply } from '../../src/engine/redis/scripts/renew';
import type { ClientRules } from './rules';

/** What a client asks of the server. */
export type Command =
    | {
          readonly kind: 'acquire';
          readonly id: string;
          readonly sentAt: number;
          /** Undefined: a plain try. */
          readonly ticket: number | undefined;
          /** An acquisition whose lease is given back in the same step. */
          readonly before: string | undefined;
      }
    | { readonly kind: 'renew'; readonly id: string; readonly sentAt: number }
    | Release
    | { readonly kind: 'hand on'; readonly id: '' };

export interface Release {
    readonly kind: 'release';
    readonly id: string;
    /** The acquisition is given up; else whatever the holder has is released. */
    readonly givesUp: boolean;
    readonly tombstone: boolean;
}

export type Reply = AcquireReply | RenewReply | ReleaseReply;

export type Busy = Extract<AcquireReply, { kind: 'busy' }>;

export interface Answer {
    readonly command: Command;
    readonly reply: Reply;
}

/** For how long the key was handed on to another in a step that was answered so; 0: it was not. */
export function windowOf(reply: Reply): number {
    if (typeof reply === 'string') return 0;
    if (reply.kind === 'busy') return reply.handedOn ? reply.remaining : 0;
    return 'handedOn' in reply ? reply.handedOn : 0;
}

/** Until a waiter looks again if nobody wakes it, but for its heartbeat. */
export function delayOf({ foreign, rank, remaining }: Busy, { pause, standIn }: ClientRules): number {
    return foreign && rank === 0 ? pause : remaining + rank * standIn;
}
