import type { Share } from '../../src/engine/port/LockStore';
import { SHARED } from '../../src/engine/port/protocol';
import type {
    AcquireReply,
    BusyReply,
    DowngradeReply,
    QueuedAcquireReply,
    QueuedReleaseReply,
    ReleaseReply,
    RenewReply,
} from '../../src/testing/LockModel';
import type { ClientRules } from './rules';

/** What a client asks of the server. */
export type Command =
    | {
          readonly kind: 'acquire';
          readonly id: string;
          readonly sentAt: number;
          /** Undefined: a plain try. */
          readonly ticket: number | undefined;
          /** For a key that may not be free; else the command for one that is. */
          readonly queued: boolean;
          /** Undefined: all of the key. */
          readonly share: Share | undefined;
      }
    | Renewal
    | { readonly kind: 'downgrade'; readonly id: string; readonly holder: string; readonly sentAt: number }
    | Release
    | GiveUp
    | { readonly kind: 'hand on'; readonly id: '' };

/** Whether a lease is one of several; undefined: that is not known, a downgrade has no answer. */
export type Shared = boolean | undefined;

export interface Renewal {
    readonly kind: 'renew';
    readonly id: string;
    readonly holder: string;
    readonly sentAt: number;
    readonly shared: Shared;
}

export interface Release {
    readonly kind: 'release';
    readonly id: string;
    readonly holder: string;
    /** For a key that others may wait for; else the command for one that nobody waits for. */
    readonly queued: boolean;
    readonly buries: boolean;
    readonly shared: Shared;
}

export interface GiveUp {
    readonly kind: 'give up';
    readonly id: string;
    readonly underWay: boolean;
}

export type Reply =
    | AcquireReply
    | QueuedAcquireReply
    | ReleaseReply
    | QueuedReleaseReply
    | RenewReply
    | DowngradeReply
    /** The server refused a write. */
    | 'refused';

export interface Answer {
    readonly command: Command;
    readonly reply: Reply;
}

/** For how long the key was handed on to another in a step that was answered so; 0: it was not. */
export function windowOf(reply: Reply): number {
    return typeof reply === 'object' && 'window' in reply ? reply.window : 0;
}

/** Until a waiter looks again if nobody wakes it, but for its heartbeat. */
export function delayOf({ holder, rank, remaining }: BusyReply, { pause, standIn }: ClientRules): number {
    return isForeign(holder) && rank === 0 ? pause : remaining + rank * standIn;
}

/** No hand-off will come from such a holder. */
function isForeign(holder: string): boolean {
    return holder !== '' && holder !== SHARED && !holder.includes(':');
}
