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
    /** What was granted by a message is asked for in full before the caller is told. */
    readonly confirmsFirst: boolean;
    /** An acquisition that has lost sight of an attempt is released with a tombstone. */
    readonly buries: boolean;
    /** A client that has chosen its holder does not ask again before it knows what became of its last release. */
    readonly waitsForOutcome: boolean;
    readonly hasTimer: boolean;
    /** Leases are renewed, not only confirmed. */
    readonly keepsAlive: boolean;
    /** How often in a row the client passes a lease on to another of its callers, without the server. */
    readonly passes: number;
    /** It asks for the fences that it passes on to be reserved. */
    readonly reserves: boolean;
    /** After a hand-off of its own it looks whether the key was claimed. */
    readonly follows: boolean;
}
