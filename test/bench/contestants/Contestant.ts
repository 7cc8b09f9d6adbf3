import type { RedisAddress } from '../../fixtures/sharedServer';

/** Something to compare: a way to lock, used as its documentation says. */
export interface Contestant {
    readonly name: string;
    /** What one acquire and one release of it do. */
    readonly does: string;
    /** It has answers for those who wait; without it it is not compared where somebody waits. */
    readonly waits: boolean;
    /** More than one server: a quorum. */
    open(servers: readonly [RedisAddress, ...RedisAddress[]]): Promise<Locking>;
}

/** A contestant, connected. */
export interface Locking extends AsyncDisposable {
    /** Waits for as long as it takes. */
    acquire(key: string): Promise<Held>;
}

export interface Held {
    release(): Promise<unknown>;
}

/** Of every lease of every contestant, ms. */
export const TTL = 30_000;
