import { asLockError } from './errors';
import type { LockError } from './errors';

/** Receives the answer to one request, once, perhaps before the call has returned. Must not throw. */
export type Callback<Answer> = (answer: Answer | LockError) => void;

/** Whether a key is held by one, or by many at a time. */
export type LockMode = 'exclusive' | 'shared';

/** What a shared lease takes of a key. An exclusive one takes all of it. */
export interface Share {
    /** How many permits may be out at a time, its own included; Infinity: no limit. */
    readonly limit: number;
    /** How many of them it takes. */
    readonly permits: number;
}

/** The share of a reader: any number of them hold a key at a time. */
export const READER: Share = { limit: Infinity, permits: 1 };

/** Asks for a key. One attempt of an acquisition, which may make several. */
export interface AcquireRequest {
    readonly key: string;
    /** Names the acquisition, see holder.ts. */
    readonly id: string;
    readonly ttl: number;
    /** Wait in line, with the ticket of the last answer (0: none yet). Undefined: a plain try. */
    readonly ticket: number | undefined;
    /** Undefined: exclusive. */
    readonly share?: Share | undefined;
}

/** Somebody else has the key, or waits for it. */
export interface Busy {
    readonly kind: 'busy';
    readonly sentAt: number;
    /** Remaining ttl of the holder, or until enough permits may be there, ms; Infinity when its key never expires. */
    readonly remaining: number;
    /** A grant that is made later has a greater one. */
    readonly fence: number;
    readonly ticket: number;
    /** How many waiters are before this one. */
    readonly rank: number;
    /** No hand-off will come from this holder: it is no acquisition of this library, or its id was chosen. */
    readonly foreign: boolean;
    /** Empty: nobody. */
    readonly holder: string;
    /** Another limit than that of the request, by which somebody has the key or waits for it. Undefined: none was seen. */
    readonly limit?: number | undefined;
}

export interface Granted {
    readonly kind: 'granted';
    /** The value that the key holds in Redis from now on. */
    readonly holder: string;
    readonly fence: number;
    /** Until then the key is ours, on our own clock. */
    readonly deadline: number;
    /** False: the store has it for less than the ttl so far, until it is renewed. */
    readonly confirmed: boolean;
}

export type AcquireAnswer = Granted | Busy;

/** Gives a key back. */
export interface ReleaseRequest {
    readonly key: string;
    readonly holder: string;
    /** An acquisition one of whose attempts had no answer: whatever arrives of it later is refused. */
    readonly buried?: string | undefined;
    /** The holder has a share of the key. */
    readonly shared?: boolean | undefined;
    /** Until this instant, on our clock, what is given back stays taken. Undefined: it is free at once. */
    readonly keptUntil?: number | undefined;
    /**
     * The acquisition, where its caller has chosen the holder. A release of one that is buried does nothing: it is late, and its owner may
     * have the key again.
     */
    readonly id?: string | undefined;
}

/** `gone`: this holder did not have the key. */
export type ReleaseAnswer = 'released' | 'gone';

/** Gives up an acquisition: its place in line, or the key when it was granted. A key that is held under a chosen holder stays. */
export interface GiveUpRequest {
    readonly key: string;
    readonly id: string;
    /** An attempt may still be under way: whatever arrives of the acquisition later is refused. */
    readonly underWay: boolean;
}

export type RenewAnswer = { readonly kind: 'renewed'; readonly deadline: number } | { readonly kind: 'gone' };

/** A lease that is to be renewed, of one key. */
export interface Renewal {
    readonly key: string;
    readonly holder: string;
    readonly ttl: number;
    /** The holder has a share of the key. */
    readonly shared?: boolean | undefined;
    /** @see Callback */
    answered(answer: RenewAnswer | LockError): void;
}

/** One that holds a key, perhaps among others. */
export interface LockHolder {
    readonly holder: string;
    /** Remaining ttl, ms; Infinity: it never expires. */
    readonly remaining: number;
    /** Fencing token; undefined: it is no user of this library, or its id was chosen. */
    readonly fence: number | undefined;
    /** How long ago it was granted the key, ms; undefined where that is not known. */
    readonly held: number | undefined;
    /** How many permits it has; 1 without a limit. */
    readonly permits: number;
}

/** One that waits for a key. */
export interface LockWaiter {
    readonly holder: string;
    /** How long it has been waiting, ms. */
    readonly waited: number;
    /** How it wants the key. */
    readonly mode: LockMode;
    /** How many permits it wants; 1 without a limit. */
    readonly permits: number;
    /** At most so many permits are to be out then; undefined: it named no limit. */
    readonly limit: number | undefined;
}

