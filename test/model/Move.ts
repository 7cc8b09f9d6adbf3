import type { Share } from '../../src/engine/port/LockStore';
import type { Durations } from '../../src/testing/LockModel';
import type { ServerKind } from './ServerModel';
import type { ClientRules } from './rules';

/**
 * What may go wrong with a client: half-open means that the server does not know; messages come on a connection of their own,
 * which may be lost alone. One that is stopped does nothing for a while, and what it holds it relies on.
 */
export type ClientFault =
    | 'lose'
    | 'stop'
    | 'crash'
    | 'crash half-open'
    | 'disconnect'
    | 'disconnect half-open'
    | 'disconnect commands'
    | 'disconnect messages';

/** Which keys an outsider may delete: a side key, or all of the lock, as FLUSHALL does. */
export type Side = 'queue' | 'waiters' | 'clock' | 'sharers' | 'key' | 'all';

/** `delete`: an outsider deletes the key. */
export type Fault = ClientFault | 'wipe' | 'flush' | 'delete' | 'refuse';

export interface WorldOptions {
    readonly clients: number;
    /** What they are called. */
    readonly names: readonly string[];
    /** How many acquisitions there are, over all clients. */
    readonly acquisitions: number;
    /** What each may ask for; undefined: all of the key. */
    readonly shares: readonly (Share | undefined)[];
    /** A client that has the key alone may come to share it. */
    readonly downgrades: boolean;
    /** What may go wrong, and how often in one run. */
    readonly kinds: readonly Fault[];
    readonly faults: number;
    /** What was sent on a connection that was lost may be executed later; else it is lost too. */
    readonly late: boolean;
    /** How many ticks pass while something could be done at once: somebody or something is slow. */
    readonly delays: number;
    /** How often a client of another edition takes the key. */
    readonly foreign: number;
    /** With each release the key may be left free for a pause. */
    readonly yields: boolean;
    /** The last fence before it all: one that is ahead of the server's clock, which was set back. */
    readonly lastFence: number;
    /** Besides those that wait: acquisitions that only try; waiters that give up. */
    readonly tries: boolean;
    readonly givesUp: boolean;
    readonly durations: Durations;
    readonly server: ServerKind;
    readonly client: ClientRules;
}

/** One thing that happens. `at` is the client it happens to. */
export type Move =
    | { readonly kind: 'tick' | 'foreign set' | 'foreign del' }
    | { readonly kind: 'wipe'; readonly what: Side }
    /** How many writes of the command the server accepts. */
    | { readonly kind: 'execute refused'; readonly at: number; readonly accepts: number }
    /** It asks for one of the shares. */
    | { readonly kind: 'wait' | 'try'; readonly at: number; readonly share: number }
    | { readonly kind: ClientMove | ClientFault; readonly at: number };

type ClientMove =
    | 'execute'
    | 'execute yielding'
    | 'execute late'
    | 'answer'
    | 'message'
    | 'timer'
    | 'renew'
    | 'release'
    | 'downgrade'
    | 'pass on'
    | 'give up'
    | 'clean up'
    | 'resume'
    | 'connect';
