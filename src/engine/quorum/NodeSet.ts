import type { Clock } from '../time/Clock';
import { LockError } from '../port/errors';
import type { LockStore } from '../port/LockStore';
import { awaitVotes, settled } from './awaitVotes';
import type { Answers, Settled } from './awaitVotes';
import { quorumOf } from './votes';

/** One independent node: a store, with what the others need of it. */
export interface QuorumNode extends Omit<LockStore, 'renewAll'> {
    /** Whether a step would be sent at once. */
    readonly isReady: boolean;
    /** Remembers the fence that others gave, while that holder has the key. @returns whether it has. */
    raise(key: string, holder: string, fence: number): Promise<boolean>;
}

/** However short the lease is, a node may take so long, ms. */
const SHORTEST_TIMEOUT = 50;

/** The nodes of a quorum: which of them leads, and how they are asked. */
export class NodeSet {
    /** How many are a majority. */
    readonly quorum: number;
    /** Nodes that did not answer in time, until they do again. */
    private readonly _slow = new Set<QuorumNode>();
    private _led: QuorumNode | undefined;

    /**
     * @param all       in the order in which they lead.
     * @param _timeout  how long one may take to answer, ms; undefined: 5 % of the ttl.
     * @param _changed  another one leads.
     */
    constructor(
        readonly all: readonly QuorumNode[],
        private readonly _timeout: number | undefined,
        private readonly _clock: Clock,
        private readonly _changed: () => void,
    ) {
        this.quorum = quorumOf(all.length);
    }

    /** The first that is healthy. */
    get lead(): QuorumNode | undefined {
        const ready = this.all.filter((node) => node.isReady);
        return ready.find((node) => !this._slow.has(node)) ?? ready[0];
    }

    get ready(): number {
        return this.all.filter((node) => node.isReady).length;
    }

    /** How long one may take to answer about a lease of `ttl`, ms. */
    timeout(ttl: number): number {
        return this._timeout ?? Math.max(ttl * 0.05, SHORTEST_TIMEOUT);
    }

    /** Tells when another one leads than the last time. */
    look(): void {
        const { lead } = this;
        const before = this._led;
        if (lead === before || lead === undefined) return;
        this._led = lead;
        if (before !== undefined) this._changed();
    }

    /** Whether something holds for all nodes that are healthy. */
    allHealthy(holds: (at: number) => boolean): boolean {
        return this.all.every((node, at) => !node.isReady || this._slow.has(node) || holds(at));
    }

    /** It did not answer in time. */
    mark(node: QuorumNode | undefined): void {
        if (node !== undefined) this._slow.add(node);
        this.look();
    }

    /** It answered in time. */
    unmark(node: QuorumNode): void {
        if (this._slow.delete(node)) this.look();
    }

    /** Asks one; never rejects. */
    one<T>(node: QuorumNode, what: (node: QuorumNode) => Promise<T>): Promise<Settled<T>> {
        return node.isReady ? settled(what(node)) : Promise.resolve({ kind: 'failed', error: AWAY });
    }

    /** Asks several at once. */
    ask<T>(
        nodes: readonly QuorumNode[],
        what: (node: QuorumNode) => Promise<T>,
        within: number,
        decided?: (so: Answers<T>) => boolean,
    ): Promise<Answers<T>> {
        const asked = nodes.map((node) => this.one(node, what));
        return awaitVotes(this._clock, asked, within, decided);
    }
}

/** Why a node is not asked. */
export const AWAY = new LockError('CONNECTION_FAILED', 'It is not connected');
