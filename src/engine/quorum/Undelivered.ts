import { isTemporary } from '../port/errors';
import type { GiveUpRequest, ReleaseAnswer } from '../port/LockStore';
import type { NodeSet } from './NodeSet';
import type { QuorumNode } from './QuorumNode';

interface Owed extends GiveUpRequest {
    /** Until then the node may have the key for it, on our clock. */
    readonly until: number;
}

/** At most this many undelivered give-ups per node. */
const MOST = 10_000;

/** Give-ups that a node could not be told yet: what it has of these acquisitions would keep others out until it runs out. */
export class Undelivered {
    private readonly _byNode = new Map<QuorumNode, Set<Owed>>();
    private _isClosed = false;

    constructor(private readonly _nodes: NodeSet) {}

    get size(): number {
        return [...this._byNode.values()].reduce((sum, { size }) => sum + size, 0);
    }

    /** Tells a node of a give-up: now, or when it is back. */
    giveUp(node: QuorumNode, request: GiveUpRequest, done?: (answer: ReleaseAnswer) => void): void {
        this._tell(node, { ...request, until: this._until() }, done);
    }

    /** A node could not be told of a give-up. */
    keep(node: QuorumNode, request: GiveUpRequest): void {
        this._keep(node, { ...request, until: this._until() });
    }

    /** The node is back. */
    deliver(node: QuorumNode): void {
        const owed = this._byNode.get(node);
        this._byNode.delete(node);
        const now = this._nodes.clock.now();
        for (const one of owed ?? []) if (one.until > now) this._tell(node, one);
    }

    close(): void {
        this._isClosed = true;
        this._byNode.clear();
    }

    private _tell(node: QuorumNode, owed: Owed, done?: (answer: ReleaseAnswer) => void): void {
        if (!node.isReady) {
            this._keep(node, owed);
            return;
        }
        const { id, key, underWay } = owed;
        node.giveUp({ key, id, underWay }).then(
            (answer) => done?.(answer),
            (error: unknown) => {
                if (isTemporary(error)) this._keep(node, owed);
            },
        );
    }

    private _keep(node: QuorumNode, owed: Owed): void {
        if (this._isClosed) return;
        const all = this._byNode.get(node) ?? new Set();
        this._byNode.set(node, all.add(owed));
        const now = this._nodes.clock.now();
        // The oldest are the first.
        for (const one of all) {
            if (one.until > now && all.size <= MOST) return;
            all.delete(one);
        }
    }

    private _until(): number {
        return this._nodes.clock.now() + this._nodes.longestTtl;
    }
}
