import type { Vote } from '../../../src/engine/quorum/votes';

/** Nodes or acquisitions, a bit each. */
export type Bits = number;

/** The acquisition from its first request until nothing of it is under way any more. */
export interface Attempt {
    readonly phase: 'idle' | 'asking' | 'raising' | 'held' | 'over';
    /** What each node said, as far as it was heard; empty once nobody asks for it any more. */
    readonly votes: readonly (Vote | undefined)[];
    /** Nodes to which its acquire is under way; it may be run long after the attempt was given up. */
    readonly asked: Bits;
    /** Nodes to which `raise fence` is under way. */
    readonly raised: Bits;
    /** Nodes at which a late release of it was run; only counted if releases do not compare. */
    readonly released: Bits;
    readonly fence: number;
    /** The hint that it gives the nodes is far ahead of their time: the clock of its client is wrong. */
    readonly misled: boolean;
}

export const IDLE: Attempt = { phase: 'idle', votes: [], asked: 0, raised: 0, released: 0, fence: 0, misled: false };

/** Whether it may still get a lease, or has it. */
export function isAlive({ phase }: Attempt): boolean {
    return phase !== 'idle' && phase !== 'over';
}

export function has(bits: Bits, bit: number): boolean {
    return (bits & (1 << bit)) !== 0;
}

export function without(bits: Bits, bit: number): Bits {
    return bits & ~(1 << bit);
}

/** The bits of all that satisfy the condition. */
export function bitsOf<T>(all: readonly T[], condition: (one: T, at: number) => boolean): Bits {
    return all.reduce((bits: Bits, one, at) => (condition(one, at) ? bits | (1 << at) : bits), 0);
}

export function countOf(bits: Bits): number {
    let count = 0;
    for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
    return count;
}
