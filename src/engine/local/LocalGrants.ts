import { RecycledMap } from '../collections/RecycledMap';
import { chosenHolder } from '../port/holder';
import { promised } from '../port/LockStore';
import type {
    AcquireAnswer,
    AcquireRequest,
    Callback,
    GiveUpRequest,
    Granted,
    LockInfo,
    LockStore,
    ReleaseAnswer,
    ReleaseRequest,
    RenewAnswer,
    Renewal,
    StoreListener,
} from '../port/LockStore';
import type { PassingStore, ReservedGrant, ReservingRequest } from '../port/ReservingRequest';
import { grantByMessage } from '../port/validity';
import type { Clock } from '../time/Clock';
import { inMicrotask } from '../time/hostTime';
import { TimerHeap } from '../time/TimerHeap';
import { Line } from './Line';
import type { Place, ReservedMessage } from './Line';
import { Turn } from './Turn';
import { TurnRenewals } from './TurnRenewals';
import { UnreleasedTurns } from './UnreleasedTurns';

/**
 * A store in front of another: those of one process who wait for a key have one place in line there, that of the first of
 * them, and a key that the process has is passed on among them so many times in a row without asking the store, and no
 * longer than a third of the ttl. (Dice, Marathe and Shavit, "Lock Cohorting", with a process for a NUMA node.)
 *
 * The fences of these leases are reserved with the grant, so that they rise strictly. In the store they all have the holder
 * of the first: each ends before the next begins, and none outlives what the store was last heard to promise.
 */
export class LocalGrants implements PassingStore {
    /** By ttl and key. */
    private readonly _lines = new Map<string, Line>();
    /** By those who wait, and by the holders of turns. */
    private readonly _lineOf = new RecycledMap<Line>();
    private readonly _turns = new RecycledMap<Line>();
    private readonly _unreleased: UnreleasedTurns;
    private readonly _renewals = new TurnRenewals();
    private readonly _queue: TimerHeap<Line>;
    private _listener: StoreListener | undefined;

