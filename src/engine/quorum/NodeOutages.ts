import type { StoreListener } from '../port/LockStore';
import type { NodeSet } from './NodeSet';

/** Tells of nodes that are away. It is an outage of the store only while fewer than a quorum are there. */
export class NodeOutages {
    private _isOut = false;

    constructor(
        private readonly _nodes: NodeSet,
        private readonly _listener: Pick<StoreListener, 'disconnected' | 'recovered' | 'warned'>,
    ) {}

    /** A node cannot be reached, or refuses to work. */
    began(error: Error): void {
        const { all, quorum, ready } = this._nodes;
        if (ready < quorum) {
            this._isOut = true;
            this._listener.disconnected(error);
        } else this._listener.warned(`One of ${all.length} nodes is away; ${ready} are there. ${error.message}`);
    }

    /** A node works again. */
    ended(): void {
        const { all, quorum, ready } = this._nodes;
        const message = `One of ${all.length} nodes works again; ${ready} are there.`;
        if (!this._isOut) this._listener.warned(message);
        else if (ready >= quorum) {
            this._isOut = false;
            this._listener.recovered(message);
        }
    }
}
