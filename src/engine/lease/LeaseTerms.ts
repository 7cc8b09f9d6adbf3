/** On what terms a lease is held. */
export interface LeaseTerms {
    /** ms */
    readonly ttl: number;
    /** Renew it until it ends. */
    readonly keepAlive: boolean;
    /** For the observer. */
    readonly context: unknown;
}
