import { fenceOf, verdictOf } from '../../../src/engine/quorum/votes';

/** What the protocol rests on, each changeable: a rule is needed if the search finds a violation without it. */
export interface QuorumRules {
    /** The arithmetic, as the library has it. */
    readonly verdictOf: typeof verdictOf;
    readonly fenceOf: typeof fenceOf;
    /** Whose end a node that restarted empty waits for before it votes again: nobody's, or that of all believed leases only. */
    readonly quarantine: 'attempts' | 'leases' | 'none';
    /**
     * Which nodes take over a raised fence: those that still hold the key for the attempt; all that remember a fence; or any,
     * though it may have restarted empty.
     */
    readonly raises: 'held' | 'remembered' | 'always';
    /** A node does not believe a hint that is far ahead of its time. */
    readonly boundsHints: boolean;
    /** A release frees the key only of the acquisition it is for. */
    readonly compares: boolean;
}

export const QUORUM_RULES: QuorumRules = {
    verdictOf,
    fenceOf,
    quarantine: 'attempts',
    raises: 'held',
    boundsHints: true,
    compares: true,
};

/** How large the world is, and how often in one run something may go wrong. */
export interface QuorumOptions {
    /** What each node remembers at the start; undefined: nothing. */
    readonly memories: readonly (number | undefined)[];
    /** How many acquisitions there are, and how many of them at most are made at the same time. */
    readonly acquisitions: number;
    readonly clients: number;
    /** How many nodes lose all they have. */
    readonly restarts: number;
    /** How many requests are sent a second time, as their answers did not come. */
    readonly resends: number;
    /** How many acquisitions give a hint that is far ahead. */
    readonly misled: number;
    /** An acquire may be run after its acquisition was given up or its lease ended; else it is lost then. */
    readonly late: boolean;
    /** How far the clock, which stands in for a lost memory, is ahead of every fence given so far. */
    readonly ahead: number;
    readonly rules: QuorumRules;
}
