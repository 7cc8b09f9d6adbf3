import { systemClock } from '../time/Clock';
import type { Clock } from '../time/Clock';
import { NO_LISTENER, renewEach } from '../port/LockStore';
import type {
    AcquireAnswer,
    Callback,
    GiveUpRequest,
    LockInfo,
    LockStore,
    ReleaseAnswer,
    ReleaseRequest,
    Renewal,
    RenewAnswer,
    StoreListener,
} from '../port/LockStore';
import type { NodeListener, ReservingRequest } from '../port/ReservingRequest';
import { Acquisition } from './Acquisition';
import { wrongRequest } from './checks';
import { giveUp, release } from './giveBack';
import { handedOver, idOf, nodeIdOf, publicHolder, readStored } from './names';
import { NodeOutages } from './NodeOutages';
import { NodeSet } from './NodeSet';
import type { NodeSetOptions } from './NodeSet';
import { openNodes } from './opening';
import { QuorumContext } from './QuorumContext';
import type { QuorumNode } from './QuorumNode';
import { inspect, list } from './reads';
import { downgrade, renew } from './renew';
import { takeOver } from './takeOver';

export type QuorumStoreOptions = NodeSetOptions;

/**
 * Locks on several independent nodes, of which most must agree: Redlock ("Distributed Locks with Redis"), with an answer to
 * what it leaves open. All nodes are asked in parallel, each for a limited time, and the answer is given as soon as it is
 * decided. The first node that is healthy leads: its lock is a vote, and the turnstile at which waiters stand in line.
 * A lease lasts as long as a quorum has it. Its fencing token is the greatest that a quorum gave, and a quorum has it before
 * the lease is used (votes.ts says why).
 */
export class QuorumStore implements LockStore {
    // What one node says about a grant is not enough to rely on.
    readonly confirmsGrants = true;
    private readonly _nodes: NodeSet;
    private readonly _context: QuorumContext;
    /** By their ids at the nodes and their keys: those that wait, and those of which something is under way. */
    private readonly _acquisitions = new Map<string, Acquisition>();
    private _listener = NO_LISTENER;

    /** @param nodes in the order in which they lead, the same for everybody. */
    constructor(nodes: readonly QuorumNode[], options: QuorumStoreOptions, clock: Clock = systemClock) {
        // When another node leads, those who wait have to stand in line there.
        this._nodes = new NodeSet(nodes, options, clock, () => this._listener.reconnected());
        this._context = new QuorumContext(this._nodes);
    }

    get wakes(): boolean {
        return this._nodes.lead?.wakes ?? true;
    }

    /** @throws what openNodes throws. */
    async open(listener: StoreListener): Promise<void> {
        this._listener = listener;
        const outages = new NodeOutages(this._nodes, listener);
        try {
            await openNodes(
                this._context,
                (node) => this._listenerFor(node, outages),
                (text) => listener.warned(text),
            );
        } catch (error) {
            await this.close();
            throw error;
        }
        this._nodes.checkLead();
    }

    async close(): Promise<void> {
        this._context.close();
        for (const acquisition of this._acquisitions.values()) acquisition.end();
        await Promise.all(this._nodes.all.map((node) => node.close()));
        this._nodes.close();
    }

    acquire(request: ReservingRequest, callback: Callback<AcquireAnswer>): void {
        const { id, key } = request;
        const error = wrongRequest(request, this._context);
        const lease = handedOver(id);
        if (error !== undefined) {
            callback(error);
            return;
        }
        if (lease !== undefined) {
            takeOver(this._context, request, lease, callback);
            return;
        }
        const name = nodeIdOf(id) + key;
        let acquisition = this._acquisitions.get(name);
        if (acquisition === undefined) {
            acquisition = new Acquisition(key, id, this._context, this._ended);
            this._acquisitions.set(name, acquisition);
        }
        acquisition.acquire(request, callback);
    }