    /** @param _passes how often in a row a key is passed on. */
    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        private readonly _passes: number,
    ) {
        this._queue = new TimerHeap(_clock, (line) => this._over(line));
        this._unreleased = new UnreleasedTurns(_clock);
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
        if (chosenHolder(id) !== undefined || request.share !== undefined) {
            this._store.acquire(request, callback);
            return;
        }
        const line = this._line(key, ttl);
        if (ticket === undefined) {
            this._try(line, request, callback);
            return;
        }
        const came = !line.waiting.has(id);
        if (came) {
            line.waiting.add(id);
            this._lineOf.set(id, line);
        }
        const { turn } = line;
        // Whoever stands in line at the store is served there.
        const here = line.inLine === undefined && turn !== undefined && turn.deadline > this._clock.now();
        if (line.first !== id || (here && !turn.isFree)) this._answer(line, id, callback, came);
        else if (here) callback(this._take(line, turn, id));
        else this._ask(line, request, callback, came);
    }

    async renew(key: string, holder: string, ttl: number, shared?: boolean): Promise<RenewAnswer> {
        const answer = await this._store.renew(key, holder, ttl, shared);
        this._renewed(key, holder, answer);
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
                if (!this._turns.has(holder)) return renewal;
                return this._renewals.begin(renewal, now, (answer) => {
                    if (!(answer instanceof Error)) this._renewed(key, holder, answer);
                });
            });
        if (asked.length > 0) this._store.renewAll(asked);
    }

    release(request: ReleaseRequest, callback: Callback<ReleaseAnswer>): void {
        const { key, holder, buried, keptUntil } = request;
        const line = this._turns.get(holder);
        const turn = line?.turn;
        if (line === undefined || turn === undefined || line.key !== key) {
            this._store.release(request, callback);
            return;
        }
        // One that lost sight of an attempt has something to bury, and only the store can do that. What stays taken is not passed on.
        const isLast = buried !== undefined || (keptUntil ?? 0) > this._clock.now();
        const isWanted = line.inLine === undefined && line.waiting.size > 0 && !isLast;
        if (isWanted && turn.pass(this._clock.now())) {
            // The lease that ends has ended when the next begins.
            inMicrotask(() => {
                callback('released');
                this._wake(line);
            });
        } else {
            this._store.release(request, callback);
            this._over(line);
        }
    }

    giveUp(request: GiveUpRequest): Promise<ReleaseAnswer> {
        const { key, id } = request;
        const turn = this._unreleased.get(id);
        if (turn !== undefined) return this._giveBack(turn, request);
        const line = this._lineOf.get(id);
        return line?.key === key ? this._leave(line, request) : this._store.giveUp(request);
    }

    handOn(key: string): Promise<void> {
        return this._store.handOn(key);
    }

    shared(key: string, holder: string): void {
        const line = this._turns.get(holder);
        if (line?.key === key) this._over(line);
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
        if (line === undefined) this._lines.set(name, (line = new Line(name, key, ttl)));
        return line;
    }

    private _answer(line: Line, id: string, callback: Callback<AcquireAnswer>, came: boolean): void {
        const answer = line.answerFor(id, this._clock.now());
        // It may end without giving up what it never had. One that was told to wait keeps its place until it gives it up.
        if (came && answer instanceof Error) this._drop(line, id);
        callback(answer);
    }

    /**
     * Asks the store for the first who waits.
     *
     * @param came it is the first attempt. When it fails and nothing can be left of it, nobody may come and give it up.
     */
    private _ask(line: Line, request: AcquireRequest, callback: Callback<AcquireAnswer>, came: boolean): void {
        const { key, id, ttl } = request;
        const { inLine } = line;
        const ticket = inLine?.ticket ?? 0;
        const place =
            inLine?.id === id
                ? inLine
                : { id, ticket, busy: undefined, failure: undefined, isAsking: false, message: undefined };
        line.inLine = place;
        place.isAsking = true;
        // One that had to wait for others of this process, or that others wait behind, is worth a reservation.
        const contended = !came || line.waiting.size > 1;
        const asked: ReservingRequest = { key, id, ttl, ticket, spare: this._passes, contended };
        this._store.acquire(asked, (answer) => {
            place.isAsking = false;
            place.busy = undefined;
            place.failure = undefined;
            if (answer instanceof Error) {
                place.failure = answer;
                if (came && !answer.unknown && line.waiting.has(id)) this._drop(line, id);
                callback(answer);
            } else if (answer.kind === 'granted') {
                // Whoever has left meanwhile has given it up; whoever hears of it too late asks again.
                const late = !line.waiting.has(id) || answer.deadline <= this._clock.now();
                callback(
                    late ? answer : this._take(line, this._begin(line, id, reservedBy(answer, place.message)), id),
                );
            } else {
                place.busy = answer;
                place.ticket = answer.ticket;
                const { message } = place;
                place.message = undefined;
                if (message !== undefined && line.inLine === place) this._trustGrant(line, place, message);
                callback(answer);
            }
        });
    }

    private _try(line: Line, { key, id, ttl }: AcquireRequest, callback: Callback<AcquireAnswer>): void {
        if (line.waiting.size > 0) {
            callback(line.answerFor(id, this._clock.now()));
            return;
        }
        line.tries.add(id);
        this._lineOf.set(id, line);
        const asked: ReservingRequest = { key, id, ttl, ticket: undefined, spare: this._passes };
        this._store.acquire(asked, (answer) => {
            const late = !line.tries.delete(id);
            if (!late) this._lineOf.delete(id);
            const granted = !late && !(answer instanceof Error) && answer.kind === 'granted';
            callback(granted ? this._take(line, this._begin(line, id, answer), id) : answer);
            this._tidy(line);
        });
    }

    /** Somebody of this process is told that it was granted the key. */
    private _onGrant(key: string, id: string, message: ReservedMessage): void {
        const line = this._lineOf.get(id);
        if (line === undefined) this._listener?.granted(key, id, message.fence, message.ttl, message.spare);
        else if (line.key === key && line.inLine?.id === id) {
            line.inLine.message = message;
            if (!line.inLine.isAsking) this._trustGrant(line, line.inLine, message);
        }
    }

    /** It begins without asking if the message can be relied on, else it asks. */
    private _trustGrant(line: Line, { id, busy }: Place, message: ReservedMessage): void {
        const wanted = { id, ttl: line.ttl };
        const granted = busy === undefined ? undefined : grantByMessage(wanted, message, busy, this._clock.now());
        if (line.waiting.has(id) && granted !== undefined) {
            this._begin(line, id, { ...granted, reserved: message.spare }).isFree = true;
        }
        this._wake(line);
    }

    private _begin(line: Line, id: string, granted: ReservedGrant): Turn {
        this._end(line);
        const turn = new Turn(id, granted, line.ttl, this._clock.now());
        line.turn = turn;
        if (line.inLine?.id === id) line.inLine = undefined;
        this._turns.set(turn.holder, line);
        this._queue.set(line, turn.deadline);
        return turn;
    }

    private _renewed(key: string, holder: string, answer: RenewAnswer): void {
        const line = this._turns.get(holder);
        if (line?.key !== key || line.turn === undefined) return;
        if (answer.kind === 'gone') this._over(line);
        else {
            line.turn.deadline = Math.max(line.turn.deadline, answer.deadline);
            this._queue.set(line, line.turn.deadline);
        }
    }

    /** A lease begins. */
    private _take(line: Line, turn: Turn, id: string): Granted {
        turn.isFree = false;
        line.waiting.delete(id);
        this._lineOf.delete(id);
        return turn.granted;
    }

    /** Somebody waits no longer. */
    private _leave(line: Line, request: GiveUpRequest): Promise<ReleaseAnswer> {
        const { id, underWay } = request;
        const { inLine, turn } = line;
        this._lineOf.delete(id);
        if (line.tries.delete(id)) return this._store.giveUp(request);
        // What is granted to it, or may be, is ended by the store.
        if (turn?.isFree === true && turn.id === id && underWay) this._end(line);
        const isKnown = inLine?.id === id || underWay;
        const free = this._drop(line, id);
        if (free !== undefined) return this._giveBack(free, request);
        return isKnown ? this._store.giveUp(request) : Promise.resolve('gone');
    }

    /** Releases a turn that nobody took; when that fails, the last one that left tries again. */
    private async _giveBack(turn: Turn, { key, id, underWay }: GiveUpRequest): Promise<ReleaseAnswer> {
        this._unreleased.add(id, turn);
        const request = { key, holder: turn.holder, buried: underWay ? id : undefined };
        const answer = await promised<ReleaseAnswer>((callback) => this._store.release(request, callback));
        this._unreleased.delete(id);
        return answer;
    }

    /** What was meant for one who waits no longer goes to the next, or to those at the store. @returns a turn to be released. */
    private _drop(line: Line, id: string): Turn | undefined {
        const { first, inLine, turn } = line;
        line.waiting.delete(id);
        this._lineOf.delete(id);
        if (line.waiting.size > 0) {
            if (first === id && (line.turn === undefined || line.turn.isFree || inLine !== undefined)) this._wake(line);
            return undefined;
        }
        line.inLine = undefined;
        const free = turn?.isFree === true ? turn : undefined;
        if (free !== undefined) this._end(line);
        this._tidy(line);
        return free;
    }

    /** We have the key no longer, or do not know: the next asks the store. */
    private _over(line: Line): void {
        this._end(line);
        if (line.inLine === undefined) this._wake(line);
        this._tidy(line);
    }

    private _end(line: Line): void {
        if (line.turn === undefined) return;
        this._turns.delete(line.turn.holder);
        line.turn = undefined;
        this._queue.delete(line);
    }

    /** The first who waits is to ask at once. */
    private _wake({ key, first }: Line): void {
        if (first !== undefined) this._listener?.woken(key, first);
    }

    private _tidy(line: Line): void {
        if (line.isEmpty) this._lines.delete(line.name);
    }
}

/** The answer to a claim does not tell what was reserved with the grant; the message of the grant does. */
function reservedBy(answer: ReservedGrant, message: ReservedMessage | undefined): ReservedGrant {
    return message?.fence === answer.fence ? { ...answer, reserved: message.spare } : answer;
}
