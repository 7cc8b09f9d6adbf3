import type { LeasedKey } from './LeasedKey';

/** What a deputy sees of a lease. */
export interface LookedAfter {
    readonly leased: readonly LeasedKey[];
    /** What the next renewal asks for, ms. */
    readonly ttl: number;
    /** A loss that is known is told by this. */
    isHeld(): boolean;
}

/**
 * Renews leases in our place while the event loop is blocked: another thread. The deadlines of leases live where both see them. The
 * deadline is TAKEN when the deputy was told that the key is not ours any more.
 */
export interface Deputy {
    /** A key whose deadline lives where the deputy sees it. */
    adopt(one: LeasedKey): LeasedKey;
    /** From now on the lease is renewed, by its ttl, or no more. To be told again when the lease has got another key or ttl. */
    keep(lease: LookedAfter, whether: boolean): void;
    /**
     * We are about to renew the lease.
     *
     * @param anyway even beside a renewal of the deputy.
     * @returns false: the deputy renews it at this moment.
     */
    begin(lease: LookedAfter, anyway: boolean): boolean;
    /** Our renewal was answered. */
    done(lease: LookedAfter): void;
    /** The lease has ended: the deputy begins no renewal of it any more. @returns settles when none is under way; undefined: none is. */
    end(lease: LookedAfter): Promise<void> | undefined;
}

/** Where no thread renews in our place. */
export const NO_DEPUTY: Deputy = {
    adopt: (one) => one,
    keep: () => undefined,
    begin: () => true,
    done: () => undefined,
    end: () => undefined,
};
