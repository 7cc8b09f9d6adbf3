/** What the checker can find broken. Each is a function in `invariants.ts`, or in `order.ts`. */
export const INVARIANTS = ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9'] as const;

export type Invariant = (typeof INVARIANTS)[number];

/** What an invariant promises, for those who read of its violation. */
export const PROMISES: Readonly<Record<Invariant, string>> = {
    I1: 'one holder per key at a time',
    I2: 'a holder is told before another is granted',
    I3: 'fences rise in the order of the grants',
    I4: 'the resource accepts no lower fence, and its value is that of the accepted writes',
    I5: 'waiters are served in the order in which they came; with local grants, no process gets more turns than the bound',
    I6: 'every live waiter is served within the bound',
    I7: 'nothing is left in Redis, and no command is sent, when nobody wants anything',
    I8: 'no more commands are sent than the operations need',
    I9: "nobody removes another's holder id",
};

/** What every event has. Instants are ms on CLOCK_MONOTONIC, which all processes of a machine share. */
interface Stamp {
    readonly at: number;
    readonly process: number;
    /** Whose event it is: a worker's lock such as `w1`, `w1.2` after it was killed once; else a part of the lab. */
    readonly client: string;
}

/** An event of one acquisition. `attempt` names it from the first try on; the holder is known from its grant. */
interface OfAttempt {
    readonly key: string;
    readonly attempt: string;
}

interface OfLease extends OfAttempt {
    readonly holder: string;
    readonly fence: number;
}

/** What a lease says of itself just after `at`. */
interface Belief extends OfLease {
    readonly held: boolean;
    /** The instant up to which it believes to be held; no more than it believes. */
    readonly deadline: number;
}

/** What of a key is wanted beside others. */
export interface Share {
    readonly permits: number;
    /** Null: it is a reader. */
    readonly limit: number | null;
}

export type Occurrence =
    /** How often in a row the workers pass a key on among their own callers; where it is not told: never. */
    | { readonly operation: 'order'; readonly localGrants: number }
    /** Asks for the key. `patience` 0: a plain try. */
    | (OfAttempt & {
          readonly operation: 'try';
          readonly patience: number;
          readonly ttl: number;
          /** Where it is not told: it is to have the key alone. */
          readonly share?: Share;
      })
    /** Stands in line: the server has said so. */
    | (OfAttempt & { readonly operation: 'waiting' })
    /** The caller gives up. */
    | (OfAttempt & { readonly operation: 'cancel' })
    /** Ended without a grant. */
    | (OfAttempt & { readonly operation: 'refused'; readonly reason: string })
    | (Belief & { readonly operation: 'grant' | 'renew' | 'enter' | 'exit' | 'check' })
    | (Belief & { readonly operation: 'write'; readonly value: string; readonly accepted: boolean })
    | (OfLease & { readonly operation: 'lost'; readonly reason: string })
    | (OfLease & { readonly operation: 'release-start' })
    | (OfLease & { readonly operation: 'release-end'; readonly answer: string })
    /** The guarded resource: `value` is what was written, and at the end what it has. Without a fence: not asked for one. */
    | {
          readonly operation: 'accept' | 'refuse' | 'value';
          readonly key: string;
          readonly value: string;
          readonly fence: number | null;
      }
    /** The event loop of this client stood still since `from`. */
    | { readonly operation: 'blocked'; readonly from: number }
    /** SIGKILL is about to be sent to a client. */
    | { readonly operation: 'crash'; readonly of: string }
    /** A fault begins. It touches these clients, null: all; and until its heal + tail these invariants are not promised. */
    | {
          readonly operation: 'fault';
          readonly name: string;
          readonly clients: readonly string[] | null;
          readonly exempts: readonly Invariant[];
          readonly tail: number;
          /** For so long after its heal those who wait may know nothing of it. */
          readonly unheard: number;
      }
    | { readonly operation: 'heal'; readonly name: string }
    /** As the server saw it: `by` removed or replaced what `holder` had there. */
    | { readonly operation: 'removed'; readonly key: string; readonly holder: string; readonly by: string }
    /** How many commands a client has sent in its life so far, and how often it connected. */
    | { readonly operation: 'sent'; readonly of: string; readonly commands: number; readonly connections: number }
    /** What was found in Redis, and how many commands came, when nobody wanted anything any more. */
    | { readonly operation: 'left'; readonly keys: readonly string[]; readonly commands: number };

export type HistoryEvent = Stamp & Occurrence;
