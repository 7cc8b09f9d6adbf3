import { asLockError } from './errors';
import type { LockError } from './errors';

/**
 * Whoever asks a store for something. It is told once what became of it, perhaps before the call has returned. Of very many, a
 * promise for each would cost more than all the rest; of few, `promised` makes one.
 */
export interface Asker<Answer> {
    /** Must not throw. */
    answered(answer: Answer | LockError): void;
}

/** Asks for a key, once. Everything here is one atomic step on the store. */
export interface AcquireRequest {
    readonly key: string;
    /** The id to be stored as the holder. */
    readonly holder: string;
    /** Of this acquisition; the holder itself unless the caller chose that. */
    readonly id: string;
    readonly ttl: number;
    /** Wait in line, with the ticket that the last attempt gave (0: none yet); undefined: a plain try. */
    readonly ticket: number | undefined;
    /** The lease may be passed on within the process: its holder is nobody's choice, and has no other key. */
    readonly passable?: boolean | undefined;
    /** So many fences below that of the grant are reserved with it. Default: 0. */
    readonly spare?: number | undefined;
    /** A holder that gives the key back in the same step, where the store {@link LockStore.exchanges}. */
    readonly before?: string | undefined;
}

/** Somebody else has the key. */
export interface Busy {
    readonly kind: 'busy';
    readonly sentAt: number;
    /** Remaining ttl of the holder, Infinity when its key never expires. */
    readonly remaining: number;
    /** Of the last grant; a later grant has a greater one. */
    readonly fence: number;
    readonly ticket: number;
    /** How many live waiters are before this one. */
    readonly rank: number;
    /** The holder is no user of this library, so nobody will pass the key on. */
    readonly foreign: boolean;
    readonly holder: string;
    /** The holder before has given the key back. */
    readonly released?: boolean;
}

export interface Granted {
    readonly kind: 'granted';
    /** The last of those that are reserved with it. */
    readonly fence: number;
    /** Until then the key is ours, on our own clock. */
    readonly deadline: number;
    readonly released?: boolean;
    /** It was passed on within the process: whose the key is in the store. For less than the ttl, until it is renewed. */
    readonly passed?: { readonly holder: string; readonly id: string };
}

export type AcquireAnswer = Granted | Busy;

/** Gives a key back. */
export interface ReleaseRequest {
    readonly key: string;
    readonly holder: string;
    /** Of the acquisition, where it is a lease of this process that ends. */
    readonly id?: string | undefined;
}

/** `already`: this holder released it before (the answer to a resend). `gone`: it did not hold the key. */
export type ReleaseAnswer = 'released' | 'already' | 'gone';

export type RenewAnswer = { readonly kind: 'renewed'; readonly deadline: number } | { readonly kind: 'gone' };

/** A lease that is to be renewed, of one key. */
export interface Renewal extends Asker<RenewAnswer> {
    readonly key: string;
    readonly holder: string;
    readonly ttl: number;
}

/** Who holds a key and who waits for it. */
export interface LockInfo {
    readonly key: string;
    /** Undefined when the key is free. */
    readonly holder: string | undefined;
    /** Remaining ttl of the holder, ms: 0 when free, Infinity when its key never expires. */
    readonly remaining: number;
    /** Fencing token of the holder; undefined when free, or when the holder is no user of this library. */
    readonly fence: number | undefined;
    /** How long ago the key was granted, ms; undefined where that is not known: free, foreign, or on a quorum. */
    readonly held: number | undefined;
    /** In the order in which they will be served. */
    readonly waiters: readonly { readonly holder: string; /** ms */ readonly waited: number }[];
}

/** What the store tells of its own accord. A wake-up is a hint: only its fence makes it more. */
export interface StoreListener {
    /** The acquisition `id`, which waits, was granted the key for `ttl`. */
    granted(key: string, id: string, fence: number, ttl: number): void;
    /** The acquisition `id` is first in line now; the key is taken for `remaining`, as far as known. */
    first(key: string, id: string, remaining: number): void;
    /** The key was handed on in a step of ours, to a waiter that has `window` to claim it. */
    handedOn(key: string, window: number): void;
    /** A foreign holder's key changed. */
    changed(key: string): void;
    /** Messages may have been lost: every waiter should look again. */
    reconnected(): void;
    /** The server cannot be reached, or refuses to work; the store tries on. Told once for each outage. */
    disconnected(error: Error): void;
    /** The outage is over. */
    recovered(message: string): void;
    /** Something about the server that the people who run it should know. */
    warned(message: string): void;
}

/**
 * Performs atomic steps on keys. Every method fails with a LockError whose `unknown` says whether the step may still take
 * effect, and within the store's command timeout. Those that return no promise must not throw.
 */
export interface LockStore {
    /** Whether waiters are woken; else they have to poll. Known after `open`. */
    readonly wakes: boolean;
    /** Whoever is told of its grant by a message has to ask all the same. */
    readonly confirmsGrants?: boolean;
    /** Whether a key can be given back and asked for in one step. */
    readonly exchanges?: boolean;
    open(listener: StoreListener): Promise<void>;
    close(): Promise<void>;
    acquire(request: AcquireRequest, asker: Asker<AcquireAnswer>): void;
    renew(key: string, holder: string, ttl: number): Promise<RenewAnswer>;
    /** Renews several, each answered as soon as it can be. */
    renewAll(renewals: readonly Renewal[]): void;
    /** Gives the key back, if this holder has it. */
    release(request: ReleaseRequest, asker: Asker<ReleaseAnswer>): void;
    /**
     * Gives up an acquisition: its place in the queue, or the key when it was granted.
     *
     * @param underWay an attempt of it may still be under way: whatever arrives of it later is refused.
     */
    giveUp(key: string, holder: string, id: string, underWay: boolean): Promise<ReleaseAnswer>;
    /** Hands the key to the first waiter, if nobody has it. */
    handOn(key: string): Promise<void>;
    /** From now on another process looks after what this holder has. */
    handedOver?(key: string, holder: string): void;
    inspect(key: string): Promise<LockInfo>;
    /**
     * The locks that are held, each once, in no order. One that is taken or given back meanwhile may or may not be among them.
     *
     * @param pattern of their keys, see glob.ts.
     */
    list(pattern: string): AsyncIterable<LockInfo>;
    /** Looks out until the key that this foreign holder has changes; `changed` is told. False: it cannot. */
    watch(key: string, holder: string): Promise<boolean>;
}

/** What is asked by `ask`, as a promise. */
export function promised<Answer>(ask: (asker: Asker<Answer>) => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
        ask({
            answered: (answer) => {
                if (answer instanceof Error) reject(answer);
                else resolve(answer);
            },
        });
    });
}

/** Tells whoever asked about a key what comes of a promise. */
export function answerWith<Answer>(
    promise: Promise<Answer>,
    { key, holder }: Pick<ReleaseRequest, 'key' | 'holder'>,
    asker: Asker<Answer>,
): void {
    promise.then(
        (answer) => asker.answered(answer),
        (error: unknown) => asker.answered(asLockError(error, key, holder)),
    );
}

/** What {@link LockStore.renewAll} does where several renewals cannot go out together. */
export function renewEach(store: Pick<LockStore, 'renew'>, renewals: readonly Renewal[]): void {
    for (const renewal of renewals) {
        const { key, holder, ttl } = renewal;
        answerWith(store.renew(key, holder, ttl), renewal, renewal);
    }
}