    renew(key: string, holder: string, ttl: number, shared?: boolean): Promise<RenewAnswer> {
        return renew(this._context, { key, holder, ttl, shared });
    }

    downgrade(key: string, holder: string, ttl: number): Promise<RenewAnswer> {
        return downgrade(this._context, { key, holder, ttl });
    }

    renewAll(renewals: readonly Renewal[]): void {
        renewEach(this, renewals);
    }

    release(request: ReleaseRequest, callback: Callback<ReleaseAnswer>): void {
        const over = this._heldBy(request);
        this._context.renewals.released(request.key, request.holder);
        const answered = (node: QuorumNode, answer: ReleaseAnswer): void => {
            for (const acquisition of over) acquisition.onReleased(node, answer);
        };
        release(this._context, request, answered, callback);
        // After it: what is buried is released no more.
        for (const acquisition of over) acquisition.end();
    }

    giveUp({ id, key, underWay }: GiveUpRequest): Promise<ReleaseAnswer> {
        const nodeId = nodeIdOf(id);
        const acquisition = this._acquisitions.get(nodeId + key);
        const lines = acquisition?.lines.all ?? [];
        acquisition?.end();
        return giveUp(
            this._context,
            { key, id: nodeId, underWay },
            {
                of: underWay || lines.length === 0 ? undefined : lines,
                answered: (node, answer) => acquisition?.onReleased(node, answer),
            },
        );
    }

    async handOn(key: string): Promise<void> {
        const { lead } = this._nodes;
        if (lead === undefined) throw this._context.noQuorum(`No node can be asked for ${key}`, [], { key });
        await lead.handOn(key);
    }

    inspect(key: string): Promise<LockInfo> {
        return inspect(this._context, key);
    }

    list(pattern: string): AsyncIterable<LockInfo> {
        return list(this._context, pattern);
    }

    async watch(key: string, holder: string): Promise<boolean> {
        const { lead } = this._nodes;
        if (lead === undefined) return false;
        const { holder: stored = holder } = await lead.inspect(key);
        return lead.watch(key, publicHolder(stored) === holder ? stored : holder);
    }

    private readonly _ended = ({ key, nodeId }: Acquisition): void => {
        this._acquisitions.delete(nodeId + key);
    };

    /** Acquisitions that end with the release of this holder. */
    private _heldBy({ holder, key }: ReleaseRequest): readonly Acquisition[] {
        const name = readStored(holder)?.name;
        if (name !== undefined) {
            const acquisition = this._acquisitions.get(`${name}:${key}`);
            return acquisition === undefined ? [] : [acquisition];
        }
        return [...this._acquisitions.values()].filter((one) => one.key === key && one.isGrantedTo(holder));
    }

    private _listenerFor(node: QuorumNode, outages: NodeOutages): NodeListener {
        const { _listener: listener } = this;
        return {
            granted: (key, id) => this._woken(key, id),
            woken: (key, id) => this._woken(key, id),
            first: (key, id, remaining) => {
                if (this._acquisitions.get(id + key)?.lines.lead === node) listener.first(key, idOf(id), remaining);
            },
            handedOn: (key, window) => {
                if (node === this._nodes.lead) listener.handedOn(key, window);
            },
            changed: (key) => listener.changed(key),
            reconnected: () => {
                this._context.undelivered.deliver(node);
                if (node === this._nodes.lead) listener.reconnected();
                else this._nodes.checkLead();
            },
            departed: () => this._nodes.checkLead(),
            disconnected: (error) => {
                outages.began(error);
                this._nodes.checkLead();
            },
            recovered: () => outages.ended(),
            warned: (message) => listener.warned(message),
        };
    }

    /** A node handed the key to a waiter: it has to ask the others. */
    private _woken(key: string, id: string): void {
        this._acquisitions.get(id + key)?.onGrant();
        this._listener.woken(key, idOf(id));
    }
}
