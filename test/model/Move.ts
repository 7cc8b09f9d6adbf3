import type { ClientRules, ScriptRules } from './rules';

/**
 * What may go wrong with a client: half-open means that the server does not know; messages come on a connection of their own,
 * which may be lost alone.
 */
export type ClientFault =
    | 'lose'
    | 'crash'
    | 'crash half-open'
    | 'disconnect'
    | 'disconnect half-open'
    | 'disconnect commands'
    | 'disconnect messages';

/** Which keys an outsider may delete: a side key, or all of the lock, as FLUSHALL does. */
export type Side = 'queue' | 'waiters' | 'memory' | 'all';

export type Fault = ClientFault | 'wipe' | 'flush';

export interface WorldOptions {
    readonly clients: number;
    /** How many acquisitions there are, over all clients. */
    readonly acquisitions: number;
    /** What may go wrong, and how often in one run. */
    readonly kinds: readonly Fault[];
    readonly faults: number;
    /** What was sent on a connection that was lost may be executed later; else it is lost too. */
    readonly late: boolean;
    /** How many ticks pass while something could be done at once: somebody or something is slow. */
    readonly delays: number;
    /** How often a client of another edition takes the key. */
    readonly foreign: number;
    /** After so many hand-offs in a row the key is left free for a pause; undefined: never. */
    readonly yieldAfter: number | undefined;
    /** The last fence before it all: one that is ahead of the server's clock, which was set back. */
    readonly lastFence: number;
    /** Besides those that wait: acquisitions that only try; waiters that give up. */
    readonly tries: boolean;
    readonly givesUp: boolean;
    readonly script: ScriptRules;
    readonly client: ClientRules;
}

/** One thing that happens. `at` is the client it happens to. */
export type Move =
    | { readonly kind: 'tick' | 'foreign set' | 'foreign del' }
    | { readonly kind: 'wipe'; readonly what: Side }
    | { readonly kind: ClientMove | ClientFault; readonly at: number };

type ClientMove =
    | 'wait'
    | 'try'
    | 'execute'
    | 'execute late'
    | 'answer'
    | 'message'
    | 'timer'
    | 'renew'
    | 'release'
    | 'pass on'
    | 'exchange'
    | 'give up'
    | 'clean up'
    | 'connect';
