import { RecycledMap } from '../collections/RecycledMap';
import { chosenHolder } from '../port/holder';
import type {
    AcquireAnswer,
    AcquireRequest,
    Callback,
    GiveUpRequest,
    LockInfo,
    LockStore,
    ReleaseAnswer,
    ReleaseRequest,
    RenewAnswer,
    Renewal,
    StoreListener,
} from '../port/LockStore';
import type { PassingStore } from '../port/ReservingRequest';
import type { Clock } from '../time/Clock';
import { TimerHeap } from '../time/TimerHeap';
import { Line } from './Line';
import type { LineParts } from './Line';
import type { ReservedMessage } from './Place';
import { TurnRenewals } from './TurnRenewals';
import { UnreleasedTurns } from './UnreleasedTurns';

/**
 * A store in front of another. The callers of one process who wait for a key have one place in line there: that of the first of
 * them. A key that the process has is passed on among them without asking the store: a limited number of times in a row, and for
 * no longer than a third of the ttl. (Dice, Marathe and Shavit, "Lock Cohorting", with a process for a NUMA node.)
 *
 * The fences of these leases are reserved with the grant, so they rise strictly. In the store all of them have the holder of
 * the first. Each ends before the next begins, and none outlives what the store was last heard to promise.
 */
export class LocalGrants implements PassingStore {
    /** By ttl and key. */
    private readonly _lines = new Map<string, Line>();
    private readonly _byId = new RecycledMap<Line>();
    private readonly _byHolder = new RecycledMap<Line>();
    private readonly _unreleased: UnreleasedTurns;
    private readonly _renewals = new TurnRenewals();
    private readonly _queue: TimerHeap<Line>;
    private readonly _parts: LineParts;
    private _listener: StoreListener | undefined;

    /** @param passes how often in a row a key is passed on. */
    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        passes: number,
    ) {
        const queue = (this._queue = new TimerHeap<Line>(_clock, (line) => line.over()));
        const unreleased = (this._unreleased = new UnreleasedTurns(_store, _clock));
        this._parts = {
            store: _store,
            clock: _clock,
            passes,
            byId: this._byId,
            byHolder: this._byHolder,
            queue,
            unreleased,
            wake: (key, id) => this._listener?.woken(key, id),
            emptied: ({ name }) => this._lines.delete(name),
        };
    }

    /** How many keys it knows, one for each ttl, and turns that are still to be released. */
    get size(): number {
        return this._lines.size + this._unreleased.size;
    }

    get confirmsGrants(): boolean {
        return this._store.confirmsGrants === true;
    }

    get wakes(): boolean {
        return this._store.wakes;
    }

    open(listener: StoreListener): Promise<void> {
        this._listener = listener;
        return this._store.open({
            granted: (key, id, fence, ttl, spare = 0) => this._onGrant(key, id, { fence, ttl, spare }),
            woken: (key, id) => listener.woken(key, id),
            first: (key, id, remaining) => listener.first(key, id, remaining),
            handedOn: (key, window) => listener.handedOn(key, window),
            changed: (key) => listener.changed(key),
            reconnected: () => listener.reconnected(),
            disconnected: (error) => listener.disconnected(error),
            recovered: (message) => listener.recovered(message),
            warned: (message) => listener.warned(message),
        });
    }

    close(): Promise<void> {
        this._queue.clear();
        this._unreleased.clear();
        return this._store.close();
    }

    acquire(request: AcquireRequest, callback: Callback<AcquireAnswer>): void {
        const { key, ttl, id, ticket } = request;
        // Another program may know a chosen holder, and release by it. And what is shared need not be passed on.
        if (chosenHolder(id) !== undefined || request.share !== undefined) this._store.acquire(request, callback);
        else if (ticket === undefined) this._line(key, ttl).try(id, callback);
        else this._line(key, ttl).acquire(id, callback);
    }

    async renew(key: string, holder: string, ttl: number, shared?: boolean): Promise<RenewAnswer> {
        const answer = await this._store.renew(key, holder, ttl, shared);
        this._turnOf(key, holder)?.renewed(answer);
        return answer;
    }

    downgrade(key: string, holder: string, ttl: number): Promise<RenewAnswer> {
        // Others of the process may wait to have the key alone.
        this.shared(key, holder);
        return this._store.downgrade(key, holder, ttl);
    }

    renewAll(renewals: readonly Renewal[]): void {
        const now = this._clock.now();
        const asked = renewals
            .filter((renewal) => !this._renewals.join(renewal, now))
            .map((renewal) => {
                const { key, holder } = renewal;
                if (!this._byHolder.has(holder)) return renewal;
                return this._renewals.begin(renewal, now, (answer) => {
                    if (!(answer instanceof Error)) this._turnOf(key, holder)?.renewed(answer);
                });
            });
        if (asked.length > 0) this._store.renewAll(asked);
    }

    release(request: ReleaseRequest, callback: Callback<ReleaseAnswer>): void {
        const { key, holder } = request;
        const line = this._turnOf(key, holder);
        if (line?.pass(request, callback) === true) return;
        this._store.release(request, callback);
        line?.over();
    }

    giveUp(request: GiveUpRequest): Promise<ReleaseAnswer> {
        const { key, id } = request;
        const turn = this._unreleased.get(id);
        if (turn !== undefined) return this._unreleased.giveBack(turn, request);
        const line = this._byId.get(id);
        return line?.key === key ? line.leave(request) : this._store.giveUp(request);
    }

    handOn(key: string): Promise<void> {
        return this._store.handOn(key);
    }

    shared(key: string, holder: string): void {
        this._turnOf(key, holder)?.over();
    }

    inspect(key: string): Promise<LockInfo> {
        return this._store.inspect(key);
    }

    list(pattern: string): AsyncIterable<LockInfo> {
        return this._store.list(pattern);
    }

    watch(key: string, holder: string): Promise<boolean> {
        return this._store.watch(key, holder);
    }

    private _line(key: string, ttl: number): Line {
        const name = `${ttl} ${key}`;
        let line = this._lines.get(name);
        if (line === undefined) this._lines.set(name, (line = new Line(this._parts, name, key, ttl)));
        return line;
    }

    /** The line whose turn has this holder. */
    private _turnOf(key: string, holder: string): Line | undefined {
        const line = this._byHolder.get(holder);
        return line?.key === key ? line : undefined;
    }

    /** Somebody of this process is told that it was granted the key. */
    private _onGrant(key: string, id: string, message: ReservedMessage): void {
        const line = this._byId.get(id);
        if (line === undefined) this._listener?.granted(key, id, message.fence, message.ttl, message.spare);
        else if (line.key === key) line.granted(id, message);
    }
}
