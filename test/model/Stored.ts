/** In the queue. */
export interface Place {
    readonly id: string;
    readonly ticket: number;
}

/** A field of the hash of waiters. */
export type WaiterRecord =
    | { readonly kind: 'tombstone'; readonly id: string; readonly until: number }
    | {
          readonly kind: 'waiter';
          readonly id: string;
          /** From this instant on it is taken to be dead. */
          readonly lease: number;
          readonly ttl: number;
          readonly spare: number;
          readonly channel: string;
          readonly holder: string;
      };

export interface Memory {
    readonly fence?: number;
    readonly holder?: string;
    readonly acquisition?: string;
    readonly ticket?: number;
    /** While it is there, nobody waits, there is no tombstone, and it is kept beyond the present lease. */
    readonly released?: string;
    /** Else: who released last. */
    readonly releasedBefore?: string;
    /** Hand-offs in a row. */
    readonly handOffs?: number;
    /** Until then the key is left free for others than us. */
    readonly freeUntil?: number;
    /** Until then it is kept; undefined: that is still to be said. */
    readonly kept?: number;
}

/** A Redis key with its expiry as an instant on the server's clock; Infinity: none. */
export interface Stored<Value> {
    readonly value: Value;
    readonly expires: number;
}
