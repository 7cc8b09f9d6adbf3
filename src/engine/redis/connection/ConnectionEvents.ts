import type { Greeting } from './Greeting';

/** What the owner of a connection does when its state changes. */
export interface ConnectionEvents {
    /**
     * A server is connected. It does what has to work before the connection is ready. If it throws, the connection is not
     * ready, and it is called again with the next attempt.
     */
    prepare?(server: Greeting): Promise<void>;
    /** The connection is ready, again or for the first time. */
    ready?(): void;
    /** The connection ended. It may be back at once. */
    departed?(): void;
    /** The server cannot be reached, or refuses to work. Told once for each outage that lasts. */
    lost?(error: Error): void;
    /** The outage is over. @param lasted ms. */
    recovered?(lasted: number): void;
}
