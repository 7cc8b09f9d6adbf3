/** Instead of a deadline: the key is known to be somebody else's, see Deputy. */
export const TAKEN = -Infinity;

/** One key of a lease. */
export interface LeasedKey {
    readonly key: string;
    /** The value that the key holds in Redis. */
    readonly holder: string;
    readonly fence: number;
    deadline: number;
    /** @see ReleaseRequest.buried */
    readonly buried?: string | undefined;
    /** @see ReleaseRequest.id */
    readonly id?: string | undefined;
    readonly permits: number;
    /** Whether it has a share of the key; undefined: the answer to a downgrade was lost. */
    shared: boolean | undefined;
    /** Until this instant the key stays taken, also when it is released. */
    keptUntil: number | undefined;
}
