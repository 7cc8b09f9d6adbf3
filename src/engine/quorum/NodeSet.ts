import type { Clock } from '../time/Clock';
import { TimerHeap } from '../time/TimerHeap';
import type { Due } from '../time/TimerHeap';
import type { QuorumNode } from './QuorumNode';
import { quorumOf } from './votes';

/** Something that waits for answers of nodes, for a limited time. */
export interface Waiting extends Due {
    /** The time is over. */
    overdue(): void;
}

export interface NodeSetOptions {
    /** How long a node may take to answer, ms; default 5 % of the ttl, 50 ms at least. */
    readonly nodeTimeout?: number | undefined;
    /** No lease is longer, ms: for so long a node that was restarted does not vote. */
    readonly longestTtl: number;
    /** How long `open` may wait for nodes that were started a moment ago, ms; default 0. */
    readonly openTimeout?: number | undefined;
}

/** However short the lease is, a node may take so long, ms. */
const SHORTEST_TIMEOUT = 50;

/** The nodes of a quorum: which of them leads, and how long they may take to answer. */
export class NodeSet {
    /** How many are a majority. */
    readonly quorum: number;
    /** Nodes that did not answer in time, until they do again. */
    private readonly _slow = new Set<QuorumNode>();
    private readonly _waiting: TimerHeap<Waiting>;
    private _led: QuorumNode | undefined;

    /**
     * @param all              in the order in which they lead.
     * @param _anotherLeads  told when the lead has changed.
     */
    constructor(
        readonly all: readonly QuorumNode[],
        private readonly _options: NodeSetOptions,
        readonly clock: Clock,
        private readonly _anotherLeads: () => void,
    ) {
        this.quorum = quorumOf(all.length);
        this._waiting = new TimerHeap(clock, (waiting) => waiting.overdue());
    }

    get longestTtl(): number {
        return this._options.longestTtl;
    }

    get openTimeout(): number {
        return this._options.openTimeout ?? 0;
    }

    /** The first that is healthy: the turnstile at which acquisitions stand in line. */
    get lead(): QuorumNode | undefined {
        let ready: QuorumNode | undefined;
        for (const node of this.all) {
            if (!node.isReady) continue;
            if (!this._slow.has(node)) return node;
            ready ??= node;
        }
        return ready;
    }

    get ready(): number {
        return this.all.filter((node) => node.isReady).length;
    }

    isHealthy(node: QuorumNode): boolean {
        return node.isReady && !this._slow.has(node);
    }

    /** How long one may take to answer about a lease of `ttl`, ms. */
    timeout(ttl: number): number {
        return this._options.nodeTimeout ?? Math.max(ttl * 0.05, SHORTEST_TIMEOUT);
    }

    /** Limits the time of something that waits; or ends that. */
    limit(waiting: Waiting, within: number | undefined): void {
        if (within === undefined) this._waiting.delete(waiting);
        else if (within !== Infinity) this._waiting.set(waiting, this.clock.now() + within);
    }

    /** Tells when another one leads than the last time. */
    checkLead(): void {
        const { lead } = this;
        const before = this._led;
        if (lead === before || lead === undefined) return;
        this._led = lead;
        if (before !== undefined) this._anotherLeads();
    }

    /** It did not answer in time. */
    markSlow(node: QuorumNode): void {
        if (!node.isReady || this._slow.has(node)) return;
        this._slow.add(node);
        this.checkLead();
    }

    /** It answered in time. */
    unmarkSlow(node: QuorumNode): void {
        if (this._slow.size > 0 && this._slow.delete(node)) this.checkLead();
    }

    close(): void {
        this._waiting.clear();
    }
}
