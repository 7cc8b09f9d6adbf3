import { CLAIM_WINDOW, WAITER_LEASE } from '../../src/engine/redis/scripts/grant';

/** The durations that the scripts know, ms, and what a mutant of them leaves out. */
export interface ScriptRules {
    readonly claimWindow: number;
    readonly waiterLease: number;
    /** How long queue and waiters last after their last use. */
    readonly side: number;
    readonly memory: number;
    /** Release compares the holder. */
    readonly compares: boolean;
    /** A key that an acquisition gets because its holder has it is that acquisition's from then on. */
    readonly takesOver: boolean;
    /** The fences of a lease that may be passed on are nobody else's. */
    readonly reserves: boolean;
    /** Who begins to wait takes away the mark that nobody does. */
    readonly unmarks: boolean;
}

export const SCRIPT_RULES: ScriptRules = {
    claimWindow: CLAIM_WINDOW,
    waiterLease: WAITER_LEASE,
    side: 2 * WAITER_LEASE,
    memory: 600_000,
    compares: true,
    takesOver: true,
    reserves: true,
    unmarks: true,
};

/** The durations of a client, in ticks, and the rules that a mutant of it breaks. */
export interface ClientRules {
    readonly ttl: number;
    readonly heartbeat: number;
    /** After the expiry of the holder, for each waiter before this one. */
    readonly standIn: number;
    /** Who becomes the first in line asks at once when its last answer is older. */
    readonly fresh: number;
    /** Between attempts where nobody will wake us, and after a failed one. */
    readonly pause: number;
    /** Every acquisition of the client has the client's name as its holder. */
    readonly chosenHolder: boolean;
    /** The deadline counts from the send; else from the reply. */
    readonly countsFromSend: boolean;
    /** A message is believed only if it is newer than the last answer. */
    readonly comparesFence: boolean;
    /** A message is believed only while enough of the grant is left, counted from the send of the last answered attempt. */
    readonly wantsEnoughLeft: boolean;
    readonly hasTimer: boolean;
    /** Leases are renewed, not only confirmed. */
    readonly keepsAlive: boolean;
    /** How often in a row the client passes a lease on to another of its callers, without the server. */
    readonly passes: number;
    /** After a hand-off of its own it looks whether the key was claimed. */
    readonly follows: boolean;
}