/** Who holds a key and who waits for it. What is told of one holder is that of the first. */
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
    /** Undefined when the key is free. */
    readonly mode: LockMode | undefined;
    /** All of them, in the order of their grants. Empty when the key is free. */
    readonly holders: readonly LockHolder[];
    /** In the order in which they will be served. */
    readonly waiters: readonly LockWaiter[];
}

/** What the store tells of its own accord. A wake-up is a hint: only its fence makes it more. */
export interface StoreListener {
    /** The acquisition `id`, which waits, was granted the key for `ttl`; `spare` fences behind that of the grant are reserved. */
    granted(key: string, id: string, fence: number, ttl: number, spare?: number): void;
    /** The acquisition `id`, which waits, may get the key if it asks now. */
    woken(key: string, id: string): void;
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

/** Where nobody listens. */
export const NO_LISTENER: StoreListener = {
    granted: () => undefined,
    woken: () => undefined,
    first: () => undefined,
    handedOn: () => undefined,
    changed: () => undefined,
    reconnected: () => undefined,
    disconnected: () => undefined,
    recovered: () => undefined,
    warned: () => undefined,
};

/**
 * Performs atomic steps on keys. Every method fails with a LockError whose `unknown` says whether the step may still take
 * effect, and within the store's command timeout. Those that return no promise must not throw.
 */
export interface LockStore {
    /** Whether waiters are woken; else they have to poll. Known after `open`. */
    readonly wakes: boolean;
    /** The message of a grant is not enough: the waiter has to ask all the same. */
    readonly confirmsGrants?: boolean;
    open(listener: StoreListener): Promise<void>;
    close(): Promise<void>;
    acquire(request: AcquireRequest, callback: Callback<AcquireAnswer>): void;
    /** @param shared the holder has a share of the key. */
    renew(key: string, holder: string, ttl: number, shared?: boolean): Promise<RenewAnswer>;
    /**
     * Makes a reader of the one that has the key alone, in one step: it keeps its holder and its fence, and those who wait in front of
     * the line and fit join it. Lengthens the lease as `renew` does. What has become shared before is only renewed.
     */
    downgrade(key: string, holder: string, ttl: number): Promise<RenewAnswer>;
    /** Renews several, each answered as soon as it can be. */
    renewAll(renewals: readonly Renewal[]): void;
    /** Gives the key back, if this holder has it. */
    release(request: ReleaseRequest, callback: Callback<ReleaseAnswer>): void;
    /** `released`: the key was this acquisition's. */
    giveUp(request: GiveUpRequest): Promise<ReleaseAnswer>;
    /** Hands the key to the first waiter, if nobody has it. */
    handOn(key: string): Promise<void>;
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

/** The answer to one request, as a promise. */
export function promised<Answer>(request: (callback: Callback<Answer>) => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
        request((answer) => {
            if (answer instanceof Error) reject(answer);
            else resolve(answer);
        });
    });
}

/** What there is to tell of the first holder of a key, and of all. None: the key is free. */
export function holding(
    holders: readonly LockHolder[],
    mode: LockMode,
): Pick<LockInfo, 'holder' | 'remaining' | 'fence' | 'held' | 'mode' | 'holders'> {
    const [first] = holders;
    return {
        holder: first?.holder,
        remaining: first?.remaining ?? 0,
        fence: first?.fence,
        held: first?.held,
        mode: first === undefined ? undefined : mode,
        holders,
    };
}

/** What there is to tell of one that waits, for all of the key or for a share of it. */
export function waiterOf(holder: string, waited: number, share: Share | undefined): LockWaiter {
    const { limit = Infinity, permits = 1 } = share ?? {};
    const mode = share === undefined ? 'exclusive' : 'shared';
    return { holder, waited, mode, permits, limit: limit === Infinity ? undefined : limit };
}

/** In the order of their grants; those whose fence is not known are last. */
export function byFence(one: LockHolder, other: LockHolder): number {
    return (one.fence ?? Number.MAX_VALUE) - (other.fence ?? Number.MAX_VALUE);
}

/** Answers a request about a key with the outcome of a promise. */
export function answerWith<Answer>(
    promise: Promise<Answer>,
    { key, holder }: { readonly key: string; readonly holder?: string | undefined },
    callback: Callback<Answer>,
): void {
    promise.then(callback, (error: unknown) => callback(asLockError(error, key, holder)));
}

/** A {@link LockStore.renewAll} for a store that cannot send several renewals together. */
export function renewEach(store: Pick<LockStore, 'renew'>, renewals: readonly Renewal[]): void {
    for (const renewal of renewals) {
        const { key, holder, shared, ttl } = renewal;
        answerWith(store.renew(key, holder, ttl, shared), renewal, (answer) => renewal.answered(answer));
    }
}
